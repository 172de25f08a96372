# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Objects bigger than any HTTP library's line limit, through a real socket (A16)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from informers.options import ReflectorOptions
from informers.ports import ObjectKey, Resource
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client
from tests.support.fakecluster import line
from tests.support.faultproxy import kubeconfig_of
from tests.support.informing import informer_of, running, until

SECRETS = Resource("", "v1", "Secret", "secrets")
MIB = 1 << 20


def secret(size: int) -> dict[str, Any]:
    return {
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {"name": "big", "namespace": "prod", "resourceVersion": "7"},
        "data": {"blob": "x" * size},
    }


class Server:
    """Lists nothing at first, then the object; watches send it as an event."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.lists = 0
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            self.lists += 1
            items = [secret(self.size)] if self.lists > 1 else []
            version = "8" if items else "5"
            return web.Response(
                body=orjson.dumps({"metadata": {"resourceVersion": version}, "items": items})
            )
        response = web.StreamResponse()
        await response.prepare(request)
        if request.query["resourceVersion"] == "5":
            await response.write(line("ADDED", secret(self.size)))
        await asyncio.Event().wait()
        return response

    @asynccontextmanager
    async def running(self, kubeconfig: Path) -> AsyncIterator[Client]:
        app = web.Application()
        app.router.add_get("/{path:.*}", self.handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        kubeconfig_of(f"http://{host}:{port}", kubeconfig)
        try:
            connection = await connect(Source(str(kubeconfig)))
            async with Client(connection, user_agent="test") as client:
                yield client
        finally:
            await runner.cleanup()


QUICK = ReflectorOptions(streaming_list=False, backoff_s=0.05)


@pytest.mark.parametrize("size", [int(1.5 * MIB), int(3.9 * MIB), 8 * MIB - 1024])
async def test_big_event_arrives(tmp_path: Path, size: int) -> None:
    server = Server(size)
    async with server.running(tmp_path / "kubeconfig") as client:
        informer = informer_of(client.lister_watcher(SECRETS), tuning=QUICK)
        async with running(informer):
            await until(lambda: len(informer.store) == 1, coarse=0.02)
            held = informer.store.get(ObjectKey("prod", "big"))

    assert held is not None
    assert len(held["data"]["blob"]) == size
    assert server.lists == 1


async def test_event_beyond_the_maximum_names_its_object_and_is_listed_instead(
    tmp_path: Path,
) -> None:
    server = Server(9 * MIB)
    async with server.running(tmp_path / "kubeconfig") as client:
        informer = informer_of(client.lister_watcher(SECRETS), tuning=QUICK)
        with capture_logs() as logs:
            async with running(informer):
                await until(lambda: len(informer.store) == 1, coarse=0.02)

    assert server.lists == 2
    reasons = [entry["reason"] for entry in logs if "reason" in entry]
    assert len(reasons) == 1
    assert reasons[0].startswith("LineTooLong: a watch event of prod/big is longer than")
