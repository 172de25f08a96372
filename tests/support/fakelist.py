# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A model of an API server behind ``informers.ports.ListerWatcher``, with faults.

For tests on virtual time: everything waits on the loop's clock, nothing on a socket.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from informers.errors import TransportError
from informers.ports import Page, Resource
from tests.support.fakecluster import FakeCluster


@dataclass
class WatchFault:
    """What goes wrong with one watch.

    Attributes:
        error: it is not even opened.
        hangs: it is never answered, not even with headers.
        silent: it is opened, and nothing ever arrives: a half-open socket.
        cut_after: bytes after which the stream ends, in order.
        reset_after: bytes after which the connection breaks.
        no_bookmarks: bookmarks get lost.
    """

    error: Exception | None = None
    hangs: bool = False
    silent: bool = False
    cut_after: int | None = None
    reset_after: int | None = None
    no_bookmarks: bool = False


@dataclass(frozen=True)
class Request:
    """What was asked of the server, and when."""

    verb: str
    at: float
    resource_version: str | None
    limit: int | None = None
    continue_token: str = ""
    timeout_seconds: int = 0
    initial_events: bool = False


@dataclass
class FakeListerWatcher:
    """One client's view of a cluster, with faults; implements ``ListerWatcher``.

    Attributes:
        cluster: the server.
        chunk: bytes a read at most.
        list_faults: errors for the next lists; ``None`` lets one through.
        watch_faults: for the next watches; ``None`` lets one through.
        always: for every watch that has no fault of its own.
        stale_pages: answers for the next lists, whatever was asked.
        requests: what was asked so far.
        open_streams: how many watches are open now.
        most_streams: how many were open at the same time.
    """

    cluster: FakeCluster
    chunk: int = 1 << 16
    list_faults: deque[Exception | None] = field(default_factory=deque)
    watch_faults: deque[WatchFault | None] = field(default_factory=deque)
    always: WatchFault = field(default_factory=WatchFault)
    stale_pages: deque[Page] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    open_streams: int = 0
    most_streams: int = 0

    @property
    def resource(self) -> Resource:
        return self.cluster.resource

    def asked(self, verb: str) -> list[Request]:
        """The requests of one kind: list, watch, or stream for streaming lists."""
        return [request for request in self.requests if request.verb == verb]

    async def list_page(
        self, *, resource_version: str | None, limit: int | None, continue_token: str
    ) -> Page:
        now = asyncio.get_running_loop().time()
        self.requests.append(Request("list", now, resource_version, limit, continue_token))
        await asyncio.sleep(0)
        fault = self.list_faults.popleft() if self.list_faults else None
        if fault is not None:
            raise fault
        if self.stale_pages:
            return self.stale_pages.popleft()
        return self.cluster.page(resource_version, limit, continue_token)

    @asynccontextmanager
    async def watch(
        self, *, resource_version: str | None, timeout_seconds: int, initial_events: bool
    ) -> AsyncIterator[_Stream]:
        now = asyncio.get_running_loop().time()
        self.requests.append(
            Request(
                "stream" if initial_events else "watch",
                now,
                resource_version,
                timeout_seconds=timeout_seconds,
                initial_events=initial_events,
            )
        )
        await asyncio.sleep(0)
        fault = (self.watch_faults.popleft() if self.watch_faults else None) or self.always
        if fault.error is not None:
            raise fault.error
        if fault.hangs:
            await asyncio.Event().wait()
        if initial_events:
            begin = list(self.cluster.initial(resource_version))
            version = self.cluster.version
        else:
            assert resource_version is not None, "a watch needs a version"
            begin = [self.cluster.check_watch(resource_version)]
            version = int(resource_version)
        self.open_streams += 1
        self.most_streams = max(self.most_streams, self.open_streams)
        try:
            yield _Stream(
                self.cluster,
                begin,
                version=version,
                ends_at=now + timeout_seconds,
                chunk=self.chunk,
                fault=fault,
            )
        finally:
            self.open_streams -= 1


class _Stream:
    def __init__(
        self,
        cluster: FakeCluster,
        begin: list[bytes],
        *,
        version: int,
        ends_at: float,
        chunk: int,
        fault: WatchFault,
    ) -> None:
        self._cluster = cluster
        self._version = version
        self._ends_at = ends_at
        self._chunk = chunk
        self._fault = fault
        self._position = cluster.position(version)
        self._buffer = bytearray()
        self._sent = 0
        self._take(begin)

    async def read(self) -> bytes:
        if self._fault.silent:
            await asyncio.Event().wait()
        while True:
            self._take(self._cluster.events_from(self._position, self._version))
            self._position = len(self._cluster.history)
            if self._fault.cut_after is not None and self._sent >= self._fault.cut_after:
                return b""
            if self._fault.reset_after is not None and self._sent >= self._fault.reset_after:
                raise TransportError("connection reset by peer")
            if self._buffer:
                return self._next_chunk()
            try:
                async with asyncio.timeout_at(self._ends_at):
                    await self._cluster.something()
            except TimeoutError:
                return b""

    def _take(self, lines: list[bytes]) -> None:
        for each in lines:
            if not (self._fault.no_bookmarks and b'"type":"BOOKMARK"' in each):
                self._buffer += each

    def _next_chunk(self) -> bytes:
        size = self._chunk
        for limit in (self._fault.cut_after, self._fault.reset_after):
            if limit is not None:
                size = min(size, limit - self._sent)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._sent += len(data)
        return data
