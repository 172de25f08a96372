# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reconciles of resources that name what users made: Secrets, and a configuration of their own."""

from __future__ import annotations

import asyncio
from importlib import resources

import pytest

from api.v1alpha2.reasons import Reason
from controller.llamastack.objects.kinds import CONFIG_MAP, SECRET
from controller.llamastack.references.config_maps import Reach
from controller.llamastack.references.override import ChangedMeanwhile
from controller.llamastack.render.environment import CONFIG_VOLUME
from controller.runtime.result import Result
from informers.errors import TransportError
from informers.ports import ObjectKey
from tests.support.fakeapi.client import Fault
from tests.support.fakeapi.objects import Json
from tests.support.one_resource import CREDENTIALS, KEY, LEAST, WITH_SECRET, OneResource

pytestmark = pytest.mark.looptime

BASE = resources.files("configs").joinpath("data/base/starter.yaml").read_text("utf-8")
STATUS = "apply llamastackdistributions.llamastack.io/status demo"
HOME, ELSEWHERE = ObjectKey("n", "mine"), ObjectKey("shared", "mine")
FAR = Reach(elsewhere=True)


def override(key: ObjectKey = HOME) -> Json:
    named = {"configMapName": key.name}
    if key.namespace != KEY.namespace:
        named["configMapNamespace"] = key.namespace
    return {**LEAST, "overrideConfig": named}


def put_config(world: OneResource, key: ObjectKey = HOME, text: str = BASE) -> None:
    world.api.put(CONFIG_MAP, key, data={"config.yaml": text})


def mounted(world: OneResource) -> list[str]:
    """Names of the ConfigMaps in the pod template."""
    spec = world.deployment["spec"]["template"]["spec"]
    return [v["configMap"]["name"] for v in spec.get("volumes") or () if "configMap" in v]


# --- Secrets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(None, Reason.SECRET_NOT_FOUND, id="no-secret"),
        pytest.param({"other": "v"}, Reason.SECRET_KEY_NOT_FOUND, id="no-key"),
    ],
)
async def test_secret_that_cannot_be_used_keeps_every_child_from_being_made(
    data: dict[str, str] | None, reason: str
) -> None:
    world = OneResource(WITH_SECRET, credentials=False)
    if data is not None:
        world.put_credentials(**data)

    assert await world.reconcile() == Result.done()

    assert world.verbs() == ["get secrets creds", STATUS]
    assert world.said("SecretsResolved") == ("False", reason)
    assert world.said("Ready") == ("False", reason)
    assert world.said("DeploymentUpdated") == ("False", Reason.DEPLOYMENT_NOT_UPDATED)
    assert '"creds' in world.message("SecretsResolved")
    assert world.events() == ["SecretResolutionFailed"]


@pytest.mark.parametrize("data", [None, {"other": "v"}], ids=["no-secret", "no-key"])
async def test_secret_that_becomes_usable_lets_the_next_reconcile_go_on(
    data: dict[str, str] | None,
) -> None:
    world = OneResource(WITH_SECRET, credentials=False)
    if data is not None:
        world.put_credentials(**data)
    await world.reconcile()
    world.put_credentials()

    assert KEY in await world.woken()
    assert await world.reconcile() == Result.done()

    assert world.said("SecretsResolved") == ("True", Reason.SECRETS_RESOLVED)
    assert "demo" in world.there()


async def test_missing_secret_is_not_read_again_until_something_happens() -> None:
    world = OneResource(WITH_SECRET, credentials=False)
    await world.reconcile()

    assert await world.reconcile() == Result.done()
    assert world.client.calls == []


async def test_secret_that_vanished_leaves_what_runs_as_it_is() -> None:
    world = OneResource(WITH_SECRET)
    await world.settle()
    world.roll_out()
    await world.reconcile()
    world.api.delete(SECRET, CREDENTIALS)

    await world.reconcile()

    assert world.written() == [STATUS]
    assert world.said("SecretsResolved") == ("False", Reason.SECRET_NOT_FOUND)
    assert "what runs was left as it is" in world.message("DeploymentUpdated")
    assert world.status["availableReplicas"] == 1


async def test_rotated_secret_rolls_the_pods() -> None:
    world = OneResource(WITH_SECRET)
    await world.settle()
    world.put_credentials(key="another")

    await world.reconcile()

    assert [call for call in world.written() if "deployments" in call] == (
        ["json-patch deployments.apps demo", "apply deployments.apps demo"]
    )


async def test_secret_that_cannot_be_read_ends_the_reconcile_before_anything_is_written() -> None:
    world = OneResource(WITH_SECRET)

    error = await world.reconcile_failing(Fault("get", SECRET, lost=True, times=None))

    assert isinstance(error, TransportError)
    assert world.written() == []
    assert await world.reconcile() == Result.done()
    assert "demo" in world.there()


# --- a configuration of the user's own ------------------------------------------------------------


async def test_own_config_in_the_same_namespace_is_mounted_as_it_is() -> None:
    world = OneResource(override())
    put_config(world)

    assert await world.reconcile() == Result.done()

    assert mounted(world) == ["mine"]
    assert world.there([CONFIG_MAP]) == {"mine"}
    assert world.said("ConfigGenerated") == ("True", Reason.OVERRIDE_CONFIG)
    assert world.status["resolvedDistribution"]["configSource"] == "override"
    assert "configGeneration" not in world.status
    await world.reconcile()
    assert world.client.calls == []


def config_volume(world: OneResource) -> Json:
    """Where the pods have their configuration from."""
    volumes = world.deployment["spec"]["template"]["spec"]["volumes"]
    (volume,) = [v for v in volumes if v["name"] == CONFIG_VOLUME]
    return {key: value for key, value in volume.items() if key != "name"}


