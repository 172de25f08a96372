# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reconciles of children in which somebody put what excludes what we send, or is no part of it."""

from __future__ import annotations

import pytest

from controller.llamastack.objects.kinds import DEPLOYMENT, SERVICE
from informers.errors import Invalid, NamespaceTerminating
from tests.support.fakeapi import failures
from tests.support.fakeapi.client import Fault
from tests.support.fakeapi.objects import Json
from tests.support.one_resource import CHILDREN, KEY, LEAST, OneResource, child_key

pytestmark = pytest.mark.looptime

NAME = CHILDREN[SERVICE]
PATCHED, APPLIED = f"json-patch services {NAME}", f"apply services {NAME}"
REFUSED = failures.failure(422, "Invalid", "spec.selector: not with that one")
OTHER_PORT: Json = {**LEAST, "networking": {"port": 9000}}
TWO: Json = {**LEAST, "workload": {"replicas": 2}}
CONTAINER = "/spec/template/spec/containers/0"


async def settled() -> OneResource:
    world = OneResource(LEAST)
    await world.settle()
    return world


def select_more(world: OneResource) -> None:
    """A key too many in the selector, which is one value: the Service leads nowhere."""
    world.api.merge_patch(SERVICE, child_key(SERVICE), {"spec": {"selector": {"foo": "bar"}}})


def selected(world: OneResource) -> set[str]:
    return set(world.api.get(SERVICE, child_key(SERVICE))["spec"]["selector"])


def ports(world: OneResource) -> list[int]:
    return [port["port"] for port in world.api.get(SERVICE, child_key(SERVICE))["spec"]["ports"]]


def of_service(world: OneResource) -> list[str]:
    return [call for call in world.written() if call in {PATCHED, APPLIED}]


def of_deployment(world: OneResource) -> list[str]:
    """What was done to it."""
    name = CHILDREN[DEPLOYMENT]
    return [
        call.split()[0]
        for call in world.written()
        if call.endswith(f" {name}") and "deployments" in call
    ]


async def test_one_patch_puts_right_what_no_apply_can() -> None:
    world = await settled()
    select_more(world)

    await world.reconcile()

    assert of_service(world) == [PATCHED]
    assert "foo" not in selected(world)
    await world.reconcile()
    assert world.client.calls == []


async def test_edit_is_applied_first_and_what_is_left_patched() -> None:
    """Arguments are ours even when there are none, and no apply takes away those of others."""
    world = await settled()
    add = {"op": "add", "path": f"{CONTAINER}/args", "value": ["--debug"]}
    world.api.json_patch(DEPLOYMENT, KEY, [add])
    world.edit(TWO)

    await world.reconcile()

    (container,) = world.deployment["spec"]["template"]["spec"]["containers"]
    assert "args" not in container
    assert world.deployment["spec"]["replicas"] == 2
    assert of_deployment(world)[-2:] == ["apply", "json-patch"]


async def test_apply_that_is_refused_for_it_comes_after_the_patch() -> None:
    world = await settled()
    select_more(world)
    world.edit(OTHER_PORT)

    await world.reconcile_failing(Fault("apply", SERVICE, error=REFUSED))

    assert "foo" not in selected(world)
    assert ports(world) == [9000]
    assert of_service(world)[-2:] == [PATCHED, APPLIED]


async def test_apply_that_is_refused_for_something_else_is_told_of() -> None:
    world = await settled()
    world.edit(TWO)

    raised = await world.reconcile_failing(Fault("apply", DEPLOYMENT, error=REFUSED))

    assert isinstance(raised, Invalid)
    assert "not with that one" in world.message("Ready")
    assert world.deployment["spec"]["replicas"] == 1


async def test_namespace_that_ends_takes_no_second_attempt() -> None:
    world = await settled()
    world.edit(TWO)
    ending = NamespaceTerminating("the namespace is being deleted", code=403)

    await world.reconcile_failing(Fault("apply", DEPLOYMENT, error=ending))

    assert world.deployment["spec"]["replicas"] == 1
    assert of_deployment(world).count("apply") == 1
