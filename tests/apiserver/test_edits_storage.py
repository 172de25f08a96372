# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Edits of ``spec.workload.storage`` on a live resource; claims are bound by the real binder.

The Go operator could neither add nor remove a volume ("emptyDir and PVC", "rollingUpdate with
Recreate"), ignored every change of its size, and deleted the data with the resource.
"""

from __future__ import annotations

from typing import Any

import pytest

from api.conditions import condition
from tests.support.volumes import growing_volume, storage_class, volume
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver

RETAINED_FOR = "llamastack.io/retained-for"


@pytest.fixture
def world(world: World) -> World:
    """With a class of the namespace's name that grows, and one volume of it."""
    growing_volume(world.client, world.namespace)
    return world


def storage(world: World, **more: Any) -> dict[str, Any]:
    return {"storageClassName": world.namespace, **more}


def start(world: World, **more: Any) -> None:
    world.resource(workload={"storage": storage(world, **more)})
    world.wait_ready()


def edit(world: World, **more: Any) -> None:
    world.patch("llsd", "demo", {"spec": {"workload": {"storage": more}}})


def claim(world: World) -> dict[str, Any]:
    return world.must_get("claim", "demo-pvc")


def size(world: World) -> str:
    return str(claim(world)["spec"]["resources"]["requests"]["storage"])


def deployment(world: World, name: str = "demo") -> dict[str, Any]:
    spec: dict[str, Any] = world.must_get("deployment", name)["spec"]
    return spec


def data_volume(world: World, name: str = "demo") -> dict[str, Any]:
    first: dict[str, Any] = deployment(world, name)["template"]["spec"]["volumes"][0]
    assert first["name"] == "lls-storage"
    return first


def replica_sets(world: World) -> set[str]:
    return {s["metadata"]["uid"] for s in world.all("replicaset")}


def refused(world: World) -> str:
    """The message of StorageReady, which is the one of Ready, too."""
    found = world.wait_condition("StorageReady", "False")
    assert found["reason"] == "StorageChangeRefused"
    ready = world.wait_condition("Ready", "False")
    assert (ready["reason"], ready["message"]) == (found["reason"], found["message"])
    return str(found["message"])


def test_volume_comes_and_goes_with_the_spec_but_the_claim_stays(world: World) -> None:
    world.resource()
    world.wait_ready()
    before = deployment(world)
    assert data_volume(world)["emptyDir"] == {}
    assert condition(world.must_get("llsd", "demo"), "StorageReady") == {}

    edit(world, **storage(world, mountPath="/data"))
    world.wait_ready()

    made = claim(world)
    assert made["spec"]["resources"]["requests"] == {"storage": "10Gi"}
    assert made["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert made["metadata"]["ownerReferences"][0]["controller"] is True
    assert data_volume(world)["persistentVolumeClaim"] == {"claimName": "demo-pvc"}
    assert "emptyDir" not in data_volume(world)
    assert deployment(world)["strategy"] == {"type": "Recreate"}
    mounts = deployment(world)["template"]["spec"]["containers"][0]["volumeMounts"]
    assert {"name": "lls-storage", "mountPath": "/data"} in mounts
    assert world.wait_condition("StorageReady", "True")["reason"] == "StorageReady"

    world.patch("llsd", "demo", {"spec": {"workload": {"storage": None}}})
    world.wait_ready()

    assert deployment(world) == before
    assert claim(world)["metadata"]["uid"] == made["metadata"]["uid"]
    assert condition(world.must_get("llsd", "demo"), "StorageReady") == {}

    edit(world, **storage(world))
    world.wait_ready()
    world.wait_condition("StorageReady", "True")

    assert claim(world)["metadata"]["uid"] == made["metadata"]["uid"]
    volume(world.client, f"{world.namespace}-fresh", world.namespace)
    world.resource("fresh", workload={"storage": storage(world)})
    world.wait_ready("fresh")
    assert deployment(world)["strategy"] == deployment(world, "fresh")["strategy"]
    of_fresh = data_volume(world, "fresh")
    assert of_fresh.pop("persistentVolumeClaim") == {"claimName": "fresh-pvc"}
    assert of_fresh.items() <= data_volume(world).items()


def test_claim_grows_and_never_shrinks(world: World) -> None:
    start(world)
    pods = replica_sets(world)

    edit(world, size="20Gi")
    growing = world.wait_condition("StorageReady", "False")
    assert (growing["reason"], size(world)) == ("StorageResizing", "20Gi")
    assert "from 10Gi to 20Gi" in growing["message"]
    grow(world, "20Gi")
    world.wait_ready()

    edit(world, size="15Gi")
    assert refused(world).startswith("spec.workload.storage.size: demo-pvc has 20Gi and cannot")
    assert size(world) == "20Gi"
    assert replica_sets(world) == pods
    edit(world, size=None)
    world.wait_ready()
    assert size(world) == "20Gi"


def grow(world: World, to: str) -> None:
    """What the resizer and the kubelet do."""
    path = world.path("claim", "demo-pvc") + "/status"
    patch = {"status": {"capacity": {"storage": to}}}
    status, _ = world.client.raw("PATCH", path, patch, content_type="application/merge-patch+json")
    assert status == 200


def test_refused_growth_is_said_and_holds_nothing_else_up(world: World) -> None:
    fixed = f"{world.namespace}-fixed"
    storage_class(world.client, fixed)
    volume(world.client, fixed, fixed)
    world.resource(workload={"storage": {"storageClassName": fixed}})
    world.wait_ready()
    pods = replica_sets(world)

    edit(world, size="20Gi")

    text = refused(world)
    assert text.startswith("spec.workload.storage.size: demo-pvc stays at 10Gi instead of 20Gi: ")
    assert "must support resize" in text
    assert replica_sets(world) == pods
    assert ("Warning", "StorageChangeRefused") in world.events()
    world.patch("llsd", "demo", {"spec": {"workload": {"overrides": {"args": ["x"]}}}})
    args = ["x"]
    eventually("the other edit arrives", lambda: container(world).get("args") == args)
    assert size(world) == "10Gi"
    edit(world, size="10Gi")
    world.wait_ready()


def container(world: World) -> dict[str, Any]:
    found: dict[str, Any] = deployment(world)["template"]["spec"]["containers"][0]
    return found


def test_class_and_modes_stay_and_the_status_says_so(world: World) -> None:
    start(world)
    before = claim(world)["spec"]
    pods = replica_sets(world)

    edit(world, storageClassName="other", accessModes=["ReadWriteMany"])

    text = refused(world)
    assert f'spec.workload.storage.storageClassName: demo-pvc has class "{world.namespace}"' in text
    assert "spec.workload.storage.accessModes: demo-pvc has ReadWriteOnce" in text
    assert claim(world)["spec"] == before
    assert replica_sets(world) == pods
    assert deployment(world)["strategy"] == {"type": "Recreate"}, "the live modes count"
    edit(world, storageClassName=None, accessModes=None)
    world.wait_ready()


def test_volume_for_many_nodes_is_rolled(world: World) -> None:
    shared = f"{world.namespace}-shared"
    volume(world.client, shared, shared, modes=("ReadWriteMany",))
    many = {"storageClassName": shared, "accessModes": ["ReadWriteMany"]}

    world.resource(workload={"storage": many})
    world.wait_ready()

    assert deployment(world)["strategy"]["type"] == "RollingUpdate"


def test_claim_that_waits_for_a_volume_is_said_and_grows_once_bound(world: World) -> None:
    rare = f"{world.namespace}-rare"
    storage_class(world.client, rare, expandable=True, waits=True)
    world.resource(workload={"storage": {"storageClassName": rare}})
    waiting = world.wait_condition("StorageReady", "False")
    assert waiting["reason"] == "StoragePending"
    assert rare in waiting["message"]

    def pod_waits() -> bool:
        ready = world.wait_condition("Ready", "False")
        return ready["reason"] == "StoragePending" and "persistent volumes" in ready["message"]

    eventually("the scheduler is quoted", pod_waits)

    edit(world, size="12Gi")
    world.wait_condition("StorageReady", "False")
    assert size(world) == "10Gi", "the API server lets only bound claims grow"
    volume(world.client, rare, rare, size="12Gi")

    world.wait_ready(deadline_s=60)
    eventually("it grows", lambda: size(world) == "12Gi")


def test_deleting_the_resource_takes_the_claim_along(world: World) -> None:
    start(world)

    world.delete("llsd", "demo")

    world.wait_collected("claim", "demo-pvc")


def test_retained_claim_outlives_the_resource_and_serves_the_next_of_that_name(
    world: World,
) -> None:
    start(world)
    uid = claim(world)["metadata"]["uid"]

    edit(world, retainOnDelete=True)
    eventually("no owner", lambda: not claim(world)["metadata"].get("ownerReferences"))
    world.wait_ready()
    assert claim(world)["metadata"]["annotations"][RETAINED_FOR] == "demo"
    text = world.wait_condition("StorageReady", "True")["message"]
    assert text.endswith("it stays when the resource is deleted")
    world.delete("llsd", "demo")
    world.wait_collected("deployment", "demo")
    assert claim(world)["metadata"]["uid"] == uid

    start(world, retainOnDelete=True)
    assert claim(world)["metadata"]["uid"] == uid
    assert not claim(world)["metadata"].get("ownerReferences")

    edit(world, retainOnDelete=False)
    eventually("an owner", lambda: claim(world)["metadata"].get("ownerReferences"))
    world.wait_ready()
    owner = world.must_get("llsd", "demo")["metadata"]["uid"]
    (reference,) = claim(world)["metadata"]["ownerReferences"]
    assert reference["uid"] == owner
    assert RETAINED_FOR not in claim(world)["metadata"]["annotations"]
    world.delete("llsd", "demo")
    world.wait_collected("claim", "demo-pvc")


def test_retained_claim_wakes_its_resource(world: World) -> None:
    start(world, retainOnDelete=True)
    annotation = "llamastack.io/applied-hash"
    spoilt = {"metadata": {"annotations": {annotation: ""}}}

    # Twice: a new claim is looked at once more after a while, without being asked.
    for _ in range(2):
        world.patch("claim", "demo-pvc", spoilt)
        eventually("it is repaired", lambda: claim(world)["metadata"]["annotations"][annotation])


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"annotations": {RETAINED_FOR: "demo"}},
        {"labels": {"app.kubernetes.io/managed-by": "llama-stack-operator"}},
        {
            "labels": {"app.kubernetes.io/managed-by": "llama-stack-operator"},
            "annotations": {RETAINED_FOR: "other"},
        },
    ],
)
def test_foreign_claim_is_named_and_never_touched(world: World, metadata: dict[str, Any]) -> None:
    foreign = world.create(
        "claim",
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "demo-pvc", **metadata},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
            },
        },
    )

    world.resource(workload={"storage": storage(world)})
    ready = world.wait_condition("Ready", "False")

    assert ready["reason"] == "ResourceConflict"
    assert ready["message"].startswith('PersistentVolumeClaim "demo-pvc" in namespace')
    assert world.wait_condition("StorageReady", "False")["message"] == ready["message"]
    live = claim(world)
    ours = {"llamastack-operator", "llamastack-operator-status"}
    assert not [e for e in live["metadata"]["managedFields"] if e["manager"] in ours]
    assert live["spec"] == foreign["spec"]
    assert world.get("deployment", "demo") is None


def test_claim_handed_over_by_label_and_annotation_is_taken(world: World) -> None:
    world.create(
        "claim",
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": "demo-pvc",
                "labels": {"app.kubernetes.io/managed-by": "llama-stack-operator"},
                "annotations": {RETAINED_FOR: "demo"},
            },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "10Gi"}},
                "storageClassName": world.namespace,
            },
        },
    )

    start(world)

    assert claim(world)["metadata"]["ownerReferences"][0]["name"] == "demo"
