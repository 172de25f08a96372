# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One watch, one store, any number of handlers.

The informer joins the parts: the runner hands it deltas, the store turns them into changes, the
dispatcher takes the changes to the handlers. The states that a store goes through are a
subsequence of the true states of the cluster, per object in order; the store is eventually
consistent and may lag, and :meth:`informers.store.Store.reached` says whether it has seen a
given write (B13). One informer per resource, scope and representation, shared by all users (B14).

A store that must hold only what is referred to gets a ``keep`` predicate; what that means for
handlers and readers is written down in :mod:`informers.store`. Start such an informer only when
whatever ``keep`` looks at has synced, or its initial list is filtered by an empty set of
references and every reference has to be read live.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from informers.backoff import Rng
from informers.decoder import Decoder
from informers.dispatch import Dispatcher, Handler, Registration
from informers.indexers import IndexFunc
from informers.metrics import NO_METRICS, Gauges, MetricsProvider
from informers.mutation_check import MutationDetector
from informers.options import ReflectorOptions
from informers.ports import ListerWatcher, Object, ObjectKey
from informers.reflector import Reflector
from informers.reflector_messages import Apply, Delete, Delta, Replace, SeenUpTo
from informers.runner import Runner
from informers.store import Change, Store
from informers.transforms import drop_noise

__all__ = ["RESYNC_PERIOD_S", "Handler", "Informer", "Registration"]

log = structlog.get_logger(__name__)

RESYNC_PERIOD_S = 36_000
"""Ten hours, as in controller-runtime: events do the work, a resync only heals our own bugs."""

_RESYNC_JITTER = 0.1  # ± share of the period, so that informers do not resync together


