# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reconciles of resources with external providers, from the first pod to the removal."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from api.v1alpha2.reasons import Reason
from controller.llamastack.event_handlers import PATIENCE_S
from controller.llamastack.objects.kinds import CONFIG_MAP, DEPLOYMENT, POD
from controller.llamastack.references.config_maps import Reach
from controller.llamastack.render.init_containers import merge_image_of
from controller.llamastack.render.inputs import Options
from controller.runtime.result import Result
from informers.errors import Invalid
from informers.ports import ObjectKey
from tests.support.fakeapi.client import Fault
from tests.support.fakeapi.objects import Json
from tests.support.installing import DONE, OPTIONS, RUNNING, TWO, crash_loop, pod, provider
from tests.support.one_resource import KEY, LEAST, OneResource

pytestmark = pytest.mark.looptime

BASE = resources.files("configs").joinpath("data/base/starter.yaml").read_text("utf-8")
STATUS = "apply llamastackdistributions.llamastack.io/status demo"
SPEC: Json = {**LEAST, "externalProviders": TWO}
OVERRIDE: Json = {**SPEC, "overrideConfig": {"configMapName": "mine"}}
POD_KEY = ObjectKey("n", "demo-abc-1")
ALL_DONE = {"one": DONE, "two": DONE, "merge-config": DONE, "preflight": DONE}
SOON = {KEY: PATIENCE_S}


def inputs_of(world: OneResource) -> str:
    """Name of the ConfigMap that pods install from; empty without one."""
    spec = world.deployment["spec"]["template"]["spec"]
    volumes = {v["name"]: v for v in spec.get("volumes") or ()}
    volume = volumes.get("external-providers-input", {})
    return str(volume.get("configMap", {}).get("name", ""))


def config_maps(world: OneResource) -> set[str]:
    return {obj["metadata"]["name"] for obj in world.api.all(CONFIG_MAP)}


def put_pod(world: OneResource, states: Json, source: str = "", **status: Any) -> None:
    """A pod of the resource that installs."""
    made = pod(states, name=POD_KEY.name, source=source or inputs_of(world), **status)
    metadata = {k: made["metadata"][k] for k in ("labels", "ownerReferences")}
    world.api.put(POD, POD_KEY, metadata=metadata, spec=made["spec"])
    world.api.put_status(POD, POD_KEY, **made["status"])


def phases(world: OneResource) -> list[str]:
    return [each["phase"] for each in world.status.get("externalProviders", ())]


def said(world: OneResource) -> tuple[str, str]:
    return world.said("ExternalProvidersReady")


# --- what is written ------------------------------------------------------------------------------


async def test_first_reconcile_makes_everything_and_the_second_writes_nothing() -> None:
    world = OneResource(SPEC)

    await world.reconcile()
    written = [call.rpartition(" ")[0] for call in world.written()]
    assert written.count("create configmaps") == 1
    (name,) = config_maps(world)
    assert inputs_of(world) == name
    assert sorted(world.api.get(CONFIG_MAP, ObjectKey("n", name))["data"]) == [
        "00-one.json",
        "01-two.json",
        "base.json",
        "config.yaml",
        "install.py",
        "preflight.py",
    ]
    assert phases(world) == ["Pending", "Pending"]
    assert said(world) == ("Unknown", Reason.PROVIDERS_PENDING)

    assert await world.reconcile() == Result.done()
    assert world.client.calls == []
    assert config_maps(world) == {name}


async def test_operator_that_starts_again_writes_nothing() -> None:
    world = OneResource(SPEC)
    await world.settle()
    world.restart()

    await world.reconcile()

    assert world.written() == []


async def test_another_version_of_the_operator_restarts_no_server() -> None:
    world = OneResource(SPEC, options=Options(merge_image="registry.example/operator:1"))
    await world.settle()
    newer = OneResource(None, options=Options(merge_image="registry.example/operator:2"))
    world.start = newer.start
    world.restart()

    await world.reconcile()
    assert world.written() == []

    world.edit({**SPEC, "externalProviders": {**TWO, "install": {"sizeLimit": "4Gi"}}})
    await world.reconcile()
    assert merge_image_of(world.deployment) == "registry.example/operator:2"


