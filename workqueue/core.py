# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The rules of the queue, without clock, loop or lock: ``now`` comes in, keys come out.

Semantics of client-go's ``util/workqueue`` with the priorities of controller-runtime's
``priorityqueue.go``, in one state machine. A key has at most one *entry* and may at the same
time be *processing*::

      add_after              add, or the deadline passed            take
    ──────────▶  delayed  ───────────────────────────────▶  ready  ──────▶  processing
                                                               │                │
                      ready while the same key is processing:  └─ held ◀────────┘
                      kept back until done, never lost (C2, C3)           done

- One entry a key: a second add merges into it, with the higher priority and the earlier
  deadline (C1, C5, C9). What it merges into is one run: keys say *what to look at*, not what
  happened (D5), so looking once is enough.
- Ready keys leave by priority, first in first out inside a level. The place in the line is
  taken when the key becomes ready; whoever is raised goes to the tail of the new level (C9).
- A key that was added while it is processed keeps its place, but is handed out only after
  ``done`` (C2). Deadlines run on meanwhile.

Both orders are binary heaps with *lazy deletion*: an entry that moves gets a new ticket, and
heap items with an old ticket are skipped. Left alone they would pile up (a plain add makes a
key ready and leaves its deadline, hours ahead, in the heap), so a heap that is mostly stale is
rebuilt: amortised O(1), every operation O(log n) (C12).
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Mapping
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from workqueue.metrics import NO_METRICS, QueueMetrics

K = TypeVar("K", bound=Hashable)

LOW_PRIORITY: Final = -100
"""Of keys from the initial list and from resyncs: nobody changed anything just now, so they
must not delay those whose object did change (controller-runtime ``handler.LowPriority``)."""

_COMPACT_FROM: Final = 64
"""Stale heap items tolerated whatever the size: below that, rebuilding costs more."""


class Item(NamedTuple, Generic[K]):
    """A key handed out, with the priority that it was queued at (re-add it with that)."""

    key: K
    priority: int


class _Entry(Generic[K]):
    """A queued key.

    Attributes:
        ticket: of its one valid heap item; grows with each move, so it is also the place in
            the line. -1 once the entry has left the queue.
        ready_at: deadline, or ``None`` once it is ready.
        since: when it became ready.
    """

    __slots__ = ("key", "priority", "ready_at", "since", "ticket")

    def __init__(self, key: K, priority: int) -> None:
        self.key = key
        self.priority = priority
        self.ticket = -1
        self.ready_at: float | None = None
        self.since = 0.0


_Heap: TypeAlias = list[tuple[float, int, _Entry[K]]]


def _drop_stale(heap: _Heap[K], live: int) -> None:
    """Rebuild a heap in which most items are stale; order is by value, so nothing moves."""
    if len(heap) > 2 * live + _COMPACT_FROM:
        heap[:] = [item for item in heap if item[2].ticket == item[1]]
        heapq.heapify(heap)