class Informer:
    """A live copy of one resource in one scope.

    Args:
        source: what to list and watch.
        name: for logs and metrics; the resource's name by default.
        transform: what of an object is stored; ``None`` from it hides the object (B9).
        indexers: index functions by name (B7).
        keep: which objects to hold; see :mod:`informers.store`. Everything by default.
        resync_period_s: between two resyncs, ± 10 % (B4).
        metrics: makes the counters.
        clock: monotonic seconds; the running loop's by default.
        rng: for jitter.
        page_size: objects a page when the list is paged.
        tuning: the other numbers of the protocol.
        mutation_detector: proves that nobody changes cached objects; for tests (B8).
    """

    def __init__(
        self,
        source: ListerWatcher,
        *,
        name: str = "",
        transform: Callable[[dict[str, Any]], Object | None] = drop_noise,
        indexers: Mapping[str, IndexFunc] | None = None,
        keep: Callable[[Object], bool] | None = None,
        resync_period_s: float = RESYNC_PERIOD_S,
        metrics: MetricsProvider = NO_METRICS,
        clock: Callable[[], float] | None = None,
        rng: Rng | None = None,
        page_size: int = 500,
        tuning: ReflectorOptions | None = None,
        mutation_detector: MutationDetector | None = None,
    ) -> None:
        self.name = name or str(source.resource)
        self._source = source
        self._resync_period_s = resync_period_s
        self._clock = clock
        self._rng = rng or random.SystemRandom()
        self._tuning = tuning or ReflectorOptions(page_size=page_size)
        self._detector = mutation_detector
        self._moved_at = self._event_at = -math.inf
        self._synced = asyncio.Event()
        self._work = asyncio.Event()
        self._store = Store(indexers=indexers, keep=keep, on_error=self._function_failed)
        gauges = Gauges(
            store_size=self._store.__len__,
            store_rv_age_s=lambda: self._now() - self._moved_at,
            last_event_age_s=lambda: self._now() - self._event_at,
        )
        self._metrics = metrics.informer(self.name, gauges)
        self._dispatcher = Dispatcher(self.name, self._metrics)
        self._intake = Decoder(
            source.resource,
            transform=transform,
            metrics=self._metrics,
            on_error=lambda key, error: self._function_failed("transform", key, error),
        )
        self._reflector = Reflector(
            self._intake, rng=self._rng, metrics=self._metrics, tuning=self._tuning
        )

    # --- for readers and handlers ----------------------------------------------------------

    @property
    def store(self) -> Store:
        """The objects. Only the informer changes it."""
        return self._store

    def add_handler(self, handler: Handler, *, resync: bool = False) -> Registration:
        """Tell a handler from now on.

        A late one first gets everything that is in the store as initial additions (B6), delivered
        by the running informer, not by this call.

        Args:
            handler: synchronous; maps and enqueues, nothing else (B12).
            resync: whether it wants periodic updates of every object to itself (B4).
        """
        registration = Registration(handler, resync=resync)
        self._dispatcher.add(registration)
        if self.has_synced():
            self._dispatcher.enqueue_initial(registration, self._store.values())
            self._work.set()
        return registration

    def add_progress_listener(self, callback: Callable[[], None]) -> None:
        """Call back when the store has seen more without a change that handlers are told of.

        That is after a bookmark and after a list; the consistency tracker waits for it (B13).
        """
        self._dispatcher.add_listener(callback)

    def has_synced(self) -> bool:
        """Whether the store holds a complete state of the cluster (B5)."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Until :meth:`has_synced`, and every handler registered by then has all of it.

        Waits without a limit of its own: the caller bounds it.
        """
        await self._synced.wait()
        for registration in self._dispatcher.registrations:
            await registration.synced.wait()

    # --- objects of interest ---------------------------------------------------------------

    def refilter(self) -> int:
        """Drop the objects that ``keep`` does not want any more; how many."""
        keys = self._store.keys() if self._detector else ()
        dropped = self._store.refilter()
        if self._detector:
            self._detector.moved(self._store, keys)
        return dropped

    def ticket(self) -> int:
        """To be taken before a live read whose answer will be offered."""
        return self._store.ticket()

    def offer(self, obj: Object, *, ticket: int) -> bool:
        """Hold an object that was read live; see :meth:`informers.store.Store.offer`.

        The transform is applied to a copy, so a metadata-only informer must have one that drops
        the rest: :func:`informers.transforms.keep_metadata`.
        """
        if not self.has_synced():
            return False
        admitted = self._intake.admit(_copied(obj))
        if admitted is None or admitted.obj is None:
            return False
        held = self._store.offer(admitted.obj, ticket=ticket)
        if self._detector:
            self._detector.moved(self._store, [admitted.key])
        return held

    # --- the life of an informer -----------------------------------------------------------

    async def run(self) -> None:
        """Follow the cluster until cancelled.

        The store keeps its last state afterwards, and a second run goes on from there.
        """
        runner = Runner(
            self._source,
            self._reflector,
            self._accept,
            name=self.name,
            clock=self._now,
            tuning=self._tuning,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(runner.run(), name=f"informer-{self.name}")
            group.create_task(self._serve_handlers(), name=f"informer-{self.name}-handlers")
            if self._detector:
                group.create_task(
                    self._check_for_mutations(self._detector), name=f"informer-{self.name}-check"
                )

    async def _accept(self, delta: Delta) -> None:
        """Store first, then handlers (B2)."""
        self._moved_at = self._now()
        match delta:
            case Apply(key, obj, version):
                self._event_at = self._moved_at
                self._changed(key, self._store.apply(key, obj, version))
            case Delete(key, final, version):
                self._event_at = self._moved_at
                self._changed(key, self._store.delete(key, final, version))
            case SeenUpTo(version):
                self._store.see(version)
            case Replace():
                self._replace(delta)
        await self._deliver()
        if isinstance(delta, (SeenUpTo, Replace)):
            self._dispatcher.progressed()

    def _changed(self, key: ObjectKey, change: Change | None) -> None:
        if self._detector:
            self._detector.moved(self._store, [key])
        if change is not None:
            self._dispatcher.enqueue((change,))

    def _replace(self, delta: Replace) -> None:
        changes = self._store.replace(
            delta.items, delta.resource_version, history_lost=delta.history_lost
        )
        if self._detector:
            self._detector.moved(self._store, {*self._store.keys(), *self._detector.known})
        first = not self.has_synced()
        self._dispatcher.enqueue(changes, initial=first)
        if first:
            self._dispatcher.end_initial()
            self._synced.set()
        log.info(
            "Listed objects",
            informer=self.name,
            objects=len(delta.items),
            held=len(self._store),
            changes=len(changes),
            resource_version=delta.resource_version,
        )
        if delta.history_lost:
            log.warning("Resource versions went backwards", informer=self.name)

    async def _deliver(self) -> None:
        while True:
            if self._dispatcher.drain(self._tuning.slice_s):
                return
            await asyncio.sleep(0)

    async def _serve_handlers(self) -> None:
        """Late handlers and resyncs, which come without an event."""
        resync_at = self._next_resync()
        while True:
            try:
                async with asyncio.timeout(max(resync_at - self._now(), 0.0)):
                    await self._work.wait()
            except TimeoutError:
                resync_at = self._next_resync()
                self._dispatcher.enqueue_resync(self._store.values())
            self._work.clear()
            await self._deliver()

    def _next_resync(self) -> float:
        share = 1.0 + _RESYNC_JITTER * (2.0 * self._rng.random() - 1.0)
        return self._now() + self._resync_period_s * share

    async def _check_for_mutations(self, detector: MutationDetector) -> None:
        try:
            while True:
                await asyncio.sleep(detector.period_s)
                detector.check()
        finally:
            detector.check()

    def _now(self) -> float:
        return self._clock() if self._clock else asyncio.get_running_loop().time()

    def _function_failed(self, who: str, key: ObjectKey, error: Exception) -> None:
        self._metrics.handler_failed()
        log.error(
            "A function failed on an object",
            informer=self.name,
            function=who,
            object=str(key),
            exc_info=error,
        )


def _copied(value: Any) -> Any:
    """A deep copy of JSON data as plain dictionaries and lists."""
    if isinstance(value, Mapping):
        return {name: _copied(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(part) for part in value]
    return value
