# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A configuration from another namespace, where the administrator allows that (R-D12)."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any

import pytest

from hack.cluster.plane import ControlPlane
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually, manifest

pytestmark = pytest.mark.apiserver

BASE = resources.files("configs").joinpath("data/base/starter.yaml").read_text("utf-8")
SHARED = "shared-configs"
SOURCE = f"/api/v1/namespaces/{SHARED}/configmaps"


@pytest.fixture(scope="module")
def operator_flags() -> tuple[str, ...]:
    return ("--allow-cross-namespace-config",)


@pytest.fixture
def world(operator: OperatorProcess, kwok_plane: ControlPlane, kwok_namespace: str) -> World:
    client = kwok_plane.client
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SHARED}}
    client.request("POST", "/api/v1/namespaces", namespace)
    return World(kwok_plane, kwok_namespace)


def mounted(world: World) -> str:
    pod = world.must_get("deployment", "demo")["spec"]["template"]["spec"]
    (name,) = [v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v]
    return str(name)


def test_content_is_copied_followed_and_pruned(world: World) -> None:
    source: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "base"},
        "data": {"config.yaml": BASE},
    }
    world.client.request("POST", SOURCE, source)
    # The name that the copy would have is somebody else's.
    digest = hashlib.sha256(BASE.encode()).hexdigest()
    foreign = {"kind": "ConfigMap", "metadata": {"name": f"demo-config-{digest[:8]}"}}
    world.create("configmap", {"apiVersion": "v1", **foreign})
    override = {"configMapName": "base", "configMapNamespace": SHARED}
    spec = {"distribution": {"name": "starter"}, "overrideConfig": override}
    world.create("llsd", {**manifest("demo"), "spec": spec})
    status = world.wait_ready()["status"]
    first = mounted(world)
    copy = world.must_get("configmap", first)

    names = [first]
    for number in range(2):
        changed = {"data": {"config.yaml": f"{BASE}# {number}\n"}}
        merge = "application/merge-patch+json"
        world.client.raw("PATCH", f"{SOURCE}/base", changed, content_type=merge)
        names.append(eventually("a new copy is mounted", lambda: _other_than(world, names)))
        world.wait_ready()
    eventually("the oldest copy is gone", lambda: first not in world.config_maps())

    assert first == f"demo-config-{digest[:16]}"
    assert copy["data"] == {"config.yaml": BASE}
    assert copy["immutable"] is True
    assert copy["metadata"]["ownerReferences"][0]["name"] == "demo"
    assert status["resolvedDistribution"]["configSource"] == "override"
    assert "configGeneration" not in status
    assert world.config_maps() == [f"demo-config-{digest[:8]}", *names[1:]]


def _other_than(world: World, names: list[str]) -> str:
    now = mounted(world)
    return "" if now in names else now