async def test_edit_of_a_provider_rolls_the_pods_from_another_config_map() -> None:
    world = OneResource(SPEC)
    await world.settle()
    before = inputs_of(world)
    other = {"inference": [provider("one", image="registry.example/one:2")]}
    world.edit({**LEAST, "externalProviders": other})

    await world.reconcile()

    assert inputs_of(world) != before
    assert config_maps(world) == {before, inputs_of(world)}
    assert world.status["externalProviders"][0]["image"] == "registry.example/one:2"


async def test_removal_takes_everything_away() -> None:
    world = OneResource(SPEC)
    await world.settle()
    put_pod(world, ALL_DONE)
    await world.reconcile()
    world.edit(LEAST)

    await world.settle()

    template = world.deployment["spec"]["template"]
    assert "initContainers" not in template["spec"]
    assert "external" not in json.dumps(template)
    assert inputs_of(world) == ""
    assert "externalProviders" not in world.status
    assert said(world) == ("", "")


async def test_config_maps_of_earlier_inputs_are_pruned() -> None:
    world = OneResource(SPEC)
    for number in range(5):
        config = {"number": number}
        external = {"inference": [provider(config=config)]}
        world.edit({**LEAST, "externalProviders": external})
        await world.settle()
    current = inputs_of(world)

    assert current in config_maps(world)
    assert len(config_maps(world)) == 2


# --- progress -------------------------------------------------------------------------------------


async def test_progress_of_a_pod_wakes_and_is_told() -> None:
    world = OneResource(SPEC)
    await world.settle()
    seen = []
    for states in (
        {},
        {"one": RUNNING},
        {"one": DONE, "two": RUNNING},
        {"one": DONE, "two": DONE, "merge-config": RUNNING},
        ALL_DONE,
    ):
        put_pod(world, states)
        assert KEY in await world.woken()
        await world.reconcile()
        assert world.written() in ([STATUS], [])
        seen.append((phases(world), said(world)[1]))

    assert seen == [
        (["Pending", "Pending"], Reason.PROVIDERS_PENDING),
        (["Installing", "Pending"], Reason.PROVIDERS_INSTALLING),
        (["Ready", "Installing"], Reason.PROVIDERS_INSTALLING),
        (["Ready", "Ready"], Reason.PROVIDERS_INSTALLING),
        (["Ready", "Ready"], Reason.ALL_PROVIDERS_READY),
    ]


async def test_pod_wakes_when_it_gets_further_and_not_when_it_says_the_same() -> None:
    world = OneResource(SPEC)
    await world.settle()
    put_pod(world, {"one": RUNNING})
    await world.woken()

    put_pod(world, {"one": {**RUNNING, "started": True}})
    assert await world.woken() == {}
    put_pod(world, {"one": DONE})
    assert await world.woken() == SOON
    put_pod(world, {"one": DONE, "two": crash_loop(1, "x")})
    assert await world.woken() == SOON
    put_pod(world, {"one": DONE, "two": {**crash_loop(1, "x"), "restartCount": 4}})
    assert await world.woken() == {}


async def test_pod_of_another_input_is_not_believed() -> None:
    world = OneResource(SPEC)
    await world.settle()
    put_pod(world, ALL_DONE, source="demo-config-older")

    await world.reconcile()

    assert phases(world) == ["Pending", "Pending"]


async def test_failure_is_told_and_recovers_without_an_edit() -> None:
    world = OneResource(SPEC)
    await world.settle()
    put_pod(world, {"one": crash_loop(1, "ERROR: x\n\nResolution: y")})
    await world.reconcile()

    assert phases(world) == ["Failed", "Pending"]
    assert said(world) == ("False", Reason.PROVIDER_INSTALL_FAILED)
    assert world.said("Ready") == ("False", Reason.PROVIDER_INSTALL_FAILED)
    assert world.status["phase"] == "Failed"
    assert Reason.PROVIDER_INSTALL_FAILED in world.events()

    put_pod(world, ALL_DONE, phase="Running")
    world.roll_out()
    await world.settle()

    assert phases(world) == ["Ready", "Ready"]
    assert said(world) == ("True", Reason.ALL_PROVIDERS_READY)
    assert world.said("Ready")[0] == "True"


# --- the user's own configuration -----------------------------------------------------------------


def with_override(latency_s: float = 0.0) -> OneResource:
    world = OneResource(None, options=OPTIONS, latency_s=latency_s)
    world.api.put(CONFIG_MAP, ObjectKey("n", "mine"), data={"config.yaml": BASE})
    world.edit(OVERRIDE)
    return world


