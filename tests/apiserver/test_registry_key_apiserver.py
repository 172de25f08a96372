# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A live resource whose models change, by the real operator on a real control plane."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.plane import ControlPlane
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver

STATE = "llamastack.io/registry-state"
CHANGED = {"name": "m1", "contextLength": 4096}


@pytest.fixture
def world(world: World) -> World:
    """With a resource that has one model."""
    world.resource("demo", "m1")
    world.wait_ready()
    return world


def edit(world: World, *models: Any) -> int:
    """Change the models; the number of applies of the Deployment that it took.

    The first apply after a create is announced by a patch of its managed fields, which is no apply.
    """
    mark = world.plane.audit.mark()
    world.patch("llsd", "demo", {"spec": {"resources": {"models": list(models)}}})
    world.wait_ready()
    writes = [r for r in world.writes_since(mark) if r.resource == "deployments"]
    return len([r for r in writes if "force=true" in r.uri])


def file_in_use(world: World) -> str:
    """Name of the registry's file in the config that the Deployment mounts."""
    spec = world.must_get("deployment", "demo")["spec"]["template"]["spec"]
    name = next(v["configMap"]["name"] for v in spec["volumes"] if "configMap" in v)
    config: str = world.must_get("configmap", name)["data"]["config.yaml"]
    found = [line for line in config.splitlines() if "/registry" in line]
    return found[0].rpartition("/")[2].strip('"')


def state(world: World) -> dict[str, Any]:
    text = world.must_get("deployment", "demo")["metadata"]["annotations"][STATE]
    found: dict[str, Any] = json.loads(text)
    return found


def resets(world: World) -> list[dict[str, Any]]:
    return [e for e in world.all("event") if e["reason"] == "RegistryReset"]


def test_changed_model_gets_a_new_registry_in_one_write_and_an_event(world: World) -> None:
    assert file_in_use(world) == "registry.db"

    assert edit(world, CHANGED) == 1

    assert file_in_use(world) == "registry-2.db"
    assert state(world)["key"] == 2
    template = world.must_get("deployment", "demo")["spec"]["template"]["metadata"]
    assert STATE not in template.get("annotations", {})
    eventually("the Event", lambda: len(resets(world)) == 1)
    event = resets(world)[0]
    assert event["type"] == "Warning"
    assert "model vllm/m1" in event["note"]

    assert edit(world, "m1") == 1
    assert file_in_use(world) == "registry-3.db", "never one that was used before"


def test_models_that_come_with_their_provider_and_go_keep_the_registry(world: World) -> None:
    inference = world.must_get("llsd", "demo")["spec"]["providers"]["inference"]
    providers = [{**inference, "id": "vllm"}, {**inference, "id": "other"}]
    other = {"name": "m2", "provider": "other"}
    models = [{"name": "m1", "provider": "vllm"}, other]
    both = {"providers": {"inference": providers}, "resources": {"models": models}}

    world.patch("llsd", "demo", {"spec": both})
    assert world.wait_ready()["status"]["configGeneration"]["models"] == ["other/m2", "vllm/m1"]
    edit(world, other)
    edit(world, *models)

    assert file_in_use(world) == "registry.db"
    assert {"model vllm/m1", "model other/m2"} <= set(state(world)["registered"])
    assert resets(world) == []


def test_deployment_that_was_deleted_keeps_its_registry(world: World) -> None:
    edit(world, CHANGED)
    before = world.must_get("deployment", "demo")["metadata"]["uid"]

    world.delete("deployment", "demo")

    def recreated() -> bool:
        found = world.get("deployment", "demo")
        return found is not None and found["metadata"]["uid"] != before

    eventually("the Deployment is back", recreated)
    assert file_in_use(world) == "registry-2.db"
    assert state(world)["key"] == 2


def test_state_written_by_hand_is_believed(world: World) -> None:
    by_hand = {"metadata": {"annotations": {STATE: '{"key":5,"registered":{}}'}}}

    world.patch("deployment", "demo", by_hand)

    eventually("the fifth registry", lambda: file_in_use(world) == "registry-5.db")
    assert "model vllm/m1" in state(world)["registered"]


def test_state_survives_the_config_of_the_image(world: World) -> None:
    before = state(world)
    spec = world.must_get("llsd", "demo")["spec"]

    world.patch("llsd", "demo", {"spec": {"providers": None, "resources": None}})
    source = world.wait_ready()["status"]["resolvedDistribution"]["configSource"]
    during = state(world)
    generated = {"providers": spec["providers"], "resources": {"models": [CHANGED]}}
    world.patch("llsd", "demo", {"spec": generated})
    world.wait_ready()

    assert source == "default"
    assert during == before
    assert file_in_use(world) == "registry-2.db"


def test_operator_that_restarts_writes_nothing(kwok_plane: ControlPlane, kubeconfig: Path,
                                               world: World,
                                               operator: OperatorProcess) -> None:  # fmt: skip
    edit(world, CHANGED)
    eventually("the Event", lambda: len(resets(world)) == 1)
    operator.terminate()
    mark = kwok_plane.audit.mark()

    with OperatorProcess(kubeconfig) as again:
        again.wait_ready()
        again.wait_logged("Started workers")
        name = 'controller_runtime_reconcile_total{controller="llamastackdistribution",result="%s"}'
        eventually("a reconcile", lambda: again.metrics().get(name % "success", 0) >= 1)
        again.terminate()

    own = [r for r in world.writes_since(mark) if r.namespace == world.namespace]
    assert own == []
