# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""An API server of a few lines on this machine, and the operator's own client of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from aiohttp import web

from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client

_KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{token: t}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""


class Server(Protocol):
    """Answers every request; those that it leaves hanging end with ``released``."""

    released: asyncio.Event

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The answer."""
        ...


@asynccontextmanager
async def client_of(server: Server, tmp_path: Path) -> AsyncIterator[Client]:
    """The server behind a port, and a client that was told of it by a kubeconfig."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    path = tmp_path / "kubeconfig"
    path.write_text(_KUBECONFIG.format(port=runner.addresses[0][1]), encoding="utf-8")
    try:
        async with Client(await connect(Source(str(path))), user_agent="test") as client:
            yield client
    finally:
        server.released.set()
        await runner.cleanup()
