# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Own writes are seen before acting again, and wake nobody (B13, KEP-5647).

A controller writes to the API server and reads from a cache that lags behind. Two things follow,
and this tracker settles both with one fact, the resourceVersion that answered each write:

**A reconcile over a cache that lacks our last writes would do them again.** So the next reconcile
over an *owner* (the key that is reconciled) is postponed while a write made for it has not shown
up. The queue bounds the wait (``add_after``), the echo ends it at once. After ``give_up_s`` the
reconcile starts all the same: writes are idempotent, and a lost watch must not stop everything.

**The echo of a write is an event, which would cause a reconcile that finds nothing to do.** An
event whose resourceVersion answered a write of this owner tells it nothing that the answer did not,
so it queues nobody, unless somebody waits for it. So no reconcile is caused by another reconcile.
It rests on one promise of the reconciler: *what it decides after a write, it decides with the
answer of that write*, never with the older cached object.

What makes an echo an echo, given that events may be late, early, merged or missing:

- *Late*: outstanding writes are kept by object. An event with exactly the answered version is the
  echo; a known newer one supersedes it; an older one leaves it outstanding.
- *Early*: the watch may be faster than the answer. While a reconcile over the owner runs, nobody
  could act on an event anyway, so unknown events are *deferred*: ``wrote`` discards the one
  that turns out to be ours, and what is left at the end of the reconcile wakes the owner.
- *Merged*: a relist shows only the last state, so our version may hide a foreign change that
  came before it. If the event of an earlier own write was skipped, the event counts as foreign.
  In addition the handlers compare old and new (:func:`controller.runtime.handlers.only_ours`).
- *Too late*: once a reconcile has started without waiting any longer, it does not know what the
  echo shows, so the echo counts as foreign.
- *Missing*: the object left the selector, or was created and deleted again within a gap, so that
  no event will ever come. Bookmarks and lists move the store past the version; whoever wrote what
  was not seen before that has to look again, see :meth:`ConsistencyTracker.progressed`.

Handlers may get an event one after the other, so an echo is remembered for a while.
Everything here is O(1) per event and per write, and bounded: an owner has as many records as its
last reconciles wrote objects, and none of them outlives :data:`MEMORY_S`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import structlog

from controller.runtime.metrics import NO_METRICS, ConsistencyMetrics
from controller.runtime.ports import Clock
from informers import resource_version as rv
from informers.ports import ObjectKey, Resource

log = structlog.get_logger(__name__)

GIVE_UP_S = 5.0
"""A watch that is this late is broken rather than slow."""

MEMORY_S = 900.0
"""How long a write is remembered: longer than the longest silence of a watch (A9, 605 s)."""

_RECENT_S = 60.0  # an echo is remembered for the handlers of one event, which follow each other
_RECENT_LIMIT = 1024
_DEFERRED_LIMIT = 256  # events of one reconcile; beyond that, waking is cheaper than remembering

_Event: TypeAlias = tuple[Resource, ObjectKey, str]


class Echo(NamedTuple):
    """What an event is to the tracker.

    Attributes:
        writer: whose write it shows, and nothing but that write; ``None``: nobody's, as far as is
        known so far. Everybody else may have to be woken.
        foreign: it certainly holds more than own writes, so there is nothing to wait for.
        wake: owners that waited and are consistent now.
    """

    writer: ObjectKey | None = None
    foreign: bool = False
    wake: tuple[ObjectKey, ...] = ()


_UNKNOWN: Final = Echo()


class _Write:
    """An answered write whose echo is outstanding."""

    __slots__ = ("at", "exact", "key", "open", "owner", "resource", "version")

    def __init__(
        self, owner: ObjectKey, resource: Resource, key: ObjectKey, version: str, at: float
    ) -> None:
        self.owner = owner
        self.resource = resource
        self.key = key
        self.version = version
        self.at = at
        self.exact = True  # the owner knows all that its echo will show
        self.open = True


class _Reconcile:
    """What happens while a reconcile runs.

    Attributes:
        deferred: events that may be echoes of answers to come, with their priority.
        unseen: resources of writes that a store has passed, though no event showed them.
        since: count of progress when the reconcile started.
    """

    __slots__ = ("deferred", "since", "unseen")

    def __init__(self, since: int) -> None:
        self.deferred: dict[_Event, int] = {}
        self.unseen: set[Resource] = set()
        self.since = since


class _Owner:
    """What is outstanding for one owner."""

    __slots__ = ("given_up", "pending", "waiting")

    def __init__(self) -> None:
        self.pending: set[_Write] = set()
        self.given_up: set[_Write] = set()
        self.waiting = False


