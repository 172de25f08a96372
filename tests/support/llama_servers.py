# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Something that answers ``/v1/providers`` and ``/v1/version``, well or badly, on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Self

from controller.llamastack.server.probe_port import Server
from informers.ports import ObjectKey

Answer = Callable[[str, asyncio.StreamWriter], Awaitable[None]]
"""Writes what is answered to a GET of a path; the connection is closed afterwards."""

SECRET = "hunter2-is-the-token"
LISTED: list[dict[str, Any]] = [
    {
        "api": "inference",
        "provider_id": "vllm",
        "provider_type": "remote::vllm",
        "config": {"base_url": "http://x", "api_token": SECRET},
        "health": {"status": "Not Implemented", "message": "Provider does not implement it"},
    },
    {
        "api": "safety",
        "provider_id": "guard",
        "provider_type": "inline::llama-guard",
        "config": {},
        "health": {"status": "Not Implemented", "message": "Provider does not implement it"},
    },
]
PROVIDERS = json.dumps({"data": LISTED}).encode()
VERSION = b'{"version":"0.7.3"}'


def response(body: bytes, status: int = 200, **headers: str) -> bytes:
    """A whole HTTP answer."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status} -", *(f"{k}: {v}" for k, v in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def says(
    body: bytes,
    status: int = 200,
    delay_s: float = 0.0,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Answer:
    """Answers with this, after a while."""

    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(delay_s)
        writer.write(response(body, status, **headers))
        await writer.drain()

    return answer


async def never(_: str, writer: asyncio.StreamWriter) -> None:
    """Does not answer."""
    await asyncio.Event().wait()


async def without_end(_: str, writer: asyncio.StreamWriter) -> None:
    """Answers and does not stop."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"[" * 65536)
        await writer.drain()


async def drop_by_drop(_: str, writer: asyncio.StreamWriter) -> None:
    """Answers a byte at a time, each in time, and does not stop."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"[")
        await writer.drain()
        await asyncio.sleep(0.05)


async def header_without_end(_: str, writer: asyncio.StreamWriter) -> None:
    """Does not get as far as the body."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Y: " + b"z" * 1000 + b"\r\n")
        await writer.drain()


def well(path: str) -> bytes:
    """What a good server says."""
    return VERSION if path.endswith("/version") else PROVIDERS


async def answers(path: str, writer: asyncio.StreamWriter) -> None:
    """Answers both as a good server does."""
    writer.write(response(well(path)))
    await writer.drain()


class LlamaServer:
    """A server on a port of its own. Use as an asynchronous context manager.

    No web framework: it would tidy up after what is meant to be untidy.

    Args:
        providers: how it answers ``/v1/providers``.
        version: how it answers everything else.
        tls: for https.
    """

    def __init__(
        self,
        providers: Answer = answers,
        version: Answer = answers,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._providers = providers
        self._version = version
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._handle, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._listener.wait_closed()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        # Not cancelled in the end: asyncio would report the connection's task as failed.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            path = head[0].split(" ")[1]
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            self.requests.append((path, headers))
            wanted = self._providers if path.endswith("/providers") else self._version
            await wanted(path, writer)
        self._tasks.discard(task)
        writer.transport.abort() if self._tls else writer.close()

    @property
    def server(self) -> Server:
        """As the operator sees it."""
        return server(port=self.port, scheme="https" if self._tls else "http")


def server(
    name: str = "demo",
    *,
    port: int = 8321,
    scheme: str = "http",
    template: str = "t1",
    occasion: str = "o1",
) -> Server:
    """A server, as the operator sees it."""
    return Server(
        uid=f"uid-{name}",
        key=ObjectKey("n", name),
        service=f"{name}-service",
        address="127.0.0.1",
        port=port,
        scheme=scheme,
        template=template,
        occasion=occasion,
    )
