# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reconciles after edits: what is not wanted any more goes, and nothing else does."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from controller.llamastack.objects.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    DEPLOYMENT,
    INGRESS,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    SECRET,
)
from controller.llamastack.render.inputs import Options
from controller.runtime.result import Result
from informers.ports import ObjectKey, Resource, key_of
from tests.support.authority import Authority
from tests.support.fakeapi.objects import Json
from tests.support.one_resource import (
    EVERYTHING,
    LEAST,
    POLICIES,
    WITH_SECRET,
    WITH_VOLUME,
    OneResource,
    child_key,
)

pytestmark = pytest.mark.looptime

REPLICAS: Json = {**LEAST, "workload": {"replicas": 2}}
SCALED: Json = {**LEAST, "workload": {"autoscaling": {"maxReplicas": 2}}}
EXPOSED: Json = {**LEAST, "networking": {"expose": {}}}
HIDDEN: Json = {**LEAST, "networking": {"expose": False}}
SOURCE: Json = {"secretKeyRef": {"name": "creds", "key": "key"}}
DATABASE: Json = {**LEAST, "storage": {"sql": {"type": "postgres", "connectionString": SOURCE}}}
OWN_SECRET = ObjectKey("n", "demo-storage-env")


@pytest.mark.parametrize(
    ("before", "after", "gone"),
    [
        pytest.param(EXPOSED, LEAST, {INGRESS}, id="ingress"),
        pytest.param(EXPOSED, HIDDEN, {INGRESS}, id="ingress-switched-off"),
        pytest.param(REPLICAS, LEAST, {POD_DISRUPTION_BUDGET}, id="budget"),
        pytest.param(SCALED, REPLICAS, {AUTOSCALER}, id="autoscaler"),
        pytest.param(SCALED, LEAST, {AUTOSCALER, POD_DISRUPTION_BUDGET}, id="both"),
        pytest.param(WITH_VOLUME, LEAST, set(), id="claim-is-kept"),
    ],
)
async def test_child_that_an_edit_no_longer_asks_for_is_deleted(
    before: Json, after: Json, gone: set[Resource]
) -> None:
    world = OneResource(before)
    await world.settle()
    there = world.there()
    world.edit(after)

    assert await world.reconcile() == Result.done()

    assert sorted(world.verbs("delete")) == sorted(
        f"delete {kind} {child_key(kind).name}" for kind in gone
    )
    assert world.there() == there - {child_key(kind).name for kind in gone}
    await world.reconcile()
    assert world.client.calls == []


async def test_network_policy_goes_when_policies_are_switched_off() -> None:
    world = OneResource(LEAST, options=POLICIES)
    await world.settle()
    world.start = functools.partial(world.start, options=Options())
    world.restart()

    assert await world.reconcile() == Result.done()

    assert world.verbs("delete") == [f"delete {NETWORK_POLICY} demo-network-policy"]
    assert world.there([NETWORK_POLICY]) == set()


async def test_child_goes_after_the_deployment_was_written() -> None:
    world = OneResource({**EXPOSED, "workload": {"replicas": 2}})
    await world.settle()
    world.edit(LEAST)

    await world.reconcile()

    kinds = [(call.verb, call.resource) for call in world.client.calls]
    assert kinds.index(("apply", DEPLOYMENT)) < kinds.index(("delete", INGRESS))


async def test_foreign_object_of_an_unwanted_childs_name_stays() -> None:
    world = OneResource(LEAST)
    world.api.put(INGRESS, child_key(INGRESS), metadata=world_labels(), spec={})

    assert await world.reconcile() == Result.done()

    assert world.verbs("delete") == []
    assert world.there([INGRESS]) == {"demo-ingress"}


def world_labels() -> Json:
    """So that the cache shows it."""
    return {"labels": {"app.kubernetes.io/managed-by": "llama-stack-operator"}}


async def test_leftover_that_is_being_deleted_is_not_deleted_again() -> None:
    world = OneResource(EXPOSED)
    await world.settle()
    world.api.put(INGRESS, child_key(INGRESS), metadata={"finalizers": ["example.com/held"]})
    world.edit(LEAST)
    await world.reconcile()
    assert world.verbs("delete") != []

    assert await world.reconcile() == Result.done()
    assert world.verbs("delete") == []


async def test_storage_secret_goes_only_when_no_pod_of_the_old_template_is_left() -> None:
    world = OneResource(DATABASE)
    world.put_credentials(key="postgresql://u:pass@db/data")
    await world.settle()
    world.roll_out()
    world.edit(LEAST)

    await world.reconcile()
    assert world.api.find(SECRET, OWN_SECRET) is not None

    world.roll_out()
    await world.reconcile()
    assert world.api.find(SECRET, OWN_SECRET) is None


