# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reconciles that meet an object of a child's name that is not theirs, or is on its way out."""

from __future__ import annotations

from typing import Any

import pytest

from api.v1alpha2.reasons import Reason
from controller.llamastack.objects.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    LLAMA_STACK,
    MANAGED_BY,
    MANAGED_BY_VALUE,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
)
from controller.llamastack.objects.ownership import PREDECESSOR
from controller.llamastack.render import names
from controller.runtime.result import Result
from informers.ports import ObjectKey, Resource, key_of
from tests.support.fakeapi.objects import Json, encoded
from tests.support.one_resource import (
    CHILDREN,
    EVERYTHING,
    KEY,
    LEAST,
    POLICIES,
    WITH_SECRET,
    OneResource,
    child_key,
)

pytestmark = pytest.mark.looptime

NEEDED_BY_PODS = (SERVICE_ACCOUNT, PERSISTENT_VOLUME_CLAIM, NETWORK_POLICY)
NOT_NEEDED_BY_PODS = tuple(kind for kind in CHILDREN if kind not in NEEDED_BY_PODS)

_POD = {"containers": [{"name": "c", "image": "i"}]}
_LABELS = {"matchLabels": {"app": "theirs"}}
_SPECS: dict[Resource, Json] = {
    DEPLOYMENT: {"selector": _LABELS, "template": {"metadata": {"labels": {}}, "spec": _POD}},
    SERVICE: {"ports": [{"port": 80}]},
}
OURS = {"labels": {MANAGED_BY: MANAGED_BY_VALUE}}
OTHER_OWNER = {
    "ownerReferences": [
        {"apiVersion": "v1", "kind": "Thing", "name": "t", "uid": "t", "controller": True}
    ]
}


def put_foreign(world: OneResource, resource: Resource, **metadata: Any) -> Json:
    """Somebody else's object of a child's name."""
    content = {"spec": _SPECS.get(resource, {})} if resource != SERVICE_ACCOUNT else {}
    return world.api.put(resource, child_key(resource), metadata=metadata, **content)


def is_untouched(world: OneResource, resource: Resource, obj: Json) -> bool:
    return world.api.get(resource, key_of(obj)) == obj


def made(world: OneResource) -> set[Resource]:
    """The kinds of children that are there."""
    return {kind for kind, name in CHILDREN.items() if name in world.there([kind])}


@pytest.mark.parametrize("resource", list(CHILDREN), ids=lambda kind: str(kind.kind))
@pytest.mark.parametrize(
    "metadata", [{}, {**OURS, **OTHER_OWNER}], ids=["unknown", "seen-in-the-cache"]
)
async def test_foreign_object_is_told_of_by_name_and_left_as_it_is(
    resource: Resource, metadata: Json
) -> None:
    world = OneResource(EVERYTHING, options=POLICIES)
    foreign = put_foreign(world, resource, **metadata)

    assert await world.reconcile() == Result.after(60.0)

    assert is_untouched(world, resource, foreign)
    assert world.said("Ready") == ("False", Reason.RESOURCE_CONFLICT)
    assert f'{resource.kind} "{CHILDREN[resource]}"' in world.message("Ready")
    assert world.status["phase"] == "Failed"


@pytest.mark.parametrize("resource", NEEDED_BY_PODS, ids=lambda kind: str(kind.kind))
async def test_foreign_object_that_pods_need_keeps_all_that_comes_later_from_being_made(
    resource: Resource,
) -> None:
    world = OneResource(EVERYTHING, options=POLICIES)
    put_foreign(world, resource)

    await world.reconcile()

    assert made(world) == set(NEEDED_BY_PODS)
    assert world.said("DeploymentUpdated") == ("False", Reason.RESOURCE_CONFLICT)


@pytest.mark.parametrize("resource", NOT_NEEDED_BY_PODS, ids=lambda kind: str(kind.kind))
async def test_foreign_object_that_no_pod_needs_keeps_nothing_from_being_made(
    resource: Resource,
) -> None:
    world = OneResource(EVERYTHING, options=POLICIES)
    put_foreign(world, resource)

    await world.reconcile()

    assert made(world) == set(CHILDREN)
    assert ("resolvedDistribution" in world.status) == (resource != DEPLOYMENT)


async def test_foreign_deployment_says_nothing_of_our_server() -> None:
    world = OneResource(LEAST)
    put_foreign(world, DEPLOYMENT)
    world.api.put_status(DEPLOYMENT, KEY, availableReplicas=1, updatedReplicas=1, replicas=1)

    await world.reconcile()

    assert world.status["availableReplicas"] == 0
    assert world.said("DeploymentReady") == ("False", Reason.DEPLOYMENT_PENDING)


@pytest.mark.parametrize("resource", list(CHILDREN), ids=lambda kind: str(kind.kind))
async def test_name_that_becomes_free_is_taken_at_the_next_look(resource: Resource) -> None:
    world = OneResource(EVERYTHING, options=POLICIES)
    put_foreign(world, resource)
    await world.reconcile()
    world.api.remove(resource, child_key(resource))

    assert await world.reconcile() == Result.done()

    assert f"create {resource} {CHILDREN[resource]}" in world.verbs("create")
    assert world.said("DeploymentUpdated") == ("True", Reason.DEPLOYMENT_UPDATED)


async def test_foreign_object_is_told_of_once() -> None:
    world = OneResource(LEAST)
    put_foreign(world, SERVICE)
    await world.reconcile()
    world.events()

    assert await world.reconcile() == Result.after(60.0)

    assert world.verbs() == ["create services demo-service", "get services demo-service"]
    assert world.events() == []


# --- the ConfigMap, whose name follows from its content -------------------------------------------


