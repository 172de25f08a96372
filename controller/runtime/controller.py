# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Workers: they take keys, have them reconciled, and do what the result table says.

The shape is that of controller-runtime's ``pkg/internal/controller/controller.go``. ``N`` named
workers live in one task group; each owns one key at a time, and the queue sees to it that no two
own the same. What may go wrong stays with the key: an exception, a time-out, even a stray
``CancelledError`` from inside a reconcile never ends a worker (D3). What ends a worker is only
the queue's shutdown, cancellation from outside, or a bug in here; the latter takes the whole
group down, and with it the process, because a controller that works at half strength unnoticed is
worse than one that restarts (D8).

Before a reconcile starts, two questions are asked: may anybody reconcile at all (``guard``, e.g.
leadership), and do the caches show what the last reconcile wrote (B13, ``consistency``). If not,
the key goes back into the queue.

Two ways to stop: :meth:`Controller.stop` lets the running ones finish and hands out what is
ready, for a bounded time; cancelling :meth:`Controller.run` ends everything now, which a lost
lease calls for (E7).
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Iterator
from typing import Protocol

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from controller.runtime.consistency import ConsistencyTracker
from controller.runtime.metrics import NO_METRICS, ControllerMetrics
from controller.runtime.result import (
    Cause,
    Result,
    Then,
    Verdict,
    describe,
    judge_error,
    judge_result,
)
from informers.ports import ObjectKey
from workqueue import Item, RateLimitingQueue, ShutDown

log = structlog.get_logger(__name__)

DEFAULT_WORKERS = 8
"""A reconcile mostly waits for the API server, so a few overlap well on one loop."""

DEFAULT_TIMEOUT_S = 60.0
"""A reconcile makes about ten requests of at most 30 s each; one that needs longer is stuck."""

GUARD_RETRY_S = 1.0
"""When to ask the guard again: a lease is retried every two seconds."""

_CANCEL_GRACE_S = 1.0
"""How long a cancelled reconcile may take to clean up before we stop without it."""


class Reconciler(Protocol):
    """Makes the world what one object says it should be."""

    async def reconcile(self, key: ObjectKey) -> Result:
        """Look at everything that concerns a key and do what is missing (D5).

        Called for keys that do not exist (any more), too. Never called twice at a time for one
        key.

        Raises:
            TerminalError: trying again cannot help.
            ApiError: trying again may help.
        """
        ...


def _always() -> bool:
    return True


