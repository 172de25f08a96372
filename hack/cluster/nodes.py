# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Simulated nodes: objects without a machine, whose kubelet kwok plays.

What happens to a node and to the Pods on it is said by ``stages.yaml``, which is our own: the Stage
resources that kwok ships are not among the files of its release.
"""

from __future__ import annotations

from pathlib import Path

from hack.cluster.client import Client, Json
from hack.cluster.errors import ApiFailure
from hack.cluster.flags import FAKE_NODE_ANNOTATION

STAGES = Path(__file__).with_name("stages.yaml")

_CAPACITY = {"cpu": "64", "memory": "512Gi", "pods": "1000", "nvidia.com/gpu": "8"}


def create_nodes(client: Client, count: int) -> None:
    """Create the nodes ``fake-0`` and so on, each large enough for everything."""
    for number in range(count):
        client.create("/api/v1/nodes", node(f"fake-{number}"))


def nodes_are_ready(client: Client, count: int) -> bool:
    """Whether that many nodes are Ready and take Pods."""
    try:
        nodes = client.get("/api/v1/nodes")["items"]
    except ApiFailure:
        return False
    # A new node is tainted as not ready until the controllers have seen its condition.
    return sum(_is_ready(node) and not node["spec"].get("taints") for node in nodes) >= count


def node(name: str) -> Json:
    """A node that kwok, and nobody else, takes care of."""
    annotation, value = FAKE_NODE_ANNOTATION
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "type": "kwok"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": {annotation: value}, "labels": labels},
        "status": {"capacity": _CAPACITY, "allocatable": _CAPACITY},
    }


def _is_ready(node: Json) -> bool:
    conditions = node["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
