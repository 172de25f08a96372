# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Electors that run during a test, and a lease that can hang, fail and lose answers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from informers.errors import AlreadyExists, Conflict, NotFound
from llamastack_operator.election.core import Lease, Record
from llamastack_operator.election.elector import Elector

LATENCY_S = 0.005


class Store:
    """A lease behind a network: each request and each answer takes 5 ms."""

    def __init__(self) -> None:
        self.lease: Lease | None = None
        self.gets: list[float] = []
        self.writes: list[float] = []
        self.wrote = asyncio.Event()
        self.hang = False
        self.lose_answers = False
        self.error: Exception | None = None

    async def get(self) -> Lease | None:
        self.gets.append(asyncio.get_running_loop().time())
        await self._travel()
        answer = self.lease
        await self._travel()
        return answer

    async def create(self, record: Record) -> Lease:
        await self._travel()
        if self.lease is not None:
            raise AlreadyExists("it is there", code=409)
        return await self._store(record, 1)

    async def update(self, record: Record, resource_version: str) -> Lease:
        await self._travel()
        if self.lease is None:
            raise NotFound("it is gone", code=404)
        if self.lease.resource_version != resource_version:
            raise Conflict("it moved on", code=409)
        return await self._store(record, int(resource_version) + 1)

    async def _store(self, record: Record, version: int) -> Lease:
        self.lease = Lease(record, str(version))
        self.writes.append(asyncio.get_running_loop().time())
        self.wrote.set()
        answer = self.lease
        if self.lose_answers:
            await asyncio.Event().wait()
        await self._travel()
        return answer

    async def _travel(self) -> None:
        if self.hang:
            await asyncio.Event().wait()
        await asyncio.sleep(LATENCY_S)
        if self.error is not None:
            raise self.error

    def touch(self) -> None:
        """Somebody edits a label: a new version of the same record."""
        assert self.lease is not None
        self.lease = Lease(self.lease.record, str(int(self.lease.resource_version) + 1))


class Counts:
    """Metrics of one elector."""

    def __init__(self) -> None:
        self.status: list[bool] = []
        self.slow_paths = 0

    def leading(self, value: bool) -> None:
        self.status.append(value)

    def slow_path(self) -> None:
        self.slow_paths += 1


def elector(store: Store, identity: str, *, clock_error_s: float = 0.0) -> Elector:
    """An elector on that lease, whose clock is that much off."""
    return Elector(
        store,
        identity=identity,
        rng=random.Random(7),
        utc_now=lambda: datetime.now(UTC) + timedelta(seconds=clock_error_s),
    )


@asynccontextmanager
async def running(*electors: Elector) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Run electors in the background; kill them (as -9 does: no release) at the end."""
    tasks = [asyncio.create_task(e.run(), name=e.identity) for e in electors]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def now() -> float:
    """Seconds on the clock of the loop."""
    return asyncio.get_running_loop().time()
