# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A controller with everything around it in reach, and reconcilers that end as told."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from controller.runtime.consistency import ConsistencyTracker
from controller.runtime.controller import Controller
from controller.runtime.metrics import NoMetrics, ReconcileResult
from controller.runtime.result import Result
from informers.ports import ObjectKey, Resource
from workqueue import PerKeyExponential, RateLimitingQueue

Body = Callable[[ObjectKey], Awaitable[Result]]

A, B, C = (ObjectKey("ns", name) for name in "abc")
PARTS = Resource("", "v1", "Part", "parts")


class Counting(NoMetrics):
    """What the controller told its observer."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.active_now = self.active_most = 0

    def max_concurrent(self, workers: int) -> None:
        self.counts["max_concurrent"] = workers

    def active(self, workers: int) -> None:
        self.active_now = workers
        self.active_most = max(self.active_most, workers)

    def reconciled(self, result: ReconcileResult, seconds: float) -> None:
        assert seconds >= 0
        self.counts[result] += 1

    def errored(self) -> None:
        self.counts["errors"] += 1

    def terminal(self) -> None:
        self.counts["terminal"] += 1

    def panicked(self) -> None:
        self.counts["panics"] += 1

    def timed_out(self) -> None:
        self.counts["timeouts"] += 1

    def postponed(self) -> None:
        self.counts["postponed"] += 1


class Scripted:
    """Reconciles as told; remembers when it was asked about what."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.calls: list[tuple[float, ObjectKey]] = []
        self.running: set[ObjectKey] = set()
        self.most = 0

    async def reconcile(self, key: ObjectKey) -> Result:
        assert key not in self.running, "two workers on one key"
        self.running.add(key)
        self.most = max(self.most, len(self.running))
        self.calls.append((round(now(), 6), key))
        try:
            return await self.body(key)
        finally:
            self.running.discard(key)


def now() -> float:
    return asyncio.get_running_loop().time()


async def forever() -> Result:
    await asyncio.Event().wait()
    raise AssertionError


def always(result: Result | BaseException) -> Body:
    async def body(_: ObjectKey) -> Result:
        if isinstance(result, BaseException):
            raise result
        return result

    return body


def once(first: Result | BaseException) -> Body:
    """The given end, and success from then on."""
    asked = False

    async def body(key: ObjectKey) -> Result:
        nonlocal asked
        if asked:
            return Result.done()
        asked = True
        return await always(first)(key)

    return body


def in_turn(ends: Sequence[Result | BaseException]) -> Body:
    """One end after the other."""
    rest = iter(ends)

    async def body(key: ObjectKey) -> Result:
        return await always(next(rest))(key)

    return body


def scripted(scripts: Mapping[ObjectKey, Sequence[Result | BaseException]]) -> Body:
    """One end after the other, each key for itself."""
    bodies = {key: in_turn(ends) for key, ends in scripts.items()}

    async def body(key: ObjectKey) -> Result:
        return await bodies[key](key)

    return body


class Setup:
    """One controller with everything around it in reach."""

    def __init__(self, body: Body, *, workers: int = 2, timeout_s: float = 60.0) -> None:
        self.limiter = PerKeyExponential[ObjectKey](base_s=1.0)
        self.queue = RateLimitingQueue(name="test", rate_limiter=self.limiter)
        self.metrics = Counting()
        self.reconciler = Scripted(body)
        self.tracker = ConsistencyTracker(clock=now, give_up_s=5.0)
        self.allowed = True
        self.controller = Controller(
            name="test",
            reconciler=self.reconciler,
            queue=self.queue,
            workers=workers,
            timeout_s=timeout_s,
            metrics=self.metrics,
            guard=lambda: self.allowed,
            consistency=self.tracker,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.controller.run(), name="controller")
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])
