# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One child against a real API server: created, changed, adopted, refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from controller.llamastack.children.writer import Applied, ChildWriter
from controller.llamastack.objects.kinds import CONFIG_MAP, DEPLOYMENT, LLAMA_STACK, SERVICE_ACCOUNT
from controller.llamastack.objects.ownership import (
    BeingDeleted,
    ResourceConflict,
    owner_reference_to,
)
from controller.llamastack.render.manifest import Child
from hack.cluster.plane import ControlPlane
from informers.errors import Conflict
from informers.ports import Object, ObjectKey
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client
from tests.support.world import install, manifest

pytestmark = pytest.mark.apiserver


class Cache:
    """What the informers would show."""

    def __init__(self, *objects: Object) -> None:
        self._objects = {
            ObjectKey(o["metadata"]["namespace"], o["metadata"]["name"]): o for o in objects
        }

    def get(self, key: ObjectKey) -> Object | None:
        return self._objects.get(key)

    def reached(self, key: ObjectKey, resource_version: str) -> bool:
        return True

    def by_index(self, index: str, value: str) -> list[Object]:
        raise KeyError(index)


@pytest.fixture(scope="module")
def installed(control_plane: ControlPlane) -> None:
    install(control_plane)


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Client]:
    connection = await connect(Source(str(control_plane.kubeconfig)))
    async with Client(connection, user_agent="test") as made:
        yield made


@pytest.fixture
async def owner(client: Client, installed: None, namespace: str) -> Object:
    """A real resource: children of an owner that is not there are collected as garbage."""
    resource = manifest("demo")
    resource["metadata"]["namespace"] = namespace
    return await client.create(LLAMA_STACK, resource, manager="test")


def deployment(owner: Object, *env: str, **spec: Any) -> Child:
    labels = {"app": "demo"}
    container = {
        "name": "c",
        "image": "i",
        "env": [{"name": name, "value": "1"} for name in env],
        "resources": {"requests": {"cpu": "1000m"}},
    }
    wanted = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "demo",
            "namespace": owner["metadata"]["namespace"],
            "ownerReferences": [owner_reference_to(owner)],
        },
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            **spec,
        },
    }
    return Child(DEPLOYMENT, wanted)


def env_of(live: Object) -> list[str]:
    containers = live["spec"]["template"]["spec"]["containers"]
    return [e["name"] for e in containers[0].get("env") or ()]


async def settled(writer: ChildWriter, owner: Object, child: Child, cached: Object) -> Applied:
    """The child after as many reconciles as the controllers' own writes in between demand."""
    while True:
        try:
            return await writer.ensure(owner, child, Cache(cached))
        except Conflict:
            continue  # the Deployment's controller wrote between our read and our patch


async def test_absent_child_is_created_and_then_in_place(client: Client, owner: Object) -> None:
    writer = ChildWriter(client)
    child = deployment(owner, "A")

    created = await writer.ensure(owner, child, Cache())
    again = await writer.ensure(owner, child, Cache(created.live))

    assert created.changed
    assert not again.changed
    assert again.live is created.live


async def test_dropped_field_of_a_created_child_really_goes(client: Client, owner: Object) -> None:
    """What POST wrote belongs to an Update entry, which apply alone would never prune (G7)."""
    writer = ChildWriter(client)
    created = await writer.ensure(owner, deployment(owner, "A", "B", paused=True), Cache())

    changed = await settled(writer, owner, deployment(owner, "A"), created.live)

    assert changed.changed
    assert env_of(changed.live) == ["A"]
    assert "paused" not in changed.live["spec"]


async def test_replicas_that_are_no_longer_sent_stay_with_the_scaler(
    client: Client, owner: Object
) -> None:
    writer = ChildWriter(client)
    created = await writer.ensure(owner, deployment(owner, replicas=2), Cache())
    path = DEPLOYMENT.path(
        namespace=owner["metadata"]["namespace"], name="demo", subresource="scale"
    )
    scale = {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "demo", "namespace": owner["metadata"]["namespace"]},
        "spec": {"replicas": 5},
    }
    await client.request("PUT", path, body=scale)

    changed = await settled(writer, owner, deployment(owner, "A"), created.live)

    assert changed.live["spec"]["replicas"] == 5


async def test_drift_is_put_right(client: Client, owner: Object) -> None:
    writer = ChildWriter(client)
    child = deployment(owner, "A", replicas=1)
    created = await writer.ensure(owner, child, Cache())
    drifted = await client.json_patch(
        DEPLOYMENT,
        child.key,
        [{"op": "replace", "path": "/spec/replicas", "value": 4}],
        manager="somebody",
    )

    repaired = await settled(writer, owner, child, drifted)

    assert created.live["spec"]["replicas"] == 1
    assert repaired.changed
    assert repaired.live["spec"]["replicas"] == 1


