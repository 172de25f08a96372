# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A status never says of a spec what is true of an older one; whoever waits for Ready gets it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from api.conditions import condition
from controller.llamastack.objects.rollout import RolloutState, assess
from hack.cluster.errors import ClusterError
from hack.cluster.plane import ControlPlane
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver


@pytest.fixture
def operator(kubeconfig: Path) -> Iterator[OperatorProcess]:
    with started(kubeconfig) as process:
        yield process


@contextmanager
def started(kubeconfig: Path) -> Iterator[OperatorProcess]:
    with OperatorProcess(kubeconfig) as process:
        process.wait_logged("Started workers")
        yield process


@pytest.fixture
def world(kwok_plane: ControlPlane, kwok_namespace: str) -> World:
    return World(kwok_plane, kwok_namespace)


def mark_pods(world: World, value: str) -> None:
    """An edit that rolls the pods, and by which each template can be told from the others."""
    overrides = {"annotations": {"edit": value}}
    world.patch("llsd", "demo", {"spec": {"workload": {"overrides": overrides}}})


def states(world: World, kind: str, name: str, since: str) -> list[tuple[int, dict[str, Any]]]:
    """All states of an object since a version, each with its version in the cluster."""
    query = f"?watch=1&resourceVersion={since}&timeoutSeconds=2"
    query += f"&fieldSelector=metadata.name={name}"
    status, body = world.client.raw("GET", world.path(kind) + query, timeout=30.0)
    assert status == 200, body[:200]
    objects = [json.loads(line)["object"] for line in body.splitlines()]
    return [(int(o["metadata"]["resourceVersion"]), o) for o in objects]


def test_ready_is_never_said_of_a_generation_before_it_is_rolled_out(
    operator: OperatorProcess, world: World
) -> None:
    assert operator.running
    world.secret()
    since = world.resource()["metadata"]["resourceVersion"]
    world.wait_ready()
    for edit in ("a", "b", "c"):
        mark_pods(world, edit)
        world.wait_ready()
    # An edit overtakes the rollout of the one before.
    mark_pods(world, "d")
    mark_pods(world, "e")
    world.wait_ready()

    written = states(world, "llsd", "demo", since)
    deployments = states(world, "deployment", "demo", since)

    said = 0
    for version, cr in written:
        ready = condition(cr, "Ready")
        if ready.get("status") != "True":
            continue
        if ready["observedGeneration"] != cr["metadata"]["generation"]:
            continue  # the operator has not seen the edit yet; kubectl does not count that either
        said += 1
        live = [d for at, d in deployments if at < version][-1]
        wanted = (cr["spec"].get("workload") or {}).get("overrides", {}).get("annotations", {})
        assert wanted.items() <= (live["spec"]["template"]["metadata"]["annotations"]).items()
        assert assess(live).state is RolloutState.COMPLETE
    assert said >= 5, "each generation that was waited for became Ready"


def test_first_word_after_an_edit_is_not_ready(operator: OperatorProcess, world: World) -> None:
    assert operator.running
    world.secret()
    world.resource()
    since = world.wait_ready()["metadata"]["resourceVersion"]

    mark_pods(world, "a")
    world.wait_ready()

    written = [cr for _, cr in states(world, "llsd", "demo", since)]
    seen = [cr for cr in written if condition(cr, "Ready")["observedGeneration"] == 2]
    assert condition(seen[0], "Ready")["status"] == "False"
    assert condition(seen[0], "Ready")["reason"] == "Progressing"


def test_kubectl_wait_is_not_fooled_by_what_was_true_before_an_edit(
    kubeconfig: Path, world: World
) -> None:
    with started(kubeconfig) as operator:
        world.secret()
        world.resource()
        world.wait_ready()
        assert operator.terminate() == 0
    mark_pods(world, "a")
    waiting = ("wait", "llsd/demo", "-n", world.namespace, "--for=condition=Ready")

    assert condition(world.must_get("llsd", "demo"), "Ready")["status"] == "True", "of old"
    with pytest.raises(ClusterError, match="timed out"):
        world.plane.kubectl(*waiting, "--timeout=2s")

    with started(kubeconfig):
        world.plane.kubectl(*waiting, "--timeout=60s", timeout=70.0)
    template = world.must_get("deployment", "demo")["spec"]["template"]
    assert template["metadata"]["annotations"]["edit"] == "a"


def test_server_that_is_scaled_to_zero_is_ready(operator: OperatorProcess, world: World) -> None:
    assert operator.running
    world.secret()
    world.resource(workload={"replicas": 0})

    cr = world.wait_ready()

    assert cr["status"]["phase"] == "Ready"
    assert cr["status"]["availableReplicas"] == 0
    assert condition(cr, "DeploymentReady")["reason"] == "ScaledToZero"
    assert "llamaStackServerVersion" not in cr["status"]["version"]


def test_server_that_an_autoscaler_scaled_is_ready(operator: OperatorProcess, world: World) -> None:
    assert operator.running
    world.secret()
    world.resource(workload={"autoscaling": {"minReplicas": 1, "maxReplicas": 5}})
    world.wait_ready()

    # As an autoscaler does it: by the scale of the Deployment.
    path = world.path("deployment", "demo") + "/scale"
    body = {"spec": {"replicas": 3}}
    content_type = "application/merge-patch+json"
    assert world.client.raw("PATCH", path, body, content_type=content_type)[0] == 200

    def scaled() -> bool:
        status = world.must_get("llsd", "demo")["status"]
        return bool(status["availableReplicas"] == 3 and status["phase"] == "Ready")

    eventually("three replicas and Ready", scaled)
    assert world.must_get("deployment", "demo")["spec"]["replicas"] == 3
