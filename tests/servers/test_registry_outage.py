# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A server that runs outlives the registry that its config came from, and the operator's memory."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from api.conditions import condition
from hack.cluster.plane import ControlPlane
from hack.servers.bed import Bed
from hack.servers.images import Image, Pusher
from hack.servers.registry import Registry
from llamastack_operator.oci import labels
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually, install

pytestmark = [
    pytest.mark.servers,
    pytest.mark.apiserver,
    pytest.mark.slow,
    pytest.mark.timeout(240),
]

CONFIG = b"""\
version: 2
distro_name: mine
apis: [inference, responses]
providers: {inference: []}
"""


def operator_of(kubeconfig: Path, registry: Registry) -> OperatorProcess:
    return OperatorProcess(kubeconfig, f"--registry-plain-http={registry.host}")


def reconciles(operator: OperatorProcess) -> float:
    return sum(
        value
        for name, value in operator.metrics().items()
        if name.startswith("controller_runtime_reconcile_total{")
    )


def test_server_that_runs_outlives_its_registry(
    kwok_plane: ControlPlane, kwok_namespace: str, bed: Bed
) -> None:
    kubeconfig = install(kwok_plane)
    world = World(kwok_plane, kwok_namespace)
    world.secret()
    with Registry(bed) as registry:
        image = Image({labels.BASE64: base64.b64encode(CONFIG).decode()})
        Pusher.to(registry).push("mine", "1", image)
        with operator_of(kubeconfig, registry) as process:
            process.wait_logged("Started workers")
            world.resource(distribution={"image": f"{registry.host}/mine:1"})
            before = world.wait_ready()
            assert process.terminate() == 0
        running = world.must_get("deployment", "demo")
        registry.stop()
        mark = world.plane.audit.mark()
        with operator_of(kubeconfig, registry) as process:
            process.wait_logged("Failed to read the labels of an image")
            made = reconciles(process)
            world.patch("llsd", "demo", {"metadata": {"annotations": {"touched": "yes"}}})
            eventually("another reconcile", lambda: reconciles(process) > made)
            assert world.must_get("llsd", "demo")["status"] == before["status"]
            assert world.writes_since(mark) == []

            world.patch("llsd", "demo", {"spec": {"resources": {"models": ["other"]}}})
            answer = world.wait_condition("ConfigGenerated", "False")
            assert answer["reason"] == "ImageConfigUnavailable"
            assert "connection refused" in answer["message"]
            assert world.must_get("deployment", "demo")["spec"] == running["spec"]
            available = condition(world.must_get("llsd", "demo"), "Available")
            assert available["status"] == "True", "what runs goes on"

            registry.start()
            # Other credentials lift the rest after a failure.
            world.patch("serviceaccount", "demo-sa", {"imagePullSecrets": [{"name": "other"}]})
            found = world.wait_ready(deadline_s=60)["status"]
            assert found["configGeneration"]["models"] == ["vllm/other"]
            assert process.terminate() == 0
