# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The queue that workers wait on: an asyncio shell around :mod:`workqueue.core`.

All decisions are the core's. The shell adds what needs a loop: it reads the clock, lets
:meth:`RateLimitingQueue.get` wait, and keeps **one** timer, set to the earliest deadline, for
all delayed keys (C12). There is no task in here: a thousand delayed keys are a thousand heap
items and one timer handle, and an idle queue wakes nobody.

Everything runs on one event loop and nothing but ``get`` and ``drained`` awaits, so there are
no locks: between two awaits nobody else runs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from workqueue.core import Item, QueueCore
from workqueue.metrics import NO_METRICS, QueueGauges, QueueMetrics
from workqueue.ratelimit import PerKeyExponential, RateLimiter

K = TypeVar("K", bound=Hashable)

_LONGEST_TIMER_S = 3600.0
"""A timer is set again after that: some loops cannot count to "never"."""


class ShutDown(Exception):
    """The queue is shut down and has nothing to hand out any more."""


class RateLimitingQueue(Generic[K]):
    """Keys that somebody has to look at: each at most once, each by one worker at a time.

    A worker's life, which never loses a key and never locks one up (C2, C4)::

        while True:
            item = await queue.get()  # raises ShutDown at the end
            try:
                ...
            finally:
                queue.done(item.key)
    """

    def __init__(
        self,
        *,
        name: str,
        rate_limiter: RateLimiter[K] | None = None,
        metrics: QueueMetrics = NO_METRICS,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """No loop needs to run yet, but only until the first call of any method.

        Args:
            name: label of metrics.
            rate_limiter: of :meth:`add_rate_limited`; per-key exponential if absent.
            metrics: observer.
            clock: monotonic seconds; the loop's own if absent.
        """
        self.name = name
        self._limiter = rate_limiter if rate_limiter is not None else PerKeyExponential[K]()
        self._clock = clock
        self._core = QueueCore[K](metrics=metrics)
        self._getters: deque[asyncio.Future[None]] = deque()
        self._woken = 0  # getters that were woken and have not run yet
        self._timer: asyncio.TimerHandle | None = None
        self._timer_for = 0.0
        self._finished = asyncio.Event()
        metrics.bind(
            name,
            QueueGauges(
                depth=lambda: self._core.depth,
                unfinished_s=lambda: self._running()[0],
                longest_running_s=lambda: self._running()[1],
            ),
        )

    def __len__(self) -> int:
        """Keys that are ready and not handed out; delayed ones do not count."""
        return len(self._core)

    # --- putting in ------------------------------------------------------------------------

    def add(self, key: K, *, priority: int = 0) -> None:
        """Somebody has to look at this key now. Ignored after :meth:`shut_down`."""
        self._core.add(key, self._now(), priority=priority)
        self._changed()

    def add_after(self, key: K, delay_s: float, *, priority: int = 0) -> None:
        """Somebody has to look at this key, at the latest in ``delay_s`` seconds (C5).

        One deadline a key, the earliest wins, and a plain add in the meantime replaces it: who
        needs another look later says so after each look.
        """
        self._core.add(key, self._now(), priority=priority, delay=delay_s)
        self._changed()

    def add_rate_limited(self, key: K, *, priority: int = 0, min_delay_s: float = 0.0) -> None:
        """Look at this key again after the rest that its failures call for (C6).

        Args:
            key: what failed.
            priority: the one it was handed out with.
            min_delay_s: rest at least that long, e.g. a server's Retry-After.
        """
        if self._core.closed:  # nobody would ever forget what is counted now (C7)
            return
        now = self._now()
        delay = max(min_delay_s, self._limiter.delay(key, now))
        self._core.add(key, now, priority=priority, delay=delay)
        self._changed()

    def forget(self, key: K) -> None:
        """The key is well: its failures count no more. Does not take it out of the queue."""
        self._limiter.forget(key)

    def requeues(self, key: K) -> int:
        """Failures since the last :meth:`forget`."""
        return self._limiter.requeues(key)

    # --- taking out ------------------------------------------------------------------------

    async def get(self) -> Item[K]:
        """Wait for a key and own it until :meth:`done`.

        Cancelling it loses nothing: a key is taken in the very step that returns it (C13).

        Raises:
            ShutDown: nothing will come any more.
        """
        while True:
            item = self._core.take(self._now())
            if item is not None:
                self._changed()
                return item
            if self._core.exhausted:
                raise ShutDown(self.name)
            await self._wait()

    def done(self, key: K) -> None:
        """The owner of a key has finished with it; call it in a ``finally`` (C4).

        Raises:
            KeyError: the key is not handed out; a programming error.
        """
        self._core.done(key, self._now())
        self._changed()

    # --- the end ---------------------------------------------------------------------------

    def shut_down(self, *, drain: bool) -> None:
        """Ignore adds and drop what is delayed (C11).

        Args:
            drain: whether what is ready is still handed out; if not, it is dropped. A call
                without drain overrides an earlier one with it.
        """
        self._core.close(drain=drain)
        self._changed()

    async def drained(self) -> None:
        """Wait for shutdown, an empty queue and every owner being done. No limit of its own."""
        await self._finished.wait()

    # --- waiting ---------------------------------------------------------------------------

    def _now(self) -> float:
        if self._clock is None:
            self._clock = asyncio.get_running_loop().time
        return self._clock()

    def _running(self) -> tuple[float, float]:
        return self._core.running(self._now()) if self._core.processing else (0.0, 0.0)

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._getters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with contextlib.suppress(ValueError):  # _changed may have dropped it
                    self._getters.remove(waiter)
            else:  # woken and cancelled in the same step: pass the word on
                self._woken -= 1
                self._changed()
            raise
        self._woken -= 1

    def _changed(self) -> None:
        """Wake as many getters as there are keys to take, and set the timer."""
        core = self._core
        while self._getters and (core.exhausted or self._woken < core.available):
            waiter = self._getters.popleft()
            if not waiter.done():  # else cancelled; its task has not run yet
                self._woken += 1
                waiter.set_result(None)
        if core.finished:
            self._finished.set()
        deadline = core.next_deadline()
        if deadline is None:
            self._disarm()
        elif self._timer is None or deadline < self._timer_for:
            self._disarm()
            self._arm(deadline)

    def _arm(self, deadline: float) -> None:
        delay = min(max(0.0, deadline - self._now()), _LONGEST_TIMER_S)
        self._timer_for = deadline
        self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        self._core.advance(self._now())
        self._changed()
