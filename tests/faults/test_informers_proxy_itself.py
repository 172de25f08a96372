# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The fault-injecting proxy does what its rules say: what every fault test builds on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hack.cluster.plane import ControlPlane
from informers.errors import ApiError, Conflict, NotFound, TransportError
from informers.ports import ObjectKey, Resource
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client
from tests.support.faultkinds import Answer, Delay, Reset
from tests.support.faultproxy import FaultProxy, verb_of
from tests.support.informing import until

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps")


@pytest.fixture
async def proxy(control_plane: ControlPlane) -> AsyncIterator[FaultProxy]:
    async with FaultProxy.to_kubeconfig(control_plane.kubeconfig) as proxy:
        yield proxy


@pytest.fixture
async def client(proxy: FaultProxy, tmp_path: Path) -> AsyncIterator[Client]:
    kubeconfig = proxy.write_kubeconfig(tmp_path / "kubeconfig")
    async with Client(await connect(Source(str(kubeconfig))), user_agent="proxy-test") as client:
        yield client


async def exists(client: Client, key: ObjectKey) -> bool:
    try:
        await client.get(CONFIG_MAPS, key)
    except NotFound:
        return False
    return True


@pytest.mark.parametrize(
    ("method", "target", "verb"),
    [
        ("GET", "/api/v1/namespaces", "list"),
        ("GET", "/api/v1/namespaces/x", "get"),
        ("GET", "/api/v1/namespaces/x/configmaps", "list"),
        ("GET", "/api/v1/namespaces/x/configmaps/y", "get"),
        ("GET", "/apis/apps/v1/deployments", "list"),
        ("GET", "/apis/apps/v1/namespaces/x/deployments/y/status", "get"),
        ("GET", "/apis/apps/v1/deployments?watch=1", "watch"),
        ("POST", "/api/v1/namespaces/x/configmaps", "create"),
        ("PUT", "/api/v1/namespaces/x/configmaps/y", "update"),
        ("PATCH", "/apis/apps/v1/namespaces/x/deployments/y/status", "patch"),
        ("DELETE", "/api/v1/namespaces/x/configmaps/y", "delete"),
    ],
)
def test_verbs_are_those_of_kubernetes(method: str, target: str, verb: str) -> None:
    path, _, query = target.partition("?")

    assert verb_of(method, path, {"watch": "1"} if query else {}) == verb


@pytest.mark.apiserver
async def test_rules_hit_by_verb_path_and_count(
    proxy: FaultProxy, client: Client, namespace: str
) -> None:
    rule = proxy.add(Answer(409), verb="get", path="/configmaps/x$", skip=1, times=2)
    outcomes: list[str] = []
    for name in ("y", "x", "x", "x", "x"):
        try:
            await client.get(CONFIG_MAPS, ObjectKey(namespace, name))
        except ApiError as error:
            outcomes.append(type(error).__name__)

    assert outcomes == ["NotFound", "NotFound", "Conflict", "Conflict", "NotFound"]
    assert rule.hits == 2
    assert proxy.count("get", "/configmaps/x$") == 4


@pytest.mark.apiserver
async def test_removed_and_cleared_rules_hit_nothing(
    proxy: FaultProxy, client: Client, namespace: str
) -> None:
    key = ObjectKey(namespace, "x")
    removed = proxy.add(Answer(409), times=None)
    with pytest.raises(Conflict):
        await client.get(CONFIG_MAPS, key)
    proxy.remove(removed)
    assert not await exists(client, key)
    proxy.add(Answer(409), times=None)
    proxy.clear()
    assert not await exists(client, key)


@pytest.mark.apiserver
async def test_lost_answer_leaves_the_write_done(
    proxy: FaultProxy, client: Client, namespace: str
) -> None:
    proxy.add(Reset(), verb="create")
    proxy.add(Reset(before_server=True), verb="create")
    for name in ("written", "unheard"):
        with pytest.raises(TransportError):
            await client.create(
                CONFIG_MAPS, {"metadata": {"name": name, "namespace": namespace}}, manager="test"
            )

    assert await exists(client, ObjectKey(namespace, "written"))
    assert not await exists(client, ObjectKey(namespace, "unheard"))


@pytest.mark.apiserver
async def test_gate_holds_a_request_until_it_opens(
    proxy: FaultProxy, client: Client, namespace: str
) -> None:
    gate = asyncio.Event()
    rule = proxy.add(Delay(gate=gate), verb="create")
    manifest = {"metadata": {"name": "x", "namespace": namespace}}
    writing = asyncio.create_task(client.create(CONFIG_MAPS, manifest, manager="test"))
    await until(lambda: rule.hits, coarse=0.02)
    assert not await exists(client, ObjectKey(namespace, "x"))

    gate.set()
    await writing
    assert await exists(client, ObjectKey(namespace, "x"))


async def test_absent_server_looks_like_a_broken_connection(tmp_path: Path) -> None:
    async with FaultProxy("http://127.0.0.1:9") as proxy:
        kubeconfig = proxy.write_kubeconfig(tmp_path / "kubeconfig")
        async with Client(await connect(Source(str(kubeconfig))), user_agent="test") as client:
            with pytest.raises(TransportError):
                await client.text("/readyz")
