# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Another version of the operator brings other images and base configs.

An upgrade is played by an operator with a table of distributions of its own (FR-020a, FR-020b,
FR-020c, FR-100).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from api.conditions import condition
from hack.cluster.plane import ControlPlane
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually, manifest

pytestmark = pytest.mark.apiserver

TABLE = json.loads(resources.files("configs").joinpath("data/distributions.json").read_bytes())
SPEC: dict[str, Any] = {
    "distribution": {"name": "starter"},
    "providers": {"inference": {"provider": "ollama", "endpoint": "http://ollama:11434/v1"}},
}


@pytest.fixture
def world(kubeconfig: Path, kwok_plane: ControlPlane, kwok_namespace: str) -> World:
    return World(kwok_plane, kwok_namespace)


@contextmanager
def operator(kubeconfig: Path, *flags: str) -> Iterator[OperatorProcess]:
    with OperatorProcess(kubeconfig, *flags) as process:
        process.wait_logged("Started workers")
        yield process
        assert process.terminate() == 0


def table(folder: Path, starter: dict[str, Any] | None) -> str:
    """The flag for a table in which ``starter`` is another one, or none."""
    changed = {**TABLE, "starter": starter} if starter else dict(TABLE)
    if starter is None:
        del changed["starter"]
    file = folder / "distributions.json"
    file.write_text(json.dumps(changed))
    return f"--distributions-file={file}"


def replica_sets(world: World) -> set[str]:
    return {found["metadata"]["uid"] for found in _sets(world)}


def with_reason(world: World, reason: str) -> Mapping[str, Any] | None:
    ready = condition(world.must_get("llsd", "demo"), "Ready")
    return ready if ready.get("reason") == reason else None


def test_what_an_upgrade_cannot_generate_any_more_is_left_running(
    world: World, kubeconfig: Path, tmp_path: Path
) -> None:
    with operator(kubeconfig):
        world.create("llsd", {**manifest("demo"), "spec": SPEC})
        world.wait_ready()
    before, old = world.must_get("deployment", "demo"), replica_sets(world)

    with operator(kubeconfig, table(tmp_path, None)):
        answer = eventually("it is noticed", lambda: with_reason(world, "UpgradeConfigFailure"))
        # Another event: the reason is no matter of the first reconcile alone.
        world.patch("llsd", "demo", {"metadata": {"labels": {"looked": "at"}}})
        world.create("llsd", {**manifest("other"), "spec": SPEC})
        fresh = world.wait_condition("ConfigGenerated", "False", "other")
        still = with_reason(world, "UpgradeConfigFailure")
    meanwhile, config_maps = world.must_get("deployment", "demo"), world.config_maps()

    with operator(kubeconfig):
        world.wait_ready()

    assert answer["status"] == "False"
    assert answer["message"].startswith('spec.distribution.name: Unknown distribution "starter"')
    assert "before the operator was upgraded; what runs is left as it is" in answer["message"]
    assert still == answer
    assert fresh["reason"] == "ConfigGenerationFailed"
    assert meanwhile["spec"] == before["spec"]
    assert len(config_maps) == 1
    assert replica_sets(world) == old
    assert ("Warning", "ConfigGenerationFailed") in world.events()


def test_image_and_config_of_an_upgrade_come_in_one_write(
    world: World, kubeconfig: Path, tmp_path: Path
) -> None:
    with operator(kubeconfig):
        world.create("llsd", {**manifest("demo"), "spec": SPEC})
        world.wait_ready()
    old, generation = _pod(world), _generation(world)
    starter = {"image": "registry.example/starter:9", "era": "0.7", "base": "remote-vllm.yaml"}

    with operator(kubeconfig, table(tmp_path, starter)):
        eventually("the upgrade is carried out", lambda: _pod(world) != old)
        world.wait_ready()

    images = {r["spec"]["template"]["spec"]["containers"][0]["image"] for r in _sets(world)}
    new = _pod(world)
    assert _generation(world) == generation + 1
    assert len(_sets(world)) == len(images) == 2
    assert new[0] == "registry.example/starter:9"
    assert new[1] != old[1]


def _sets(world: World) -> list[dict[str, Any]]:
    found = world.all("replicaset")
    return [r for r in found if r["metadata"]["ownerReferences"][0]["name"] == "demo"]


def _generation(world: World) -> int:
    """How often the spec of the Deployment was written."""
    return int(world.must_get("deployment", "demo")["metadata"]["generation"])


def _pod(world: World) -> tuple[str, str]:
    """Image and configuration."""
    pod = world.must_get("deployment", "demo")["spec"]["template"]["spec"]
    (config,) = [v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v]
    return pod["containers"][0]["image"], config