async def test_config_map_gets_a_longer_name_if_its_own_is_taken() -> None:
    world = OneResource(WITH_SECRET)
    await world.reconcile()
    name = world.status["configGeneration"]["configMapName"]
    world = OneResource(WITH_SECRET)
    foreign = world.api.put(CONFIG_MAP, ObjectKey("n", name), data={"theirs": "x"})

    assert await world.reconcile() == Result.done()

    longer = world.status["configGeneration"]["configMapName"]
    assert longer.startswith(name)
    assert longer != name
    assert is_untouched(world, CONFIG_MAP, foreign)


async def test_config_map_of_which_every_name_is_taken_is_a_conflict() -> None:
    world = OneResource(WITH_SECRET)
    await world.reconcile()
    digest = world.status["resolvedDistribution"]["configHash"]
    world = OneResource(WITH_SECRET)
    for length in names.CONFIG_HASH_LENGTHS:
        key = ObjectKey("n", names.config_map("demo", digest, length))
        world.api.put(CONFIG_MAP, key, data={})

    assert await world.reconcile() == Result.after(60.0)

    assert world.said("Ready") == ("False", Reason.RESOURCE_CONFLICT)
    assert DEPLOYMENT not in made(world)


async def test_foreign_storage_secret_is_left_alone() -> None:
    source = {"secretKeyRef": {"name": "creds", "key": "key"}}
    storage = {"sql": {"type": "postgres", "connectionString": source}}
    world = OneResource({**LEAST, "storage": storage})
    world.put_credentials(key="postgresql://u:pass@db/data")
    foreign = world.api.put(SECRET, ObjectKey("n", "demo-storage-env"), data=encoded(theirs="x"))

    assert await world.reconcile() == Result.after(60.0)

    assert is_untouched(world, SECRET, foreign)
    assert 'Secret "demo-storage-env"' in world.message("Ready")
    assert DEPLOYMENT not in made(world)


# --- on its way out -------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", list(CHILDREN), ids=lambda kind: str(kind.kind))
async def test_child_that_is_being_deleted_is_made_when_it_is_gone(resource: Resource) -> None:
    world = OneResource(EVERYTHING, options=POLICIES)
    await world.settle()
    key = child_key(resource)
    world.api.put(resource, key, metadata={"finalizers": ["example.com/held"]})
    leaving = world.api.delete(resource, key)

    assert await world.reconcile() == Result.after(5.0)
    assert is_untouched(world, resource, leaving)
    assert world.said("Ready") == ("False", Reason.WAITING_FOR_DELETION)

    world.api.put(resource, key, metadata={"finalizers": []})
    assert await world.reconcile() == Result.done()
    assert world.api.get(resource, key)["metadata"]["uid"] != leaving["metadata"]["uid"]


async def test_children_of_yesterdays_namesake_are_waited_for() -> None:
    world = OneResource(LEAST)
    await world.settle()
    world.api.delete(LLAMA_STACK, KEY)
    world.edit(LEAST)

    assert await world.reconcile() == Result.after(5.0)

    assert world.said("Ready") == ("False", Reason.WAITING_FOR_DELETION)
    assert [call for call in world.written() if "status" not in call] == []
    world.api.collect_garbage()
    assert await world.reconcile() == Result.done()
    owner = world.api.get(LLAMA_STACK, KEY)["metadata"]["uid"]
    assert world.deployment["metadata"]["ownerReferences"][0]["uid"] == owner


async def test_status_of_somebody_else_is_replaced_once() -> None:
    """An apply leaves what another manager owns: the Go operator's status would stay for ever."""
    world = OneResource(LEAST)
    said = {
        "type": "StorageReady",
        "status": "False",
        "reason": "StorageFailed",
        "message": "of a volume that was removed",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    world.api.put_status(LLAMA_STACK, KEY, phase="Ready", routeURL="", conditions=[said])

    await world.reconcile()

    assert "routeURL" not in world.status
    assert "StorageReady" not in {c["type"] for c in world.status["conditions"]}
    assert world.said("ConfigGenerated") == ("True", Reason.DISTRIBUTION_DEFAULT)
    world.client.calls.clear()
    await world.reconcile()
    assert world.verbs() == []


async def test_deployment_that_the_go_operator_lost_is_adopted() -> None:
    world = OneResource(LEAST)
    await world.reconcile()
    made = world.api.get(DEPLOYMENT, child_key(DEPLOYMENT))
    metadata = {key: made["metadata"][key] for key in ("labels", "name", "namespace")}
    world.api.delete(DEPLOYMENT, child_key(DEPLOYMENT))
    lost = {**made, "metadata": metadata}
    lost["spec"]["template"]["spec"]["containers"].append({"name": "old", "image": "i"})
    world.api.create(DEPLOYMENT, lost, manager=PREDECESSOR)

    await world.reconcile()

    found = world.api.get(DEPLOYMENT, child_key(DEPLOYMENT))
    assert [o["name"] for o in found["metadata"]["ownerReferences"]] == [KEY.name]
    assert [c["name"] for c in found["spec"]["template"]["spec"]["containers"]] == ["llama-stack"]


async def test_lost_deployment_of_anybody_else_is_a_conflict() -> None:
    world = OneResource(LEAST)
    await world.reconcile()
    made = world.api.get(DEPLOYMENT, child_key(DEPLOYMENT))
    metadata = {key: made["metadata"][key] for key in ("labels", "name", "namespace")}
    world.api.delete(DEPLOYMENT, child_key(DEPLOYMENT))
    foreign = world.api.create(DEPLOYMENT, {**made, "metadata": metadata}, manager="helm")

    await world.reconcile()

    assert is_untouched(world, DEPLOYMENT, foreign)
    assert world.said("Ready") == ("False", Reason.RESOURCE_CONFLICT)