# --- generated ConfigMaps -------------------------------------------------------------------------


def numbered(number: int) -> Json:
    """A spec with a configuration of its own."""
    inference = {"provider": "vllm", "endpoint": f"http://v{number}:8000"}
    return {**LEAST, "providers": {"inference": inference}}


async def edited(world: OneResource, number: int) -> str:
    """One more edit: the name of its ConfigMap."""
    world.edit(numbered(number))
    await world.reconcile()
    name: str = world.status["configGeneration"]["configMapName"]
    return name


async def test_generated_config_maps_go_but_for_the_current_one_and_the_one_before() -> None:
    world = OneResource(None)

    made = [await edited(world, number) for number in range(4)]

    assert len(set(made)) == 4
    assert world.there([CONFIG_MAP]) == set(made[-2:])


async def test_nobody_looks_for_pods_while_there_is_nothing_to_prune() -> None:
    world = OneResource(None)

    for number in range(2):
        await edited(world, number)
        assert world.verbs("list") == []


async def test_config_map_that_a_pod_still_uses_stays() -> None:
    world = OneResource(None)
    first = await edited(world, 0)
    template = world.deployment["spec"]["template"]
    metadata = {"labels": template["metadata"]["labels"]}
    old = world.api.put(
        REPLICA_SET,
        ObjectKey("n", "demo-1"),
        metadata=metadata,
        spec={"replicas": 1, "selector": {}, "template": template},
    )
    made = [first, *[await edited(world, number) for number in range(1, 4)]]
    assert world.there([CONFIG_MAP]) == {first, *made[-2:]}

    world.api.put(REPLICA_SET, key_of(old), spec={**old["spec"], "replicas": 0})
    made.append(await edited(world, 4))

    assert world.there([CONFIG_MAP]) == set(made[-2:])


async def test_edit_that_goes_back_uses_the_config_map_that_is_there() -> None:
    world = OneResource(None)
    first = await edited(world, 0)
    await edited(world, 1)

    assert await edited(world, 0) == first

    assert world.verbs("create") == []
    assert len(world.there([CONFIG_MAP])) == 2


async def test_config_map_that_vanished_is_made_again() -> None:
    world = OneResource(WITH_SECRET)
    await world.settle()
    (name,) = world.there([CONFIG_MAP])
    world.api.delete(CONFIG_MAP, ObjectKey("n", name))

    assert await world.reconcile() == Result.done()

    assert world.verbs() == [f"create configmaps {name}"]


async def test_bundle_of_certificates_goes_with_the_last_reference_to_one() -> None:
    world = OneResource({**LEAST, "networking": {"tls": {"caBundle": {"configMapName": "ca"}}}})
    world.api.put(CONFIG_MAP, ObjectKey("n", "ca"), data={"ca-bundle.crt": Authority("a").pem})
    await world.settle()
    assert "demo-ca-bundle" in world.there([CONFIG_MAP])
    world.edit(LEAST)

    await world.reconcile()

    assert world.there([CONFIG_MAP]) == {"ca"}


# --- drift ----------------------------------------------------------------------------------------


def _broken(world: OneResource, resource: Resource) -> None:
    world.api.remove(resource, child_key(resource))


@pytest.mark.parametrize(
    "resource",
    [DEPLOYMENT, INGRESS, AUTOSCALER, PERSISTENT_VOLUME_CLAIM],
    ids=lambda kind: str(kind.kind),
)
async def test_child_that_vanished_is_made_again(resource: Resource) -> None:
    world = OneResource(EVERYTHING)
    await world.settle()
    _broken(world, resource)

    await world.reconcile()

    assert world.verbs("create") == [f"create {resource} {child_key(resource).name}"]


async def test_field_that_somebody_changed_is_put_back() -> None:
    world = OneResource(LEAST)
    await world.settle()
    live = world.deployment
    wanted: Any = live["spec"]["template"]["spec"]["containers"][0]["image"]
    template = {**live["spec"]["template"]}
    container = {**template["spec"]["containers"][0], "image": "another"}
    template["spec"] = {**template["spec"], "containers": [container]}
    world.api.put(DEPLOYMENT, key_of(live), spec={**live["spec"], "template": template})

    await world.reconcile()

    assert world.deployment["spec"]["template"]["spec"]["containers"][0]["image"] == wanted