async def test_every_key_of_the_users_config_map_is_mounted() -> None:
    world = OneResource(override())
    world.api.put(CONFIG_MAP, HOME, data={"config.yaml": BASE, "more.txt": "1"})
    await world.settle()

    assert config_volume(world) == {"configMap": {"name": "mine"}}
    before = world.deployment["spec"]["template"]
    world.api.put(CONFIG_MAP, HOME, data={"config.yaml": BASE, "more.txt": "2"})
    assert KEY in await world.woken()
    await world.settle()
    assert world.deployment["spec"]["template"] != before


async def test_run_yaml_is_found_and_is_config_yaml_in_the_pod() -> None:
    world = OneResource(override())
    world.api.put(CONFIG_MAP, HOME, data={"run.yaml": BASE, "more.txt": "1"})
    await world.settle()

    item = {"key": "run.yaml", "path": "config.yaml"}
    assert config_volume(world) == {
        "projected": {
            "sources": [
                {"configMap": {"name": "mine"}},
                {"configMap": {"name": "mine", "items": [item]}},
            ]
        }
    }
    # The next operator knows it from what is recorded, and changes nothing.
    world.restart()
    await world.reconcile()
    assert [verb for verb in world.verbs() if not verb.startswith("get")] == []


async def test_run_yaml_elsewhere_is_copied() -> None:
    world = OneResource(override(ELSEWHERE), reach=FAR)
    world.api.put(CONFIG_MAP, ELSEWHERE, data={"run.yaml": BASE})
    await world.settle()

    (name,) = mounted(world)
    copy = world.api.get(CONFIG_MAP, ObjectKey(KEY.namespace, name))
    assert copy["data"] == {"config.yaml": BASE}


async def test_changed_own_config_rolls_the_pods() -> None:
    world = OneResource(override())
    put_config(world)
    await world.settle()
    before = world.deployment["spec"]["template"]
    put_config(world, text=BASE + "\n# another\n")

    assert KEY in await world.woken()
    await world.reconcile()

    assert world.deployment["spec"]["template"] != before


async def test_own_config_elsewhere_runs_as_an_immutable_copy() -> None:
    world = OneResource(override(ELSEWHERE), reach=FAR)
    put_config(world, ELSEWHERE)

    assert await world.reconcile() == Result.done()

    (name,) = mounted(world)
    copy = world.api.get(CONFIG_MAP, ObjectKey("n", name))
    assert name.startswith("demo-config-")
    assert (copy["immutable"], copy["data"]) == (True, {"config.yaml": BASE})
    assert "A copy of the configuration" in world.message("ConfigGenerated")
    await world.reconcile()
    assert world.client.calls == []


async def test_own_config_elsewhere_is_copied_again_when_it_changes() -> None:
    world = OneResource(override(ELSEWHERE), reach=FAR)
    put_config(world, ELSEWHERE)
    await world.settle()
    first = mounted(world)
    text = BASE + "\n# another\n"
    put_config(world, ELSEWHERE, text)

    await world.reconcile()

    (name,) = mounted(world)
    assert [name] != first
    assert world.api.get(CONFIG_MAP, ObjectKey("n", name))["data"]["config.yaml"] == text


async def test_own_config_that_changes_while_it_is_copied_ends_the_reconcile() -> None:
    world = OneResource(override(ELSEWHERE), reach=FAR)
    put_config(world, ELSEWHERE)
    answered = asyncio.Event()
    world.client.faults = [Fault("get", CONFIG_MAP, until=answered)]
    reconcile = asyncio.create_task(world.reconcile(), name="reconcile")
    await world.client.asked(1)
    put_config(world, ELSEWHERE, BASE + "\n# another\n")
    answered.set()

    with pytest.raises(ChangedMeanwhile):
        await reconcile

    assert world.written() == []
    assert await world.reconcile() == Result.done()
    assert "demo" in world.there()


async def test_own_config_elsewhere_is_refused_where_the_administrator_did_not_allow_it() -> None:
    world = OneResource(override(ELSEWHERE))
    put_config(world, ELSEWHERE)

    assert await world.reconcile() == Result.done()

    assert world.verbs() == [STATUS]
    assert world.said("SecretsResolved") == ("False", Reason.CROSS_NAMESPACE_REFERENCE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("version: 9", Reason.UNSUPPORTED_CONFIG_VERSION, id="version"),
        pytest.param("a: [", Reason.CONFIG_GENERATION_FAILED, id="no-yaml"),
    ],
)
async def test_unusable_own_config_creates_nothing_until_it_is_corrected(
    text: str, reason: str
) -> None:
    world = OneResource(override())
    put_config(world, text=text)

    await world.reconcile()
    assert world.written() == [STATUS]
    assert world.said("ConfigGenerated") == ("False", reason)
    assert world.said("Ready") == ("False", reason)
    put_config(world)

    await world.reconcile()
    assert world.said("ConfigGenerated") == ("True", Reason.OVERRIDE_CONFIG)
    assert mounted(world) == ["mine"]


@pytest.mark.parametrize("key", [HOME, ELSEWHERE], ids=["home", "elsewhere"])
async def test_missing_own_config_is_awaited(key: ObjectKey) -> None:
    world = OneResource(override(key), reach=FAR)

    await world.reconcile()
    assert world.said("SecretsResolved") == ("False", Reason.CONFIG_MAP_NOT_FOUND)
    assert world.written() == [STATUS]
    put_config(world, key)

    assert KEY in await world.woken()
    await world.reconcile()
    assert world.said("SecretsResolved") == ("True", Reason.SECRETS_RESOLVED)
    assert len(mounted(world)) == 1
