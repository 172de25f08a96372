# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What else happens to a claim: other people, other operators, quotas, deletion; and its price."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any

import pytest

from api.conditions import condition
from hack.cluster.plane import ControlPlane
from tests.support.operator_process import OperatorProcess
from tests.support.volumes import CLASSES, growing_volume, storage_class, volume
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver

MANAGED_BY = "app.kubernetes.io/managed-by"
CHILDREN = 5  # ServiceAccount, Service, ConfigMap, PersistentVolumeClaim, Deployment


@pytest.fixture
def world(world: World) -> World:
    """With a class of the namespace's name that grows, and one volume of it."""
    growing_volume(world.client, world.namespace)
    return world


def start(world: World, **more: Any) -> None:
    world.resource(workload={"storage": {"storageClassName": world.namespace, **more}})
    world.wait_ready()


def edit(world: World, storage: dict[str, Any] | None) -> None:
    world.patch("llsd", "demo", {"spec": {"workload": {"storage": storage}}})


def claim(world: World) -> dict[str, Any]:
    return world.must_get("claim", "demo-pvc")


def strategy(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.must_get("deployment", "demo")["spec"]["strategy"]
    return found


def reconciles(operator: OperatorProcess, world: World) -> int:
    return sum(
        record.get("event") == "Reconciled" and record.get("namespace") == world.namespace
        for record in operator.records()
    )


@pytest.fixture
def default_class(kwok_plane: ControlPlane, kwok_namespace: str) -> Iterator[None]:
    name = f"{kwok_namespace}-default"
    storage_class(kwok_plane.client, name, default=True)
    volume(kwok_plane.client, name, name)
    yield
    kwok_plane.client.delete(f"{CLASSES}/{name}")


def test_volume_of_the_default_class_costs_few_requests_and_none_later(
    world: World, operator: OperatorProcess, default_class: None
) -> None:
    mark = world.plane.audit.mark()
    world.resource(workload={"storage": {}})
    world.wait_ready()
    eventually("both Events", lambda: len(world.events()) == 2)
    requests = [r for r in world.requests_since(mark) if r.namespace == world.namespace]
    assert len(requests) <= CHILDREN + 5, collections.Counter(
        (r.verb, r.resource, r.subresource) for r in requests
    )
    assert claim(world)["spec"]["storageClassName"] == f"{world.namespace}-default"

    before, mark = reconciles(operator, world), world.plane.audit.mark()
    world.patch("llsd", "demo", {"metadata": {"annotations": {"touched": "yes"}}})
    eventually("another reconcile", lambda: reconciles(operator, world) > before)

    assert world.writes_since(mark) == []


def test_claim_that_found_no_class_can_be_given_one(world: World) -> None:
    world.resource(workload={"storage": {}})
    waiting = world.wait_condition("StorageReady", "False")
    assert "the cluster has no default: set spec.workload.storage" in waiting["message"]

    edit(world, {"storageClassName": world.namespace})

    world.wait_ready()


def test_server_on_a_kept_volume_begins_a_new_registry_when_a_model_changed(world: World) -> None:
    """It would not start on the old one, which is in the volume."""
    kept = {"storage": {"storageClassName": world.namespace, "retainOnDelete": True}}
    world.resource("demo", "m1", workload=kept)
    world.wait_ready()
    world.delete("llsd", "demo")
    world.wait_collected("deployment", "demo")
    for name in world.config_maps():
        world.wait_collected("configmap", name)

    changed = {"models": [{"name": "m1", "contextLength": 4096}]}
    world.resource("demo", workload=kept, resources=changed)
    world.wait_ready()

    (name,) = world.config_maps()
    config = world.must_get("configmap", name)["data"]["config.yaml"]
    assert "/registry-2.db" in config


def test_quota_that_forbids_the_claim_is_said_and_its_end_noticed(world: World) -> None:
    path = f"/api/v1/namespaces/{world.namespace}/resourcequotas"
    quota = {"metadata": {"name": "small"}, "spec": {"hard": {"persistentvolumeclaims": "0"}}}
    world.client.create(path, {"apiVersion": "v1", "kind": "ResourceQuota", **quota})
    counted = lambda: world.client.get(f"{path}/small").get("status", {}).get("hard")  # noqa: E731
    eventually("the quota is in force", counted)
    world.resource(workload={"storage": {"storageClassName": world.namespace}})

    found = world.wait_condition("StorageReady", "False")

    assert found["reason"] == "StorageFailed"
    assert "exceeded quota: small" in found["message"]
    assert world.get("deployment", "demo") is None
    world.client.delete(f"{path}/small")
    world.wait_ready()


def test_claim_that_lost_our_label_gets_it_back(world: World) -> None:
    start(world, size="5Gi")
    uid = claim(world)["metadata"]["uid"]

    world.patch("claim", "demo-pvc", {"metadata": {"labels": {MANAGED_BY: None}}})

    eventually("the label", lambda: MANAGED_BY in claim(world)["metadata"]["labels"])
    assert claim(world)["metadata"]["uid"] == uid


def test_claim_of_the_go_operator_is_taken_over_and_grows(world: World) -> None:
    world.resource()
    owner = world.wait_ready()["metadata"]
    reference = {
        "apiVersion": "llamastack.io/v1alpha1",
        "kind": "LlamaStackDistribution",
        "name": "demo",
        "uid": owner["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    labels = {MANAGED_BY: "llama-stack-operator", "theirs": "gone"}
    world.client.create(
        f"{world.path('claim')}?fieldManager=manager",
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "demo-pvc", "labels": labels, "ownerReferences": [reference]},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "5Gi"}},
                "storageClassName": world.namespace,
            },
        },
    )
    uid = claim(world)["metadata"]["uid"]

    edit(world, {})
    eventually(
        "it has grown to the default",
        lambda: claim(world)["spec"]["resources"]["requests"]["storage"] == "10Gi",
    )

    live = claim(world)["metadata"]
    assert live["uid"] == uid
    assert "theirs" not in live["labels"]
    assert [r["apiVersion"] for r in live["ownerReferences"]] == ["llamastack.io/v1alpha2"]
    world.wait_ready()


