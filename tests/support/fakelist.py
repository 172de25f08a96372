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
from tests.support.selection import EVERYTHING, Selection


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

    async def before(self) -> None:
        """What happens in place of headers."""
        if self.error is not None:
            raise self.error
        if self.hangs:
            await asyncio.Event().wait()


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
        selection: what of it is listed and watched.
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
    selection: Selection = EVERYTHING
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
        return self.cluster.page(resource_version, limit, continue_token, self.selection)

    @asynccontextmanager
    async def watch(
        self, *, resource_version: str | None, timeout_seconds: int, initial_events: bool
    ) -> AsyncIterator[Stream]:
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
        await fault.before()
        stream = Stream(
            self.cluster,
            resource_version,
            initial_events=initial_events,
            ends_at=now + timeout_seconds,
            chunk=self.chunk,
            fault=fault,
            selection=self.selection,
        )
        self.open_streams += 1
        self.most_streams = max(self.most_streams, self.open_streams)
        try:
            yield stream
        finally:
            self.open_streams -= 1


class Stream:
    """The body of an open watch; see ``informers.ports.ByteStream``.

    Args:
        cluster: what is watched.
        resource_version: where it begins.
        initial_events: whether it is a streaming list.
        ends_at: when the server ends it, on the loop's clock.
        chunk: bytes a read at most.
        fault: what goes wrong with it.
        selection: what of the cluster is watched.
        bookmark_s: how long before its end it gets a bookmark, as a real one does; 0 for never.

    Raises:
        ApiError: the server does not open such a watch.
    """

    def __init__(
        self,
        cluster: FakeCluster,
        resource_version: str | None,
        *,
        initial_events: bool,
        ends_at: float,
        chunk: int,
        fault: WatchFault,
        selection: Selection,
        bookmark_s: float = 0.0,
    ) -> None:
        self._bookmark_at = ends_at - bookmark_s if bookmark_s else None
        self._cluster = cluster
        self._ends_at = ends_at
        self._chunk = chunk
        self._fault = fault
        self._selection = selection
        self._buffer = bytearray()
        self._sent = 0
        if initial_events:
            self._take(list(cluster.initial(resource_version, selection)))
            self._version = cluster.version
        else:
            assert resource_version is not None, "a watch needs a version"
            self._take([cluster.check_watch(resource_version)])
            self._version = int(resource_version)
        self._position = cluster.position(self._version)

    async def read(self) -> bytes:
        if self._fault.silent:
            await asyncio.Event().wait()
        while True:
            self._take(self._cluster.events_from(self._position, self._version, self._selection))
            self._position = len(self._cluster.history)
            if self._fault.cut_after is not None and self._sent >= self._fault.cut_after:
                return b""
            if self._fault.reset_after is not None and self._sent >= self._fault.reset_after:
                raise TransportError("connection reset by peer")
            if self._buffer:
                return self._next_chunk()
            if not await self._something():
                return b""

    async def _something(self) -> bool:
        """Wait until something happens; false if that is the end."""
        until = self._ends_at if self._bookmark_at is None else self._bookmark_at
        try:
            async with asyncio.timeout_at(until):
                await self._cluster.something()
        except TimeoutError:
            if self._bookmark_at is None:
                return False
            self._bookmark_at = None
            self._take([self._cluster.present()])
        return True

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