def _newer(left: str, right: str) -> bool:
    return rv.older(right, left)


class ConsistencyTracker:
    """Remembers, for each owner, the writes that the caches have not shown yet.

    One tracker for all handlers and workers of one controller. Synchronous: everything runs on
    the event loop, between two awaits.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        give_up_s: float = GIVE_UP_S,
        metrics: ConsistencyMetrics = NO_METRICS,
        newer: Callable[[str, str], bool] = _newer,
    ) -> None:
        """Nothing is outstanding.

        Args:
            clock: monotonic seconds.
            give_up_s: after which an owner is reconciled although a write has not shown.
            metrics: observer.
            newer: whether the first resourceVersion is known to be newer than the second, both
                of one resource; KEP-5504 by default.
        """
        self._clock = clock
        self._give_up_s = give_up_s
        self._memory_s = max(MEMORY_S, 2.0 * give_up_s)
        self._metrics = metrics
        self._newer = newer
        self._writes: dict[Resource, dict[ObjectKey, list[_Write]]] = {}
        self._owners: dict[ObjectKey, _Owner] = {}
        self._by_age: deque[_Write] = deque()
        self._recent: dict[_Event, tuple[ObjectKey, float]] = {}
        self._running: dict[ObjectKey, _Reconcile] = {}
        self._progress = 0
        self._progress_of: dict[Resource, int] = {}

    # --- told by who writes ----------------------------------------------------------------

    def wrote(
        self,
        owner: ObjectKey,
        resource: Resource,
        key: ObjectKey,
        resource_version: str,
        *,
        reached: bool,
    ) -> None:
        """A write made for an owner was answered. The writer goes on with the answer.

        Args:
            owner: the key that is reconciled.
            resource: what was written.
            key: of the object written.
            resource_version: of the answer; unchanged by a write that changed nothing.
            reached: the cache has it already, or no cache will ever show it.
        """
        now = self._clock()
        self._sweep(now)
        event = (resource, key, resource_version)
        running = self._running.get(owner)
        early = running is not None and event in running.deferred
        if early or reached or event in self._recent:
            if running is not None:
                self._arrived_before_its_answer(running, event, early=early)
            self._remember(event, owner, now)
            return
        writes = self._writes.setdefault(resource, {}).setdefault(key, [])
        if any(write.version == resource_version and write.owner == owner for write in writes):
            return
        write = _Write(owner, resource, key, resource_version, now)
        writes.append(write)
        self._by_age.append(write)
        self._owners.setdefault(owner, _Owner()).pending.add(write)

    # --- told by handlers ------------------------------------------------------------------

    def observed(
        self, resource: Resource, key: ObjectKey, resource_version: str, *, gone: bool = False
    ) -> Echo:
        """An event arrived. Safe to ask again about the same one: each handler does.

        Args:
            resource: of the object.
            key: of the object.
            resource_version: of the event; empty if unknown (a tombstone).
            gone: a delete. Writes to the object are not waited for any more, unless they are
                known to be newer: then it has been created again.
        """
        event = (resource, key, resource_version)
        writer = self._known_echo(event)
        if writer is not None:
            return Echo(writer)
        writes = self._writes.get(resource, {}).get(key) if self._writes else None
        if writes is None:
            return _UNKNOWN
        now = self._clock()
        reached = [write for write in writes if self._reaches(resource_version, write, gone)]
        wake = tuple(write.owner for write in reached if self._close(write))
        for write in reached:
            self._metrics.echoed(now - write.at)
        last = reached[0] if len(reached) == 1 and not gone else None
        if last is None or last.version != resource_version or not last.exact:
            # Among recorded writes, an unknown version is a foreign one before ours, or one
            # behind a gap. A known one that skipped another, or came too late, may hide some.
            return Echo(foreign=True, wake=wake)
        self._remember(event, last.owner, now)
        return Echo(last.owner, wake=wake)

    def progressed(
        self, resource: Resource, reached: Callable[[str], bool], *, namespace: str = ""
    ) -> list[ObjectKey]:
        """A bookmark or a list moved a store, after all of its events were handled.

        Args:
            resource: of the store.
            reached: whether the store has seen a version.
            namespace: of the store, if it is limited to one.

        Returns:
            Owners of writes that will not be seen any more, or that waited for them: wake them.
        """
        self._progress += 1
        self._progress_of[resource] = self._progress
        outstanding = [
            write
            for key, writes in self._writes.get(resource, {}).items()
            if not namespace or key.namespace == namespace
            for write in writes
            if reached(write.version)
        ]
        for write in outstanding:
            self._close(write)
        return list(dict.fromkeys(write.owner for write in outstanding))

    def is_reconciling(self, owner: ObjectKey) -> bool:
        """Whether a reconcile over the owner runs, so that :meth:`defer` makes sense."""
        return owner in self._running

    def defer(
        self,
        owner: ObjectKey,
        resource: Resource,
        key: ObjectKey,
        resource_version: str,
        *,
        priority: int,
    ) -> bool:
        """Leave it to the end of the running reconcile whether an unknown event wakes the owner.

        Returns:
            ``False`` if no reconcile runs (or it has deferred too much): wake the owner now.
        """
        running = self._running.get(owner)
        if running is None or len(running.deferred) >= _DEFERRED_LIMIT:
            return False
        deferred = running.deferred
        event = (resource, key, resource_version)
        deferred[event] = max(priority, deferred.get(event, priority))
        return True

    # --- asked by workers ------------------------------------------------------------------

    def wait_for(self, owner: ObjectKey) -> float | None:
        """Whether the caches show all that was written for an owner.

        Returns:
            ``None``: go on. Else put the reconcile off, for so many seconds at most; the owner is
            among those to be woken as soon as the last echo arrives.
        """
        record = self._owners.get(owner)
        if record is None:
            return None
        now = self._clock()
        late = [write for write in record.pending if write.at + self._give_up_s <= now]
        for write in late:
            record.pending.discard(write)
            record.given_up.add(write)
            write.exact = False  # the reconcile that starts without it does not know it
            self._metrics.gave_up()
            log.warning(
                "Gave up waiting for a write to show in the cache",
                resource=str(write.resource),
                object=str(write.key),
                resource_version=write.version,
            )
        record.waiting = bool(record.pending)
        if not record.waiting:
            return None
        return max(write.at for write in record.pending) + self._give_up_s - now

    def started(self, owner: ObjectKey) -> None:
        """A reconcile over the owner starts; from now on events about it may be deferred."""
        self._running[owner] = _Reconcile(self._progress)

    def finished(self, owner: ObjectKey) -> int | None:
        """The reconcile ended, however it did.

        Returns:
            The priority to queue the owner with, because events came in that were not ours;
            ``None`` if there were none.
        """
        running = self._running.pop(owner, None)
        if running is None:
            return None
        if any(self._progress_of.get(resource, 0) > running.since for resource in running.unseen):
            return max(running.deferred.values(), default=0)
        return max(running.deferred.values(), default=None)

    def forget(self, owner: ObjectKey) -> None:
        """The owner is gone: nothing is waited for any more."""
        record = self._owners.get(owner)
        if record is not None:
            for write in (*record.pending, *record.given_up):
                self._close(write)

    # --- records ---------------------------------------------------------------------------

    def _arrived_before_its_answer(
        self, running: _Reconcile, event: _Event, *, early: bool
    ) -> None:
        if early:
            self._metrics.echoed(0.0)
            del running.deferred[event]
        elif event not in self._recent:
            # A write that changed nothing, or one that a list skipped: created, deleted, and the
            # list shows nothing. If there was a list during this reconcile, look again.
            running.unseen.add(event[0])

    def _reaches(self, version: str, write: _Write, gone: bool) -> bool:
        if version == write.version or self._newer(version, write.version):
            return True
        return gone and not self._newer(write.version, version)

    def _close(self, write: _Write) -> bool:
        """Drop a record; whether its owner waited for it, and it was the last."""
        write.open = False
        objects = self._writes[write.resource]
        writes = objects[write.key]
        writes.remove(write)
        if not writes:
            del objects[write.key]
            if not objects:
                del self._writes[write.resource]
        record = self._owners[write.owner]
        record.pending.discard(write)
        record.given_up.discard(write)
        woken = record.waiting and not record.pending
        if woken:
            record.waiting = False
        if not record.pending and not record.given_up:
            del self._owners[write.owner]
        return woken

    def _remember(self, event: _Event, owner: ObjectKey, now: float) -> None:
        self._recent[event] = (owner, now)
        if len(self._recent) > _RECENT_LIMIT:
            del self._recent[next(iter(self._recent))]

    def _known_echo(self, event: _Event) -> ObjectKey | None:
        if not self._recent:
            return None
        owner, at = self._recent.get(event, (None, 0.0))
        return owner if owner is not None and self._clock() - at <= _RECENT_S else None

    def _sweep(self, now: float) -> None:
        """Drop what is too old, whether or not anybody asked."""
        by_age = self._by_age
        while by_age and (not by_age[0].open or by_age[0].at + self._memory_s <= now):
            write = by_age.popleft()
            if write.open:
                self._close(write)
