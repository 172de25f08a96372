# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whom an event of a resource or a child wakes, when, and which events wake nobody."""

from __future__ import annotations

from typing import Any

import pytest

from controller.llamastack.children import table
from controller.llamastack.event_handlers import CHILDREN
from controller.llamastack.objects.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    DEPLOYMENT,
    INGRESS,
    LLAMA_STACK,
    MANAGED_BY,
    MANAGED_BY_VALUE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    ROUTE,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
)
from controller.llamastack.watches import OPTIONAL_WATCHES, WATCHES
from informers.ports import ObjectKey, Resource
from tests.support.fakeapi.objects import Json
from tests.support.one_resource import EVERYTHING, KEY, LEAST, POLICIES, OneResource, child_key

pytestmark = pytest.mark.looptime

OTHER = ObjectKey("n", "other")
CHILD = ObjectKey("n", "child")
AT_ONCE = {KEY: 0.0}
NOBODY: dict[ObjectKey, float] = {}

_POD = {"containers": [{"name": "c", "image": "i"}]}
_TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": _POD}
_SPECS: dict[Resource, Json] = {
    DEPLOYMENT: {"selector": {"matchLabels": {"app": "a"}}, "template": _TEMPLATE},
    SERVICE: {"ports": [{"port": 80}]},
    PERSISTENT_VOLUME_CLAIM: {"resources": {"requests": {"storage": "1Gi"}}},
}
_WITHOUT_SPEC = {SERVICE_ACCOUNT, CONFIG_MAP, SECRET}


def owned_by(name: str = KEY.name, **changes: Any) -> list[Json]:
    """Owner references."""
    reference = {"apiVersion": LLAMA_STACK.api_version, "kind": LLAMA_STACK.kind, "name": name}
    return [{**reference, "uid": f"uid-of-{name}", "controller": True, **changes}]


async def quiet_world() -> OneResource:
    """A resource that nobody has to look at."""
    world = OneResource(LEAST, credentials=False, served=[ROUTE])
    await world.woken()
    return world


def put(world: OneResource, resource: Resource, **metadata: Any) -> None:
    """A child of the resource, unless the metadata say something else."""
    found = {"labels": {MANAGED_BY: MANAGED_BY_VALUE}, "ownerReferences": owned_by(), **metadata}
    content = {} if resource in _WITHOUT_SPEC else {"spec": _SPECS.get(resource, {})}
    world.api.put(resource, CHILD, metadata=found, **content)


def by_kind(*kinds: Resource) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("resource", kinds, ids=[kind.kind for kind in kinds])


def test_every_row_of_the_watch_table_is_tested_here_or_with_references() -> None:
    rows = {watch.resource for watch in (*WATCHES, *OPTIONAL_WATCHES)}

    assert rows == {LLAMA_STACK, POD, *CHILDREN}
    assert set(table.RESOURCES) < set(CHILDREN)


# --- the resource itself --------------------------------------------------------------------------


async def test_every_change_of_a_resource_wakes_it_and_nobody_else() -> None:
    world = OneResource(None)
    world.api.put(LLAMA_STACK, OTHER, spec=LEAST)
    assert await world.woken() == {OTHER: 0.0}

    world.edit(LEAST)
    assert await world.woken() == AT_ONCE
    world.edit({**LEAST, "workload": {"replicas": 2}})
    assert await world.woken() == AT_ONCE
    world.api.put(LLAMA_STACK, KEY, metadata={"labels": {"a": "b"}})
    assert await world.woken() == AT_ONCE
    world.api.put_status(LLAMA_STACK, KEY, phase="Edited")
    assert await world.woken() == AT_ONCE
    world.api.delete(LLAMA_STACK, KEY)
    assert await world.woken() == AT_ONCE


# --- children -------------------------------------------------------------------------------------


@by_kind(*CHILDREN)
async def test_child_that_appears_changes_or_goes_wakes_its_owner(resource: Resource) -> None:
    world = await quiet_world()

    put(world, resource)
    assert await world.woken() == AT_ONCE
    put(world, resource, labels={MANAGED_BY: MANAGED_BY_VALUE, "edited": "yes"})
    assert await world.woken() == AT_ONCE
    world.api.delete(resource, CHILD)
    assert await world.woken() == AT_ONCE


@by_kind(*CHILDREN)
async def test_child_that_loses_our_label_wakes_its_owner(resource: Resource) -> None:
    world = await quiet_world()
    put(world, resource)
    await world.woken()

    put(world, resource, labels={})

    assert await world.woken() == AT_ONCE


