# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The whole operator in this event loop: the real manager, with an API in memory at its end."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from llamastack_operator.kube.config import Connection
from llamastack_operator.kube.rest import ClientMetrics
from llamastack_operator.manager import Manager
from llamastack_operator.settings import Settings, add_arguments, from_args
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.fakeapi.server import FakeApi

SYSTEM = "system"
"""The operator's own namespace."""

_KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://api.in.memory"}}]
users: [{name: u, user: {}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""
_POLL_S = 0.01  # of virtual time
_LATENCY_S = 0.001


def settings(folder: Path, *flags: str) -> Settings:
    """What a process is told that serves no HTTP and asks no server."""
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(_KUBECONFIG, encoding="utf-8")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = [
        f"--kubeconfig={kubeconfig}",
        "--metrics-bind-address=0",
        "--health-probe-bind-address=0",
        "--probe-servers=off",
        "--webhook-port=off",
        f"--leader-elect-namespace={SYSTEM}",
        *flags,
    ]
    return from_args(parser.parse_args(words), {}, namespace_file=folder / "none")


class MemoryProcess:
    """One process of the operator.

    Args:
        api: the cluster.
        folder: for its kubeconfig.
        flags: beside those of `settings`.
        faults: of the client of everything but the lease, from the start.
    """

    def __init__(
        self, api: FakeApi, folder: Path, *flags: str, faults: Iterable[Fault] = ()
    ) -> None:
        self._faults = list(faults)
        self.clients: list[FakeClient] = []
        self._api = api
        self._stop = asyncio.Event()
        manager = Manager(settings(folder, *flags), new_client=self._new_client)
        self.task = asyncio.create_task(manager.run(self._stop), name="process")

    def _new_client(
        self, connection: Connection, *, user_agent: str, metrics: ClientMetrics
    ) -> FakeClient:
        del connection, user_agent, metrics
        client = FakeClient(self._api, latency_s=_LATENCY_S)
        if not self.clients:
            client.faults = self._faults
        self.clients.append(client)
        return client

    @property
    def client(self) -> FakeClient:
        """That of everything but the lease."""
        return self.clients[0]

    @property
    def lease_client(self) -> FakeClient:
        """That of the lease."""
        return self.clients[1]

    async def started(self) -> None:
        """Until it has its clients; nothing was asked before."""
        await self.until(lambda: len(self.clients) > 1)

    async def until(self, true: Callable[[], bool], within_s: float = 300.0) -> None:
        """Until something is so, while the process lives.

        Raises:
            TimeoutError: it is not, in that time.
            BaseException: what the process died of.
        """
        async with asyncio.timeout(within_s):
            while not true():
                if self.task.done():
                    self.task.result()
                    raise AssertionError("the process ended")
                await asyncio.sleep(_POLL_S)

    async def live(self, seconds: float) -> None:
        """Let so much time pass.

        Raises:
            BaseException: what the process died of meanwhile.
        """
        ended, _ = await asyncio.wait([self.task], timeout=seconds)
        if ended:
            self.task.result()
            raise AssertionError("the process ended")

    def tell_to_stop(self) -> None:
        """As SIGTERM does."""
        self._stop.set()

    async def stop(self) -> float:
        """Stop it in good order; how long that took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.tell_to_stop()
        await self.task
        return loop.time() - began


@asynccontextmanager
async def running(
    api: FakeApi, folder: Path, *flags: str, faults: Iterable[Fault] = ()
) -> AsyncIterator[MemoryProcess]:
    """A process; killed in the end, if it still lives."""
    process = MemoryProcess(api, folder, *flags, faults=faults)
    await process.started()
    try:
        yield process
    finally:
        process.task.cancel()
        await asyncio.wait([process.task])
