# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Changes of the store reach the handlers, each handler in its own order.

Every handler has a queue of its own, because handlers join at different times: one that joins
late first gets everything that is there as initial additions (B6), and must neither miss nor
repeat what is under way for the others. Delivery is synchronous and bounded in time, so that the
event loop breathes between slices (A20); whoever drains keeps the order, because the queues are
first in, first out.

Handlers map and enqueue, nothing else. An exception in one is logged and counted, and the
informer lives (B12).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Protocol

import structlog

from informers.metrics import InformerMetrics
from informers.ports import Object
from informers.store import Added, Change, Deleted, Updated

log = structlog.get_logger(__name__)


class Handler(Protocol):
    """Is told what happens to the objects of an informer.

    Per object the states arrive in their true order, some possibly left out; between objects
    there is no order (B3). The store has moved already when a handler is called.
    """

    def on_add(self, obj: Object, *, initial: bool) -> None:
        """An object appeared.

        Args:
            obj: its state; read-only.
            initial: it was there before; nothing happened just now. Handle with low priority.
        """
        ...

    def on_update(self, old: Object, new: Object) -> None:
        """An object changed.

        Args:
            old: the state that was reported before.
            new: the state now; the same object as ``old`` in a resync. A different uid means
                that it was deleted and created again.
        """
        ...

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        """An object is not visible any more: deleted, or it left the selector (B10).

        Args:
            obj: its final state, or the last one known.
            final_state_unknown: it vanished while nobody watched.
        """
        ...


class Registration:
    """One handler of one informer."""

    def __init__(self, handler: Handler, *, resync: bool) -> None:
        self.handler = handler
        self.resync = resync
        self.pending: deque[tuple[Change, bool] | None] = deque()  # None: the initial part ends
        self.synced = asyncio.Event()

    def has_synced(self) -> bool:
        """Whether every initial addition has been delivered to this handler (B5)."""
        return self.synced.is_set()


class Dispatcher:
    """The handlers of one informer.

    Args:
        name: of the informer, for logs.
        metrics: counts failures.
    """

    def __init__(self, name: str, metrics: InformerMetrics) -> None:
        self._name = name
        self._metrics = metrics
        self._registrations: list[Registration] = []
        self._listeners: list[Callable[[], None]] = []

    @property
    def registrations(self) -> tuple[Registration, ...]:
        """All of them, oldest first."""
        return tuple(self._registrations)

    def add(self, registration: Registration) -> None:
        """From now on the handler is told."""
        self._registrations.append(registration)

    def add_listener(self, callback: Callable[[], None]) -> None:
        """From now on the callback is called by :meth:`progressed`."""
        self._listeners.append(callback)

    def enqueue(self, changes: Iterable[Change], *, initial: bool = False) -> None:
        """For every handler."""
        notes = [(change, initial) for change in changes]
        for registration in self._registrations:
            registration.pending.extend(notes)

    def enqueue_initial(self, registration: Registration, objects: Iterable[Object]) -> None:
        """For one handler: everything that is there, then the end of the initial part."""
        registration.pending.extend((Added(obj), True) for obj in objects)
        registration.pending.append(None)

    def end_initial(self) -> None:
        """For every handler: the initial part ends."""
        for registration in self._registrations:
            registration.pending.append(None)

    def enqueue_resync(self, objects: Iterable[Object]) -> None:
        """For handlers that asked: every object as an update to itself (B4)."""
        notes = [(Updated(obj, obj), False) for obj in objects]
        for registration in self._registrations:
            if registration.resync:
                registration.pending.extend(notes)

    def drain(self, budget_s: float) -> bool:
        """Deliver what is pending.

        Args:
            budget_s: after which to stop, in seconds of real time.

        Returns:
            Whether nothing is pending any more.
        """
        began = perf_counter()
        for registration in self._registrations:
            pending = registration.pending
            while pending:
                self._deliver(registration, pending.popleft())
                if perf_counter() - began > budget_s:
                    return not any(each.pending for each in self._registrations)
        return True

    def progressed(self) -> None:
        """Tell the listeners that the position moved without a change."""
        for callback in self._listeners:
            try:
                callback()
            except Exception:
                self._metrics.handler_failed()
                log.exception("A progress listener failed", informer=self._name)

    def _deliver(self, registration: Registration, note: tuple[Change, bool] | None) -> None:
        if note is None:
            registration.synced.set()
            return
        change, initial = note
        handler = registration.handler
        try:
            match change:
                case Added(obj, listed):
                    handler.on_add(obj, initial=initial or listed)
                case Updated(old, new):
                    handler.on_update(old, new)
                case Deleted(obj, final_state_unknown):
                    handler.on_delete(obj, final_state_unknown=final_state_unknown)
        except Exception:
            self._metrics.handler_failed()
            log.exception(
                "A handler failed", informer=self._name, handler=type(handler).__qualname__
            )
