# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Electors that run during a test, and a lease that can hang, fail and lose answers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from informers.errors import TransportError
from informers.ports import ObjectKey
from llamastack_operator.election.core import Lease, Record
from llamastack_operator.election.elector import Elector
from llamastack_operator.election.lease import LEASES, KubeLeaseStore, record_of, spec_of
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.fakeapi.server import FakeApi

LATENCY_S = 0.005
KEY = ObjectKey("n", "lease")


class Store:
    """A lease in an API in memory; each request and each answer takes 5 ms."""

    def __init__(self) -> None:
        self.client = FakeClient(FakeApi(), latency_s=2 * LATENCY_S)
        self._store = KubeLeaseStore(self.client, KEY.namespace, KEY.name)
        self.get = self._store.get
        self.create = self._store.create
        self.update = self._store.update

    @property
    def lease(self) -> Lease | None:
        """As it is stored."""
        found = self.client.api.find(LEASES, KEY)
        if found is None:
            return None
        return Lease(record_of(found), found["metadata"]["resourceVersion"])

    def times(self, verb: str) -> list[float]:
        """When requests arrived: get, create or update."""
        return [call.at for call in self.client.calls if call.verb == verb]

    def seize(self, record: Record) -> None:
        """Somebody writes another record into it."""
        self.client.api.put(LEASES, KEY, spec=spec_of(record))

    def touch(self) -> None:
        """Somebody edits a label: a new version of the same record."""
        self.client.api.put(LEASES, KEY, metadata={"labels": {"touched": "yes"}})

    def vanish(self) -> None:
        """Somebody deletes it."""
        self.client.api.delete(LEASES, KEY)

    def hang(self) -> None:
        """No request arrives, and none is answered."""
        self.fail(TransportError("never told"), until=asyncio.Event())

    def lose_answers(self) -> None:
        """Requests are carried out, and nobody hears of it."""
        self.client.faults.append(Fault(until=asyncio.Event(), times=None))

    def fail(self, error: Exception, *, until: asyncio.Event | None = None) -> None:
        """Every request fails."""
        self.client.faults.append(Fault(error=error, until=until, times=None))

    def recover(self) -> None:
        """Requests are answered again."""
        self.client.faults.clear()


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