@by_kind(*CHILDREN)
@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"ownerReferences": []}, id="no-owner"),
        pytest.param({"ownerReferences": owned_by(controller=False)}, id="no-controller"),
        pytest.param({"ownerReferences": owned_by(kind="Thing")}, id="another-kind"),
        pytest.param({"ownerReferences": owned_by(apiVersion="x.io/v1")}, id="another-group"),
        pytest.param({"labels": {}}, id="without-our-label"),
    ],
)
async def test_object_that_is_no_child_of_ours_wakes_nobody(
    resource: Resource, metadata: Json
) -> None:
    world = await quiet_world()

    put(world, resource, **metadata)
    assert await world.woken() == NOBODY
    world.api.delete(resource, CHILD)
    assert await world.woken() == NOBODY


@by_kind(*CHILDREN)
async def test_child_that_gets_another_owner_wakes_both(resource: Resource) -> None:
    world = await quiet_world()
    put(world, resource)
    await world.woken()

    put(world, resource, ownerReferences=owned_by(OTHER.name))

    assert await world.woken() == {KEY: 0.0, OTHER: 0.0}


_COUNTERS = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 0, "unavailableReplicas": 1}


@pytest.mark.parametrize(
    ("resource", "status", "wakes"),
    [
        pytest.param(DEPLOYMENT, _COUNTERS, NOBODY, id="rollout-counters"),
        pytest.param(DEPLOYMENT, {"availableReplicas": 1}, AT_ONCE, id="rollout-goes-on"),
        pytest.param(
            DEPLOYMENT,
            {
                "observedGeneration": 1,
                "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}],
            },
            AT_ONCE,
            id="rollout-is-stuck",
        ),
        pytest.param(AUTOSCALER, {"currentReplicas": 2}, NOBODY, id="autoscaler"),
        pytest.param(POD_DISRUPTION_BUDGET, {"currentHealthy": 2}, NOBODY, id="budget"),
        pytest.param(
            INGRESS, {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}, AT_ONCE, id="address"
        ),
        pytest.param(ROUTE, {"ingress": [{"host": "h"}]}, AT_ONCE, id="route"),
    ],
)
async def test_status_of_a_child_wakes_where_it_changes_what_is_said(
    resource: Resource, status: Json, wakes: dict[ObjectKey, float]
) -> None:
    world = await quiet_world()
    put(world, resource)
    await world.woken()

    world.api.put_status(resource, CHILD, **status)

    assert await world.woken() == wakes


@by_kind(DEPLOYMENT, AUTOSCALER, POD_DISRUPTION_BUDGET)
async def test_spec_of_a_child_wakes_also_where_its_status_does_not(resource: Resource) -> None:
    world = await quiet_world()
    put(world, resource)
    await world.woken()

    world.api.put(resource, CHILD, spec={**_SPECS.get(resource, {}), "minReplicas": 4})

    assert await world.woken() == AT_ONCE


# --- own writes -----------------------------------------------------------------------------------


async def lagging_reconcile() -> OneResource:
    """A reconcile whose writes no cache shows yet."""
    world = OneResource(EVERYTHING, options=POLICIES)
    await world.woken()
    world.operator.caches.lag()
    await world.reconcile()
    return world


async def test_echoes_of_own_writes_wake_nobody() -> None:
    world = await lagging_reconcile()
    assert len(world.written()) > len(table.KINDS)

    world.operator.caches.lag(lags=False)

    assert await world.woken() == NOBODY


async def test_echoes_that_come_before_the_answers_wake_nobody() -> None:
    world = OneResource(EVERYTHING, options=POLICIES)
    await world.woken()

    world.operator.consistency.started(KEY)
    await world.reconcile()

    assert world.operator.consistency.finished(KEY) is None
    assert await world.woken() == NOBODY


@by_kind(SERVICE, DEPLOYMENT, INGRESS, PERSISTENT_VOLUME_CLAIM)
async def test_change_of_somebody_else_after_an_own_write_wakes(resource: Resource) -> None:
    world = await lagging_reconcile()
    live = world.api.get(resource, child_key(resource))
    labels = {**live["metadata"]["labels"], "edited": "yes"}
    world.api.put(resource, child_key(resource), metadata={"labels": labels})

    world.operator.caches.lag(lags=False)

    assert await world.woken() == AT_ONCE


async def test_edit_during_a_reconcile_wakes() -> None:
    world = await lagging_reconcile()
    world.edit(LEAST)

    world.operator.caches.lag(lags=False)

    assert await world.woken() == AT_ONCE
