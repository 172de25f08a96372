# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The whole operator behind a network that fails: the end state is that of a calm day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hack.cluster.plane import ControlPlane
from tests.support.faultkinds import Answer, Cut, HoldEvents, Reset
from tests.support.faultproxy import FaultProxy
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually, install

pytestmark = pytest.mark.apiserver

NAMES = [f"cr-{number}" for number in range(20)]


@pytest.fixture
def world(kwok_plane: ControlPlane, kwok_namespace: str) -> World:
    return World(kwok_plane, kwok_namespace)


@pytest.fixture
async def proxy(kwok_plane: ControlPlane) -> AsyncIterator[FaultProxy]:
    kubeconfig = await asyncio.to_thread(install, kwok_plane)
    async with FaultProxy.to_kubeconfig(kubeconfig) as made:
        yield made


async def started(process: OperatorProcess) -> None:
    await asyncio.to_thread(process.start)
    await asyncio.to_thread(process.wait_logged, "Started workers")


async def test_own_write_that_the_watch_does_not_show_yet_is_not_repeated(
    proxy: FaultProxy, world: World, tmp_path: Path
) -> None:
    """(B13) The cache lacks the Deployment, and something else asks for another reconcile."""
    gate = asyncio.Event()
    hold = HoldEvents(gate, about=b'"name":"demo"')
    proxy.add(hold, verb="watch", path="/deployments$", times=None)
    creates = rf"/namespaces/{world.namespace}/deployments$"
    process = OperatorProcess(proxy.write_kubeconfig(tmp_path / "config"))
    try:
        await started(process)
        await asyncio.to_thread(world.secret)
        await asyncio.to_thread(world.resource)
        await asyncio.to_thread(
            eventually, "the Deployment", lambda: world.get("deployment", "demo")
        )
        # It is written behind the Deployment.
        await asyncio.to_thread(
            eventually, "the Service", lambda: world.get("service", "demo-service")
        )
        touch = {"metadata": {"annotations": {"touched": "yes"}}}
        await asyncio.to_thread(world.patch, "llsd", "demo", touch)
        await asyncio.to_thread(world.patch, "service", "demo-service", touch)
        postponed = 'controller="llamastackdistribution"'

        def is_postponed() -> bool:
            return any(
                "postponed" in name and postponed in name and value > 0
                for name, value in process.metrics().items()
            )

        await asyncio.to_thread(eventually, "a reconcile put off", is_postponed)
        assert proxy.count("create", creates) == 1

        gate.set()
        await asyncio.to_thread(world.wait_ready)
        assert proxy.count("create", creates) == 1
        assert await asyncio.to_thread(process.terminate) == 0
    finally:
        await asyncio.to_thread(process.close)


async def test_faults_of_every_kind_leave_what_a_calm_day_leaves(
    proxy: FaultProxy, world: World, tmp_path: Path
) -> None:
    here = f"/namespaces/{world.namespace}/"
    process = OperatorProcess(proxy.write_kubeconfig(tmp_path / "config"))
    try:
        await started(process)
        await asyncio.to_thread(world.secret)
        proxy.add(Answer(500), verb="create", path=here, times=6, skip=5)
        proxy.add(Answer(429, retry_after=1), verb="patch", path=here, times=4)
        proxy.add(Answer(503, html=True), verb="get", path=here, times=1)
        # The server carries these out; only the answer is lost.
        proxy.add(Reset(), verb="create", path=here, times=8, skip=3)
        proxy.add(Reset(), verb="patch", path=here, times=4)
        proxy.add(Cut(after_bytes=3000), verb="watch", times=4)
        for number, name in enumerate(NAMES):
            await asyncio.to_thread(world.resource, name)
            if number in {7, 14}:
                proxy.break_all()
        proxy.clear()

        for name in NAMES:
            await asyncio.to_thread(world.wait_ready, name, 60)
        assert await asyncio.to_thread(process.terminate) == 0
    finally:
        await asyncio.to_thread(process.close)

    deployments = await asyncio.to_thread(world.all, "deployment")
    assert sorted(d["metadata"]["name"] for d in deployments) == sorted(NAMES)
    assert {d["metadata"]["generation"] for d in deployments} == {1}, "no pod was rolled"
    for name in NAMES:
        assert len(await asyncio.to_thread(world.config_maps, name)) == 1
