# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A NetworkPolicy of the operator, enforced, around a server with an external provider."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from hack.cluster.errors import ClusterError
from hack.cluster.node.node import Node
from hack.cluster.node.pods import Namespace, wait_for
from hack.cluster.node.policies import REMOVAL, ruleset
from tests.support.asking import Asking
from tests.support.external_resource import with_external
from tests.support.incluster import InCluster
from tests.support.provider_archives import NodeImage, name_of, provider_archive
from tests.support.provider_wheels import image
from tests.support.world import SYSTEM, World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

_CONFIG: Final = "llama-stack-operator-config"
_PORT: Final = 8321


@pytest.fixture
def policies(operator_in_cluster: InCluster, node: Node, tmp_path: Path) -> Iterator[None]:
    """The operator makes them; whatever filters packets for them is gone afterwards."""
    node.load(provider_archive({"good": NodeImage(image("good"))}, tmp_path))
    client = operator_in_cluster.plane.client
    path = f"/api/v1/namespaces/{SYSTEM}/configmaps"
    data = {"featureFlags": "enableNetworkPolicy: {enabled: true}"}
    meta = {"name": _CONFIG}
    client.create(path, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
    yield
    node.filter(REMOVAL)
    client.delete(f"{path}/{_CONFIG}")


@pytest.fixture
def elsewhere(node: Node) -> Iterator[Namespace]:
    """Another namespace."""
    name = f"front-{uuid.uuid4().hex[:10]}"
    client = node.plane.client
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    client.create("/api/v1/namespaces", manifest)
    yield Namespace(client, name)
    with contextlib.suppress(ClusterError):
        client.delete(f"/api/v1/namespaces/{name}")


def _enforce(node: Node) -> None:
    client = node.plane.client
    network = "/apis/networking.k8s.io/v1/networkpolicies"
    found = [client.get(path)["items"] for path in (network, "/api/v1/pods", "/api/v1/namespaces")]
    node.filter(ruleset(*found))


def _create(world: World, **allowed: Any) -> None:
    providers = [{"providerId": "my-good", "image": name_of("good")}]
    networking = {"allowedFrom": allowed}
    world.create("llsd", with_external({"inference": providers}, networking=networking))


def _address(restricted: Namespace) -> str:
    pods = restricted.pods("app.kubernetes.io/instance=demo")
    return str(pods[0]["status"].get("podIP", "")) if pods else ""


def _told(world: World) -> bool:
    return "llamaStackServerVersion" in world.must_get("llsd", "demo")["status"]["version"]


@pytest.mark.usefixtures("policies")
def test_probes_the_operator_and_named_clients_get_through_and_strangers_do_not(
    node: Node,
    world: World,
    restricted: Namespace,
    elsewhere: Namespace,
    server_image: str,
) -> None:
    service = f"demo-service.{restricted.name}"
    ours = Asking(restricted, server_image, service, _PORT, "/v1/health")
    others = Asking(elsewhere, server_image, service, _PORT, "/v1/health")
    _create(world, namespaces=["nobody"])
    wait_for("the pod's address", lambda: _address(restricted))

    with ours, others:
        _enforce(node)
        world.wait_ready(deadline_s=200)
        wait_for("the server's answer to the operator", lambda: _told(world))
        before = [each.count() for each in (ours, others)]
        after = [each.count_after(2.0) for each in (ours, others)]
        allowed = {"networking": {"allowedFrom": {"namespaces": [elsewhere.name]}}}
        world.patch("llsd", "demo", {"spec": allowed})
        wait_for("the policy", lambda: elsewhere.name in str(world.all("networkpolicy")))
        _enforce(node)
        named = [others.count(), others.count_after(2.0)]

    failed = [b.failed - a.failed for a, b in zip(before, after, strict=True)]
    asked = [b.asked - a.asked for a, b in zip(before, after, strict=True)]
    assert failed == [0, asked[1]], after
    assert min(asked) > 0
    assert named[1].failed - named[0].failed <= 2, "those that were on their way"