class QueueCore(Generic[K]):
    """The state machine. ``now`` is monotonic seconds and must never run backwards."""

    def __init__(self, *, metrics: QueueMetrics = NO_METRICS) -> None:
        """``metrics`` is told what happens; it must not call back."""
        self._metrics = metrics
        self._entries: dict[K, _Entry[K]] = {}
        self._processing: dict[K, float] = {}
        self._ready: _Heap[K] = []  # (-priority, ticket, entry), without the held
        self._delayed: _Heap[K] = []  # (deadline, ticket, entry)
        self._available = 0
        self._waiting = 0
        self._ticket = 0
        self._depth: dict[int, int] = {}
        self._closed = False

    # --- what is there ---------------------------------------------------------------------

    def __len__(self) -> int:
        """Keys that are ready, held ones included: the sum of :attr:`depth`."""
        return len(self._entries) - self._waiting

    @property
    def available(self) -> int:
        """How many keys :meth:`take` would hand out, one after the other, at the last ``now``."""
        return self._available

    @property
    def depth(self) -> Mapping[int, int]:
        """Ready keys by priority; a priority once seen stays, with 0 (C10)."""
        return self._depth

    @property
    def processing(self) -> Mapping[K, float]:
        """Keys handed out and not done, with the time at which they were."""
        return self._processing

    @property
    def closed(self) -> bool:
        """Whether adds are ignored already."""
        return self._closed

    @property
    def exhausted(self) -> bool:
        """Whether nothing will ever be handed out again. Held keys still will."""
        return self._closed and not self._entries

    @property
    def finished(self) -> bool:
        """Exhausted, and all that was handed out is done."""
        return self._closed and not self._entries and not self._processing

    def next_deadline(self) -> float | None:
        """The earliest deadline of a delayed key, or ``None``."""
        heap = self._delayed
        while heap and heap[0][2].ticket != heap[0][1]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def running(self, now: float) -> tuple[float, float]:
        """Seconds that the keys handed out have been out: their sum, and the longest."""
        ages = [now - started for started in self._processing.values()]
        return sum(ages), max(ages, default=0.0)

    # --- what happens ----------------------------------------------------------------------

    def add(self, key: K, now: float, *, priority: int = 0, delay: float = 0.0) -> None:
        """Queue a key, or merge into its entry: higher priority, earlier deadline.

        Args:
            key: what to look at.
            now: monotonic seconds.
            priority: higher goes first.
            delay: seconds before it becomes ready; at once unless it is positive (C5).
        """
        if self._closed:
            return
        if self._delayed and self._delayed[0][0] <= now:
            self.advance(now)
        delayed = delay > 0
        if delayed:
            self._metrics.retried()
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(key, priority)
            if delayed:
                self._waiting += 1
                self._delay(entry, now + delay)
            else:
                self._make_ready(entry, now)
            return
        if priority > entry.priority:
            self._raise(entry, priority)
        if entry.ready_at is None:
            return
        if not delayed:
            self._waiting -= 1
            self._make_ready(entry, now)
        elif now + delay < entry.ready_at:
            self._delay(entry, now + delay)

    def advance(self, now: float) -> None:
        """Make ready what has a deadline at or before ``now``, in the order of deadlines."""
        heap = self._delayed
        while heap and heap[0][0] <= now:
            deadline, ticket, entry = heapq.heappop(heap)
            if entry.ticket == ticket:
                self._waiting -= 1
                self._make_ready(entry, deadline)

    def take(self, now: float) -> Item[K] | None:
        """Hand out the next key, which is then processing; ``None`` if there is none."""
        if self._delayed and self._delayed[0][0] <= now:
            self.advance(now)
        heap = self._ready
        while heap:
            _, ticket, entry = heapq.heappop(heap)
            if entry.ticket != ticket:
                continue
            entry.ticket = -1
            key, priority = entry.key, entry.priority
            del self._entries[key]
            self._available -= 1
            self._depth[priority] -= 1
            self._processing[key] = now
            self._metrics.waited(now - entry.since)
            return Item(key, priority)
        return None

    def done(self, key: K, now: float) -> None:
        """The key is no longer processed; an entry made meanwhile becomes available (C3).

        Raises:
            KeyError: the key is not being processed; a programming error (C4).
        """
        started = self._processing.pop(key, None)
        if started is None:
            raise KeyError(f"{key!r} is not being processed")
        self._metrics.worked(now - started)
        entry = self._entries.get(key)
        if entry is not None and entry.ready_at is None:
            self._push_ready(entry)

    def close(self, *, drain: bool) -> None:
        """Ignore adds from now on and drop the delayed; without ``drain`` the ready too (C11).

        May be called again: a close without drain overrides one with it.
        """
        self._closed = True
        keep = {k: e for k, e in self._entries.items() if drain and e.ready_at is None}
        for key, entry in self._entries.items():
            if key not in keep:
                if entry.ready_at is None:
                    self._depth[entry.priority] -= 1
                entry.ticket = -1
        self._entries = keep
        self._waiting = 0
        self._delayed.clear()
        if not drain:
            self._ready.clear()
            self._available = 0

    # --- moves -----------------------------------------------------------------------------

    def _delay(self, entry: _Entry[K], deadline: float) -> None:
        entry.ready_at = deadline
        entry.ticket = self._ticket = self._ticket + 1
        heapq.heappush(self._delayed, (deadline, entry.ticket, entry))
        _drop_stale(self._delayed, self._waiting)

    def _make_ready(self, entry: _Entry[K], since: float) -> None:
        entry.ready_at = None
        entry.since = since
        entry.ticket = self._ticket = self._ticket + 1
        priority = entry.priority
        self._depth[priority] = self._depth.get(priority, 0) + 1
        self._metrics.added()
        if entry.key not in self._processing:
            self._push_ready(entry)

    def _push_ready(self, entry: _Entry[K]) -> None:
        self._available += 1
        heapq.heappush(self._ready, (-entry.priority, entry.ticket, entry))

    def _raise(self, entry: _Entry[K], priority: int) -> None:
        old, entry.priority = entry.priority, priority
        if entry.ready_at is not None:
            return
        self._depth[old] -= 1
        self._depth[priority] = self._depth.get(priority, 0) + 1
        entry.ticket = self._ticket = self._ticket + 1
        if entry.key not in self._processing:
            heapq.heappush(self._ready, (-priority, entry.ticket, entry))
            _drop_stale(self._ready, self._available)