class Controller:
    """Runs one reconciler over one queue.

    Args:
        name: of the controller: log field, name of tasks.
        reconciler: does the work.
        queue: where keys come from; shut down when :meth:`run` ends.
        workers: how many keys are reconciled at a time.
        timeout_s: of one reconcile, in seconds (D4).
        metrics: observer.
        guard: whether a reconcile may start; asked each time, so it must be cheap.
        consistency: postpones reconciles until own writes are visible.
    """

    def __init__(
        self,
        *,
        name: str,
        reconciler: Reconciler,
        queue: RateLimitingQueue[ObjectKey],
        workers: int = DEFAULT_WORKERS,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        metrics: ControllerMetrics = NO_METRICS,
        guard: Callable[[], bool] = _always,
        consistency: ConsistencyTracker | None = None,
    ) -> None:
        if workers < 1 or timeout_s <= 0:
            raise ValueError(f"need workers {workers} and timeout_s {timeout_s} above zero")
        self.name = name
        self._reconciler = reconciler
        self._queue = queue
        self._workers = workers
        self._timeout_s = timeout_s
        self._metrics = metrics
        self._guard = guard
        self._consistency = consistency
        self._tasks: list[asyncio.Task[None]] = []
        self._active: set[ObjectKey] = set()
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Work until the queue is shut down and drained; cancel to stop at once.

        Raises:
            RuntimeError: called twice.
            ExceptionGroup: a worker died of a bug in the machinery.
        """
        if self._tasks:
            raise RuntimeError(f"controller {self.name} runs already")
        self._metrics.max_concurrent(self._workers)
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._workers):
                    task = group.create_task(self._work(), name=f"{self.name}-worker-{number}")
                    self._tasks.append(task)
        finally:
            self._queue.shut_down(drain=False)
            self._ended.set()

    async def stop(self, *, deadline_s: float) -> None:
        """Hand out what is ready, let it finish, and come back when :meth:`run` has ended.

        Args:
            deadline_s: after which the reconciles that still run are cancelled. A reconcile that
                resists is left behind a second later.
        """
        if not self._tasks:
            self._queue.shut_down(drain=False)
            return
        self._queue.shut_down(drain=True)
        if await self._ended_within(deadline_s):
            return
        log.warning(
            "Cancelled reconciles that were still running",
            controller=self.name,
            objects=sorted(str(key) for key in self._active),
            deadline_s=deadline_s,
        )
        self._queue.shut_down(drain=False)
        for task in self._tasks:
            task.cancel()
        if not await self._ended_within(_CANCEL_GRACE_S):
            log.error("A reconcile resisted its cancellation", controller=self.name)

    async def _ended_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        return self._ended.is_set()

    # --- one worker ------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            try:
                item = await self._queue.get()
            except ShutDown:
                return
            try:
                if not self._is_put_off(item):
                    await self._reconcile(item)
            finally:
                self._queue.done(item.key)

    def _is_put_off(self, item: Item[ObjectKey]) -> bool:
        """Whether the key has gone back into the queue, because its time has not come."""
        if not self._guard():
            self._queue.add_after(item.key, GUARD_RETRY_S, priority=item.priority)
            return True
        wait_s = self._consistency.wait_for(item.key) if self._consistency else None
        if wait_s is None:
            return False
        self._metrics.postponed()
        self._queue.add_after(item.key, wait_s, priority=item.priority)
        return True

    async def _reconcile(self, item: Item[ObjectKey]) -> None:
        with self._log_context(item.key), self._watching(item.key):
            clock = asyncio.get_running_loop().time
            began = clock()
            verdict, error = await self._attempt(item.key)
            self._settle(item, verdict, error, clock() - began)

    async def _attempt(self, key: ObjectKey) -> tuple[Verdict, BaseException | None]:
        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                result = await self._reconciler.reconcile(key)
            return judge_result(result), None
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody asked this worker to stop: something in the reconcile was cancelled. Let
            # through, it would end the worker, and a task group does not notice that (D3).
            return judge_error(error), error
        except Exception as error:  # noqa: BLE001 - logged with its verdict, in _report
            return judge_error(error, timed_out=limit.expired()), error

    def _settle(
        self, item: Item[ObjectKey], verdict: Verdict, error: BaseException | None, seconds: float
    ) -> None:
        """Queue, metrics, log: the only place where a verdict has consequences."""
        key = item.key
        match verdict.then:
            case Then.FORGET:
                self._queue.forget(key)
            case Then.LATER:
                self._queue.forget(key)
                self._queue.add_after(key, verdict.delay_s, priority=item.priority)
            case Then.RETRY:
                self._queue.add_rate_limited(
                    key, priority=item.priority, min_delay_s=verdict.delay_s
                )
        self._metrics.reconciled(verdict.label, seconds)
        if verdict.label == "error":
            self._metrics.errored()
        match verdict.cause:
            case Cause.TERMINAL:
                self._metrics.terminal()
            case Cause.TIMEOUT:
                self._metrics.timed_out()
            case Cause.PANIC:
                self._metrics.panicked()
            case Cause.RESULT | Cause.CONFLICT | Cause.ERROR:
                pass
        self._report(verdict, error, seconds, failures=self._queue.requeues(key))

    def _report(
        self, verdict: Verdict, error: BaseException | None, seconds: float, *, failures: int
    ) -> None:
        facts = {"seconds": round(seconds, 4)}
        if error is None:
            log.debug("Reconciled", result=verdict.label, **facts)
            return
        what = {"error": describe(error), "failures": failures}
        match verdict.cause:
            case Cause.CONFLICT:
                log.info("Lost a race and tried again", **what, **facts)
            case Cause.TERMINAL:
                log.error("Failed to reconcile, for good", **what, **facts)
            case Cause.TIMEOUT:
                log.error("Reconcile timed out", timeout_s=self._timeout_s, **what, **facts)
            case Cause.PANIC:
                log.error("Failed to reconcile, unexpectedly", exc_info=error, **what, **facts)
            case Cause.RESULT | Cause.ERROR:
                log.error("Failed to reconcile", **what, **facts)

    # --- around a reconcile ----------------------------------------------------------------

    @contextlib.contextmanager
    def _log_context(self, key: ObjectKey) -> Iterator[None]:
        """Every line logged meanwhile says which reconcile of which object it belongs to."""
        outside = get_contextvars()
        bind_contextvars(
            reconcile_id=uuid.uuid4().hex[:8],
            controller=self.name,
            namespace=key.namespace,
            name=key.name,
        )
        try:
            yield
        finally:
            clear_contextvars()  # of what the reconcile may have bound, too
            bind_contextvars(**outside)

    @contextlib.contextmanager
    def _watching(self, key: ObjectKey) -> Iterator[None]:
        """Count it as active, and sort out afterwards which events were our own."""
        self._active.add(key)
        self._metrics.active(len(self._active))
        if self._consistency:
            self._consistency.started(key)
        try:
            yield
        finally:
            self._active.discard(key)
            self._metrics.active(len(self._active))
            if self._consistency:
                priority = self._consistency.finished(key)
                if priority is not None:
                    self._queue.add(key, priority=priority)
