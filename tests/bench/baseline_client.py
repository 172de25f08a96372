# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A bare client: aiohttp, prepared bytes, no caches, no retries. Nothing in Python is quicker.

It makes the floor, sets the scene, and watches what the operator does. With it nothing of the
operator's own transport takes part in judging the operator.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from llamastack_operator.kube.config import Connection, Source, connect

JSON = "application/json"
_REQUEST = aiohttp.ClientTimeout(total=60)
_WATCH = aiohttp.ClientTimeout(total=None, sock_connect=10)
_WATCH_S = 3600
_LINE = 4 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its body already encoded."""

    method: str
    path: str
    body: bytes
    content_type: str = JSON


class RequestFailed(Exception):
    """The API server refused a request of the benchmark."""


class BareClient:
    """One user at one API server; use :func:`bare_client`."""

    def __init__(self, connection: Connection, session: aiohttp.ClientSession, auth: str) -> None:
        self._server = connection.server
        self._session = session
        self._headers = {"Authorization": auth} if auth else {}

    async def send(self, request: Request) -> bytes:
        """The body of the answer.

        Raises:
            RequestFailed: it is an error.
        """
        headers = {**self._headers, "Content-Type": request.content_type}
        async with self._session.request(
            request.method, self._server + request.path, data=request.body, headers=headers
        ) as response:
            body = await response.read()
        if response.status >= 300:
            text = body[:300].decode(errors="replace")
            raise RequestFailed(f"{request.method} {request.path}: {response.status} {text}")
        return body

    async def post(self, path: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Create an object."""
        answer = await self.send(Request("POST", path, orjson.dumps(manifest)))
        created: dict[str, Any] = orjson.loads(answer)
        return created

    async def post_all(
        self, path: str, manifests: Iterable[dict[str, Any]], *, at_a_time: int = 16
    ) -> list[dict[str, Any]]:
        """Create many, so many at a time."""
        free = asyncio.Semaphore(at_a_time)

        async def create(manifest: dict[str, Any]) -> dict[str, Any]:
            async with free:
                return await self.post(path, manifest)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(create(m), name="bench-create") for m in manifests]
        return [task.result() for task in tasks]

    async def get(self, path: str) -> dict[str, Any]:
        """Read an object or a list."""
        async with self._session.get(self._server + path, headers=self._headers) as response:
            body = await response.read()
        if response.status >= 300:
            raise RequestFailed(f"GET {path}: {response.status} {body[:300]!r}")
        answer: dict[str, Any] = orjson.loads(body)
        return answer

    async def watch(
        self, path: str, *, opened: asyncio.Event | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Objects of a collection: all as they are, then each change, until closed.

        Args:
            path: of the collection.
            opened: is set when all is listed and changes are being waited for.
        """
        start = await self.get(path)
        for item in start["items"]:
            yield item
        query = {
            "watch": "1",
            "resourceVersion": start["metadata"]["resourceVersion"],
            "timeoutSeconds": str(_WATCH_S),
        }
        async with self._session.get(
            self._server + path, params=query, headers=self._headers, timeout=_WATCH
        ) as response:
            if response.status >= 300:
                raise RequestFailed(f"WATCH {path}: {response.status}")
            if opened is not None:
                opened.set()
            async for line in response.content:
                yield orjson.loads(line)["object"]
        raise RequestFailed(f"WATCH {path}: the API server ended it")

    async def until_all(
        self, path: str, count: int, done: Callable[[dict[str, Any]], bool]
    ) -> set[str]:
        """Until so many objects of a collection were seen to be done; their names."""
        names: set[str] = set()
        async with aclosing(self.watch(path)) as states:
            async for obj in states:
                name = obj["metadata"]["name"]
                if name not in names and done(obj):
                    names.add(name)
                    if len(names) >= count:
                        break
        return names


@asynccontextmanager
async def bare_client(kubeconfig: str, *, user_agent: str) -> AsyncIterator[BareClient]:
    """A client with the rights of a kubeconfig."""
    connection = await connect(Source(kubeconfig))
    connector = aiohttp.TCPConnector(
        limit=0, ssl=connection.tls if connection.tls is not None else True
    )
    async with aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": user_agent, "Accept": JSON, "Accept-Encoding": "identity"},
        read_bufsize=_LINE,
        timeout=_REQUEST,
        trust_env=False,
    ) as session:
        yield BareClient(connection, session, await connection.authorization() or "")
