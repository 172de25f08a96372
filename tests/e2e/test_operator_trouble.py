# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the status says of pods that a real kubelet cannot run."""

from __future__ import annotations

from typing import Any

import pytest

from api.conditions import condition
from tests.support.world import World, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def _wait_reason(world: World, reason: str) -> dict[str, Any]:
    """The resource ``demo``, once its condition Ready has the reason."""

    def look() -> dict[str, Any] | None:
        cr = world.must_get("llsd", "demo")
        return cr if condition(cr, "Ready").get("reason") == reason else None

    return eventually(f"demo is {reason}", look, 120)


def _requests(**requests: str) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": "100m", "memory": "64Mi", **requests}}}


def test_image_that_is_nowhere(world: World) -> None:
    manifest = {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo"},
        "spec": {"distribution": {"name": "postgres-demo"}, "workload": _requests()},
    }

    world.create("llsd", manifest)

    cr = _wait_reason(world, "ImagePullFailed")
    message = condition(cr, "Ready")["message"]
    assert cr["status"]["phase"] == "Failed"
    assert "docker.io/llamastack/distribution-postgres-demo:" in message
    assert "imagePullSecrets" in message


def test_pod_that_no_node_has_room_for(world: World) -> None:
    world.secret()

    world.resource("demo", workload=_requests(cpu="1000"))

    cr = _wait_reason(world, "Unschedulable")
    assert cr["status"]["phase"] == "Initializing", "nodes may be added"
    assert "Insufficient cpu" in condition(cr, "Ready")["message"]


def test_server_that_is_killed_for_its_memory(world: World) -> None:
    world.secret()
    workload = _requests()
    workload["resources"]["limits"] = {"memory": "64Mi"}

    world.resource("demo", workload=workload)

    cr = _wait_reason(world, "OutOfMemory")
    assert cr["status"]["phase"] == "Failed"
    assert "spec.workload.resources.limits.memory" in condition(cr, "Ready")["message"]


def test_last_words_of_a_server_that_ends(world: World) -> None:
    script = "import sys; sys.exit('ValueError: the moon is not full')"
    overrides = {"command": ["/usr/bin/python3.13", "-c", script]}
    world.secret()

    world.resource("demo", workload={**_requests(), "overrides": overrides})

    cr = _wait_reason(world, "CrashLoop")
    assert cr["status"]["phase"] == "Failed"
    assert "the moon is not full" in condition(cr, "Ready")["message"]
