# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""External agents below a user's own configuration: what their API is called, and that it stays so.

A reconcile that reads the configuration and the ones after it, which know it from what the first
one recorded, have to come to the same: another name would be another ConfigMap, and roll the pods.
"""

from __future__ import annotations

import json
from typing import Final

import pytest

from api.v1alpha2.reasons import Reason
from configs.eras import ERAS, Era, api_of
from controller.llamastack.objects.kinds import CONFIG_MAP
from informers.ports import ObjectKey
from tests.support.bases import text_of
from tests.support.fakeapi.objects import Json
from tests.support.installing import OPTIONS, provider
from tests.support.one_resource import LEAST, OneResource

pytestmark = pytest.mark.looptime

NAMED: Final = LEAST
"""A distribution whose server is known: of 0.7."""

IMAGE: Final[Json] = {"distribution": {"image": "registry.example/own:1"}}
"""An image that nothing is known about."""

BARE: Final = "version: 2\nproviders: {}\n"


def running(config: str, distribution: Json, section: str = "agents") -> OneResource:
    world = OneResource(None, options=OPTIONS)
    world.api.put(CONFIG_MAP, ObjectKey("n", "mine"), data={"config.yaml": config})
    world.edit(
        {
            **distribution,
            "overrideConfig": {"configMapName": "mine"},
            "externalProviders": {section: [provider()]},
        }
    )
    return world


def merged_into(world: OneResource) -> str:
    """The API that pods of the present template merge the provider into."""
    spec = world.deployment["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    name = volumes["external-providers-input"]["configMap"]["name"]
    data = world.api.get(CONFIG_MAP, ObjectKey("n", name))["data"]
    return str(json.loads(data["00-one.json"])["api"])


async def settled(world: OneResource) -> str:
    """Likewise, when several reconciles and a restart have changed nothing."""
    await world.settle()
    first = world.deployment
    world.restart()
    await world.settle()

    assert world.written() == []
    assert world.deployment == first
    return merged_into(world)


@pytest.mark.parametrize("distribution", [NAMED, IMAGE], ids=["named", "image"])
@pytest.mark.parametrize("era", ERAS)
async def test_api_is_what_the_users_own_configuration_calls_it(
    era: Era, distribution: Json
) -> None:
    assert await settled(running(text_of(era), distribution)) == api_of("agents", era)


@pytest.mark.parametrize(
    ("distribution", "name"), [(NAMED, "responses"), (IMAGE, "agents")], ids=["named", "image"]
)
async def test_configuration_that_says_nothing_goes_by_the_distribution(
    distribution: Json, name: str
) -> None:
    assert await settled(running(BARE, distribution)) == name


async def test_edited_configuration_is_followed() -> None:
    world = running(BARE, IMAGE)
    await world.settle()
    text = f"{BARE}apis: [responses]\n"
    world.api.put(CONFIG_MAP, ObjectKey("n", "mine"), data={"config.yaml": text})
    await world.settle()

    assert merged_into(world) == "responses"


@pytest.mark.parametrize("era", ERAS)
async def test_section_is_refused_by_the_server_and_never_by_the_shape_of_a_configuration(
    era: Era,
) -> None:
    known = running(text_of(era), NAMED, "postTraining")
    unknown = running(text_of(era), IMAGE, "postTraining")
    for _ in range(3):
        await known.reconcile()
        await unknown.reconcile()

        assert known.said("ConfigGenerated") == ("False", Reason.CONFIG_GENERATION_FAILED)
        assert unknown.said("ConfigGenerated")[0] == "True"