async def test_key_that_moved_to_the_binary_data_of_a_config_map_comes_back(
    client: Client, owner: Object, namespace: str
) -> None:
    """The cache has no content of ConfigMaps: what is in the way shows in the refusal only."""
    metadata = {
        "name": "demo-ca-bundle",
        "namespace": namespace,
        "ownerReferences": [owner_reference_to(owner)],
    }
    wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "x"}}
    writer, child = ChildWriter(client), Child(CONFIG_MAP, wanted)
    await writer.ensure(owner, child, Cache())
    moved: list[dict[str, Any]] = [
        {"op": "remove", "path": "/data/a"},
        {"op": "add", "path": "/binaryData", "value": {"a": "eA==", "theirs": "eA=="}},
    ]
    changed = await client.json_patch(CONFIG_MAP, child.key, moved, manager="somebody")
    cached = {name: changed[name] for name in ("apiVersion", "kind", "metadata")}

    applied = await writer.ensure(owner, child, Cache(cached))

    assert applied.changed
    assert applied.live["data"] == {"a": "x"}
    assert applied.live["binaryData"] == {"theirs": "eA=="}


async def test_other_half_of_somebody_gives_way_to_an_edit(client: Client, owner: Object) -> None:
    """The manifest is another one, and the other half is there: an apply alone is refused."""
    writer = ChildWriter(client)
    get = {"httpGet": {"path": "/", "port": 1, "scheme": "HTTP"}}
    child = with_probe(owner, get)
    await writer.ensure(owner, child, Cache())
    path = "/spec/template/spec/containers/0/readinessProbe"
    theirs = {"op": "replace", "path": path, "value": {"exec": {"command": ["true"]}}}
    damaged = await client.json_patch(DEPLOYMENT, child.key, [theirs], manager="somebody")

    edited = with_probe(owner, {"tcpSocket": {"port": 2}})
    applied = await settled(writer, owner, edited, damaged)

    (container,) = applied.live["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["tcpSocket"] == {"port": 2}
    assert not {"exec", "httpGet"} & container["readinessProbe"].keys()


def with_probe(owner: Object, probe: dict[str, Any]) -> Child:
    child = deployment(owner)
    (container,) = child.manifest["spec"]["template"]["spec"]["containers"]
    container["readinessProbe"] = probe
    return child


async def test_foreign_object_is_refused_by_name_and_left_alone(
    client: Client, owner: Object, namespace: str
) -> None:
    """Our caches do not show it, because it lacks our label (B10)."""
    foreign = await client.create(
        SERVICE_ACCOUNT,
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "demo-sa", "namespace": namespace},
        },
        manager="test",
    )
    wanted = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": "demo-sa",
            "namespace": namespace,
            "labels": {"ours": "yes"},
            "ownerReferences": [owner_reference_to(owner)],
        },
    }

    with pytest.raises(ResourceConflict, match=r'ServiceAccount "demo-sa".*has no owner'):
        await ChildWriter(client).ensure(owner, Child(SERVICE_ACCOUNT, wanted), Cache())

    after = await client.get(SERVICE_ACCOUNT, ObjectKey(namespace, "demo-sa"))
    assert after["metadata"]["resourceVersion"] == foreign["metadata"]["resourceVersion"]


async def test_child_that_lost_its_label_is_found_again(client: Client, owner: Object) -> None:
    """It left the cache's selector; a create would fail for ever, an apply to nobody's object."""
    writer = ChildWriter(client)
    child = deployment(owner, "A", replicas=1)
    await writer.ensure(owner, child, Cache())

    found = await ChildWriter(client).ensure(owner, child, Cache())

    assert not found.changed


async def test_recreated_namesake_is_not_overwritten(client: Client, owner: Object) -> None:
    """The apply carries the uid of the object that the decision was made for (E9)."""
    writer = ChildWriter(client)
    created = await writer.ensure(owner, deployment(owner, "A"), Cache())
    stale = {**created.live, "metadata": {**created.live["metadata"], "uid": "another"}}

    with pytest.raises(Conflict):
        await writer.ensure(owner, deployment(owner, "B"), Cache(stale))


async def test_child_under_deletion_is_waited_for(client: Client, owner: Object) -> None:
    child = deployment(owner)
    child.manifest["metadata"]["finalizers"] = ["example.com/hold"]
    writer = ChildWriter(client)
    created = await writer.ensure(owner, child, Cache())
    uid = created.live["metadata"]["uid"]
    await client.delete(DEPLOYMENT, child.key, uid=uid)

    with pytest.raises(BeingDeleted):
        await writer.ensure(owner, child, Cache())

    remove = [{"op": "remove", "path": "/metadata/finalizers"}]
    await client.json_patch(DEPLOYMENT, child.key, remove, manager="test")
