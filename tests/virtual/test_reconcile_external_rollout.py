# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What rolls the pods of a server with external providers, how often, and what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from controller.llamastack.objects.kinds import DEPLOYMENT
from controller.llamastack.render import init_containers
from controller.llamastack.render.init_containers import merge_image_of
from controller.llamastack.render.inputs import Options
from tests.support.fakeapi.objects import Json
from tests.support.installing import MERGE_IMAGE, OPTIONS, provider
from tests.support.one_resource import LEAST, OneResource

pytestmark = pytest.mark.looptime

NEW_IMAGE: Final = "registry.example/operator:2"
CONFIG: Final = {"url": "http://v:8000", "nested": {"b": [1, 2]}}
ONE: Final = provider("one", config=CONFIG)
TWO: Final = provider("two")
BEFORE: Final[Json] = {**LEAST, "externalProviders": {"inference": [ONE, TWO]}}


def external(*providers: Json, **more: Any) -> Json:
    return {**LEAST, "externalProviders": {"inference": list(providers), **more}}


async def started() -> OneResource:
    world = OneResource(BEFORE, options=OPTIONS)
    await world.settle()
    return world


async def rolls(world: OneResource) -> int:
    """How often the template of the pods is another one until there is nothing to do."""
    template, count = world.deployment["spec"]["template"], 0
    for _ in range(5):
        await world.reconcile()
        now = world.deployment["spec"]["template"]
        count += now != template
        template = now
    assert world.written() == []
    return count


def upgrade(world: OneResource, options: Options) -> None:
    """Another version of the operator takes over."""
    world.start = OneResource(None, options=options).start
    world.restart()


ROLLS: Final[dict[str, Json]] = {
    "image": external({**ONE, "image": "registry.example/one:2"}, TWO),
    "pull-policy": external({**ONE, "imagePullPolicy": "Always"}, TWO),
    "config": external({**ONE, "config": {**CONFIG, "url": "http://w:8000"}}, TWO),
    "no-config": external(provider("one"), TWO),
    "order-in-config": external(
        {**ONE, "config": {**CONFIG, "nested": {"a": 1, "b": [2, 1]}}}, TWO
    ),
    "order": external(TWO, ONE),
    "section": external(ONE, vectorIo=[TWO]),
    "one-more": external(ONE, TWO, provider("three")),
    "one-less": external(ONE),
    "resources": external(ONE, TWO, install={"resources": {"limits": {"memory": "4Gi"}}}),
    "size": external(ONE, TWO, install={"sizeLimit": "8Gi"}),
    "none": LEAST,
}

STAYS: Final[dict[str, Json]] = {
    "keys-of-config": external({**ONE, "config": dict(reversed(CONFIG.items()))}, TWO),
    "keys-of-a-provider": external(dict(reversed(ONE.items())), TWO),
    "default-pull-policy": external({**ONE, "imagePullPolicy": "IfNotPresent"}, TWO),
    "empty-sections": external(ONE, TWO, safety=[], install={}),
    "same-size-in-other-words": external(ONE, TWO, install={"sizeLimit": "2Gi"}),
    "default-memory": external(ONE, TWO, install={"resources": {"limits": {"memory": "512Mi"}}}),
    "replicas": {**BEFORE, "workload": {"replicas": 3}},
}


@pytest.mark.parametrize("spec", ROLLS.values(), ids=ROLLS)
async def test_change_of_what_is_installed_rolls_once(spec: Json) -> None:
    world = await started()
    world.edit(spec)

    assert await rolls(world) == 1


@pytest.mark.parametrize("spec", STAYS.values(), ids=STAYS)
async def test_equal_resource_never_rolls(spec: Json) -> None:
    world = await started()
    world.edit(spec)

    assert await rolls(world) == 0


@pytest.mark.parametrize("spec", STAYS.values(), ids=STAYS)
async def test_equal_resource_does_not_roll_after_an_upgrade_either(spec: Json) -> None:
    world = await started()
    upgrade(world, replace(OPTIONS, merge_image=NEW_IMAGE))
    assert await rolls(world) == 0
    world.edit(spec)

    assert await rolls(world) == 0
    assert merge_image_of(world.deployment) == MERGE_IMAGE


async def test_another_merge_image_alone_leaves_the_deployment() -> None:
    world = await started()
    before = world.deployment
    upgrade(world, replace(OPTIONS, merge_image=NEW_IMAGE))

    await world.settle()

    assert world.deployment == before


@pytest.mark.parametrize("spec", ROLLS.values(), ids=ROLLS)
async def test_merge_image_comes_with_the_next_roll_which_is_one(spec: Json) -> None:
    world = await started()
    upgrade(world, replace(OPTIONS, merge_image=NEW_IMAGE))
    world.edit(spec)

    assert await rolls(world) == 1
    assert merge_image_of(world.deployment) == ("" if spec == LEAST else NEW_IMAGE)


async def test_another_revision_of_the_merge_rolls_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await started()
    monkeypatch.setattr(init_containers, "REVISION", "another")
    upgrade(world, replace(OPTIONS, merge_image=NEW_IMAGE))

    assert await rolls(world) == 1
    assert merge_image_of(world.deployment) == NEW_IMAGE


@pytest.mark.parametrize(
    "options",
    [
        replace(OPTIONS, install_memory="1Gi"),
        replace(OPTIONS, install_size="4Gi"),
        replace(OPTIONS, preflight=False),
        replace(OPTIONS, image_volumes=True),
    ],
)
async def test_another_flag_of_the_operator_rolls_once_and_nobody_else(options: Options) -> None:
    world, other = await started(), OneResource(LEAST, options=OPTIONS)
    await other.settle()
    before = other.api.all(DEPLOYMENT)
    for each in (world, other):
        upgrade(each, options)

    assert await rolls(world) == 1
    assert await rolls(other) == 0
    assert other.api.all(DEPLOYMENT) == before
