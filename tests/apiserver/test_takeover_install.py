# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``deploy`` applied where the Go operator is installed: one Deployment, and only ours in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.plane import ControlPlane, PlaneOptions
from tests.support.go_definition import go_definition
from tests.support.world import ACCOUNT, DEPLOY, SYSTEM

pytestmark = pytest.mark.apiserver

Json = dict[str, Any]
PODS = {"control-plane": "controller-manager", "app.kubernetes.io/name": "llama-stack-k8s-operator"}
"""Labels of the operator's pods, by which its Deployment selects them for ever."""

INSTALLED: list[Json] = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}},
    go_definition(),
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": ACCOUNT, "namespace": SYSTEM, "labels": PODS},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": PODS},
            "template": {
                "metadata": {"labels": PODS},
                "spec": {
                    "serviceAccountName": ACCOUNT,
                    "securityContext": {"runAsNonRoot": True},
                    "containers": [
                        {
                            "name": "manager",
                            "image": "quay.example/llama-stack-k8s-operator:latest",
                            "command": ["/manager"],
                            "args": ["--leader-elect"],
                            "env": [{"name": "GOMEMLIMIT", "value": "800MiB"}],
                        }
                    ],
                },
            },
        },
    },
    {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": f"{ACCOUNT}-pdb", "namespace": SYSTEM},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": PODS}},
    },
]


@pytest.fixture
def plane(binaries: Mapping[str, Path]) -> Iterator[ControlPlane]:
    with ControlPlane(binaries, PlaneOptions(controller_manager=False)) as made:
        yield made


def test_deployment_becomes_ours_and_has_one_budget(plane: ControlPlane) -> None:
    manifests = json.dumps({"apiVersion": "v1", "kind": "List", "items": INSTALLED})
    plane.kubectl("apply", "-f", "-", stdin=manifests)

    plane.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(DEPLOY / "default"))

    def all_of(path: str) -> list[Json]:
        items: list[Json] = plane.client.get(f"/apis/{path}")["items"]
        return items

    (deployment,) = all_of(f"apps/v1/namespaces/{SYSTEM}/deployments")
    (manager,) = deployment["spec"]["template"]["spec"]["containers"]
    assert "command" not in manager
    assert "GOMEMLIMIT" not in {variable["name"] for variable in manager["env"]}
    assert len(all_of(f"policy/v1/namespaces/{SYSTEM}/poddisruptionbudgets")) == 1