async def test_users_own_configuration_is_the_base() -> None:
    world = with_override()

    await world.settle()

    ours = inputs_of(world)
    assert config_maps(world) == {"mine", ours}
    assert "config.yaml" not in world.api.get(CONFIG_MAP, ObjectKey("n", ours))["data"]
    volumes = {v["name"]: v for v in world.deployment["spec"]["template"]["spec"]["volumes"]}
    assert volumes["llama-stack-config"] == {
        "name": "llama-stack-config",
        "configMap": {"name": "mine"},
    }
    put_pod(world, ALL_DONE)
    await world.reconcile()
    assert said(world) == ("True", Reason.ALL_PROVIDERS_READY)


async def test_input_that_is_used_again_is_kept_although_another_is_newer() -> None:
    world = with_override(latency_s=1.0)  # so that each is older than the next one
    await world.settle()
    first = ObjectKey("n", inputs_of(world))
    uid = world.api.get(CONFIG_MAP, first)["metadata"]["uid"]
    world.edit({**OVERRIDE, "externalProviders": {"inference": [provider()]}})
    await world.settle()
    assert inputs_of(world) != first.name
    world.edit(OVERRIDE)

    await world.settle()

    assert inputs_of(world) == first.name
    assert world.api.get(CONFIG_MAP, first)["metadata"]["uid"] == uid


async def test_users_configuration_alone_is_left_when_providers_go() -> None:
    world = with_override()
    await world.settle()
    world.edit({**LEAST, "overrideConfig": {"configMapName": "mine"}})

    await world.settle()

    assert inputs_of(world) == ""
    assert "mine" in config_maps(world)
    assert "externalProviders" not in world.status


async def test_copy_of_a_configuration_elsewhere_is_made_once() -> None:
    world = OneResource(None, options=OPTIONS, reach=Reach(elsewhere=True))
    world.api.put(CONFIG_MAP, ObjectKey("shared", "mine"), data={"config.yaml": BASE})
    named = {"configMapName": "mine", "configMapNamespace": "shared"}
    world.edit({**SPEC, "overrideConfig": named})

    await world.settle()

    assert inputs_of(world) in config_maps(world)
    assert len(config_maps(world)) == 3  # and the user's, and its copy


# --- what keeps them from being installed ---------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        pytest.param(
            {**LEAST, "externalProviders": {"postTraining": [provider()]}},
            Reason.CONFIG_GENERATION_FAILED,
            id="era",
        ),
        pytest.param(
            {"distribution": {"image": "registry/own:1"}, "externalProviders": TWO},
            Reason.BASE_CONFIG_REQUIRED,
            id="no-base",
        ),
    ],
)
async def test_spec_that_cannot_be_merged_is_told_and_leaves_what_runs(
    spec: Json, reason: str
) -> None:
    world = OneResource(SPEC)
    await world.settle()
    put_pod(world, ALL_DONE, phase="Running")
    world.roll_out()
    await world.settle()
    before = world.deployment
    world.edit(spec)

    await world.reconcile()

    assert world.written() == [STATUS]
    assert world.deployment == before
    assert said(world) == ("False", reason)
    assert world.said("Available")[0] == "True"
    assert world.status["phase"] == "Failed"


async def test_operator_that_does_not_know_its_image_leaves_what_runs() -> None:
    world = OneResource(SPEC)
    await world.settle()
    before = world.deployment
    world.start = OneResource(None, options=Options()).start
    world.restart()

    await world.reconcile()

    assert world.written() == [STATUS]
    assert world.deployment == before
    assert said(world) == ("False", Reason.VALIDATION_FAILED)
    assert "--operator-image" in world.message("ExternalProvidersReady")
    assert phases(world) == ["Pending", "Pending"]


async def test_operator_that_does_not_know_its_image_serves_everybody_else() -> None:
    world = OneResource(LEAST, options=Options())

    await world.settle()

    assert world.said("DeploymentUpdated") == ("True", "DeploymentUpdated")
    assert said(world) == ("", "")


async def test_deployment_that_is_refused_is_told() -> None:
    world = OneResource(SPEC)
    error = Invalid("no", code=422, reason="Invalid", causes=())

    await world.reconcile_failing(Fault("create", DEPLOYMENT, error=error, times=None))

    assert said(world)[0] == "False"
    assert phases(world) == ["Pending", "Pending"]