def test_strategy_changes_beside_somebody_who_wrote_the_same_numbers(world: World) -> None:
    world.resource()
    world.wait_ready()
    before = strategy(world)
    path = world.path("deployment", "demo") + "?fieldManager=somebody&force=true"
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "demo"},
        "spec": {"strategy": {"rollingUpdate": before["rollingUpdate"]}},
    }
    status, _ = world.client.raw("PATCH", path, body, content_type="application/apply-patch+yaml")
    assert status == 200

    edit(world, {"storageClassName": world.namespace})
    world.wait_ready()
    assert strategy(world) == {"type": "Recreate"}

    edit(world, None)
    world.wait_ready()
    assert strategy(world) == before


def test_deleted_claim_is_reported_and_made_again_when_its_pod_is_gone(world: World) -> None:
    start(world)
    uid = claim(world)["metadata"]["uid"]
    volume(world.client, f"{world.namespace}-2", world.namespace)

    world.delete("claim", "demo-pvc")

    found = world.wait_condition("StorageReady", "False")
    assert "is being deleted" in found["message"]
    assert world.wait_condition("Ready", "False")["reason"] == "WaitingForDeletion"
    pods = f"/api/v1/namespaces/{world.namespace}/pods"
    for pod in world.client.get(pods)["items"]:
        world.client.delete(f"{pods}/{pod['metadata']['name']}")
    eventually("another claim", lambda: claim_uid(world) not in {None, uid})
    world.wait_ready()


def claim_uid(world: World) -> str | None:
    found = world.get("claim", "demo-pvc")
    return str(found["metadata"]["uid"]) if found else None


def test_nothing_is_made_while_the_resource_is_being_deleted(
    world: World, operator: OperatorProcess
) -> None:
    start(world)
    hold = {"metadata": {"finalizers": ["example.org/hold"]}}
    world.patch("llsd", "demo", hold)
    world.delete("llsd", "demo")
    eventually(
        "it is Terminating",
        lambda: world.must_get("llsd", "demo")["status"]["phase"] == "Terminating",
    )
    assert condition(world.must_get("llsd", "demo"), "StorageReady")["status"] == "True"
    mark = world.plane.audit.mark()

    world.delete("deployment", "demo")
    eventually("no pod", lambda: not world.all("replicaset"))
    world.delete("claim", "demo-pvc")
    eventually("no claim", lambda: world.get("claim", "demo-pvc") is None)
    before = reconciles(operator, world)
    world.patch("llsd", "demo", {"metadata": {"annotations": {"touched": "yes"}}})
    eventually("a reconcile", lambda: reconciles(operator, world) > before)

    assert [w for w in world.writes_since(mark) if w.subresource != "status"] == []
    world.patch("llsd", "demo", {"metadata": {"finalizers": None}})
    eventually("it is gone", lambda: world.get("llsd", "demo") is None)
