# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Sends Events, and never gets in anybody's way (F4).

:meth:`Recorder.event` is a plain function: it correlates, puts the series in a bounded queue, or
drops it and counts. A few senders take from there, one request for each new Event; a series that
occurs again while it waits or is being sent causes no second entry, only a higher count. So a
burst costs memory for a thousand entries at most, and of the transport's connections no more than
there are senders: reconciles keep the rest.

A sender that gets no answer keeps its series and waits, as client-go does: while the API server
is away there are four attempts in ten seconds, not a thousand. The name of a new Event is chosen
before the first attempt, so an attempt whose answer was lost is recognised by the next.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

import structlog

from informers.errors import (
    AlreadyExists,
    ApiError,
    NotFound,
    ProtocolError,
    ServerError,
    StatusError,
    TooManyRequests,
    TransportError,
    Unauthorized,
)
from llamastack_operator.events import wire
from llamastack_operator.events.correlator import Correlator, Series
from llamastack_operator.kube.ports import Requester
from llamastack_operator.times import micro_time
from llamastack_operator.times import utc_now as wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from informers.ports import Object

log = structlog.get_logger(__name__)

CAPACITY: Final = 1000  # series that wait; client-go's queue
SENDERS: Final = 4  # 2,000 Events of a cold start must not lag behind, nor take the connections
TRIES: Final = 12
RETRY_S: Final = 10.0  # the first wait is a random part of it, so that replicas spread
REQUEST_TIMEOUT_S: Final = 10.0
MERGE_PATCH: Final = "application/merge-patch+json"

RETRIED: Final = (TransportError, ProtocolError, ServerError, TooManyRequests, Unauthorized)

Outcome = Literal["sent", "filtered", "dropped", "failed"]


class EventMetrics(Protocol):
    """What became of occurrences and Events."""

    def event(self, outcome: Outcome) -> None:
        """Sent, filtered as spam, dropped as the queue was full, or given up."""
        ...


class NoMetrics:
    """Counts nothing."""

    def event(self, outcome: Outcome) -> None:
        """See :class:`EventMetrics`."""


@dataclass(slots=True, eq=False)
class _Delivery:
    """A series on its way: in the queue, with a sender, or both in turn."""

    series: Series
    sending: bool = False
    again: bool = False


class Recorder:
    """Implements ``controller.runtime.ports.EventRecorder``.

    Args:
        client: transport.
        controller: ``reportingController``, e.g. ``llamastack-operator``.
        instance: ``reportingInstance``: which replica.
        metrics: counts.
        clock: monotonic seconds; the running loop's by default.
        utc_now: wall clock, for the times in Events.
        rng: jitter.
        capacity: of the queue.
        senders: requests at a time.
    """

    def __init__(
        self,
        client: Requester,
        *,
        controller: str,
        instance: str,
        metrics: EventMetrics | None = None,
        clock: Callable[[], float] | None = None,
        utc_now: Callable[[], datetime] | None = None,
        rng: random.Random | None = None,
        capacity: int = CAPACITY,
        senders: int = SENDERS,
    ) -> None:
        self._client = client
        self._controller = controller
        self._instance = instance
        self._metrics = NoMetrics() if metrics is None else metrics
        self._clock = clock
        self._utc_now = utc_now or wall_clock
        self._rng = rng or random.Random()  # noqa: S311 -- jitter, not a secret
        self._senders = senders
        self._correlator = Correlator()
        self._queue: asyncio.Queue[_Delivery] = asyncio.Queue(capacity)
        self._deliveries: dict[Series, _Delivery] = {}
        self._serial = 0
        self._dropping = False

    def event(
        self,
        regarding: Object,
        *,
        type: Literal["Normal", "Warning"],
        reason: str,
        action: str,
        note: str,
    ) -> None:
        """See :meth:`controller.runtime.ports.EventRecorder.event`."""
        try:
            occurrence = wire.occurrence_of(
                regarding, type=type, reason=reason, action=action, note=note
            )
        except (KeyError, TypeError, AttributeError):
            self._metrics.event("failed")
            log.exception("Failed to report on an object without identity", reason=reason)
            return
        now = (self._clock or asyncio.get_running_loop().time)()
        series = self._correlator.observe(occurrence, now, micro_time(self._utc_now()))
        if series is None:
            self._metrics.event("filtered")
            return
        delivery = self._deliveries.get(series)
        if delivery is None:
            self._enqueue(_Delivery(series))
        elif delivery.sending:
            delivery.again = True

    async def run(self) -> None:
        """Send until cancelled. Call :meth:`flush` first, to lose nothing."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._senders):
                group.create_task(self._send_forever(), name=f"event-sender-{number}")

    async def flush(self, deadline_s: float) -> bool:
        """Wait until everything is sent, for so long at most, while :meth:`run` still runs.

        Returns:
            Whether everything was sent or given up.
        """
        try:
            async with asyncio.timeout(deadline_s):
                await self._queue.join()
        except TimeoutError:
            log.warning("Failed to send all Events in time", left=len(self._deliveries))
            return False
        return True

    def _enqueue(self, delivery: _Delivery) -> None:
        try:
            self._queue.put_nowait(delivery)
        except asyncio.QueueFull:
            self._deliveries.pop(delivery.series, None)
            self._metrics.event("dropped")
            if not self._dropping:
                self._dropping = True
                log.warning("Dropped Events: the queue is full", capacity=self._queue.maxsize)
            return
        self._dropping = False
        self._deliveries[delivery.series] = delivery

    async def _send_forever(self) -> None:
        while True:
            delivery = await self._queue.get()
            delivery.sending = True
            try:
                await self._deliver(delivery.series)
            finally:
                delivery.sending = False
                self._finish(delivery)
                self._queue.task_done()  # last: what comes again must still count for flush

    def _finish(self, delivery: _Delivery) -> None:
        if delivery.again:
            delivery.again = False
            self._enqueue(delivery)
        else:
            self._deliveries.pop(delivery.series, None)

    async def _deliver(self, series: Series) -> None:
        name = series.name or wire.name_of(series.occurrence.regarding, self._next_serial())
        for attempt in range(1, TRIES + 1):
            try:
                await self._store(series, name)
            except RETRIED as error:
                if attempt == TRIES:
                    self._give_up(series, error)
                else:
                    await asyncio.sleep(self._pause_s(attempt, error))
            except ApiError as error:
                self._give_up(series, error)
                return
            else:
                self._metrics.event("sent")
                return

    async def _store(self, series: Series, name: str) -> None:
        count = series.count
        if series.name:
            try:
                await self._patch(series)
            except NotFound:
                series.vanished()
                count = series.count
            else:
                series.stored = count
                return
        regarding = series.occurrence.regarding
        try:
            await self._client.request(
                "POST",
                wire.EVENTS.path(namespace=wire.namespace_of(regarding)),
                body=wire.new_event(
                    series, name, controller=self._controller, instance=self._instance
                ),
                timeout_s=REQUEST_TIMEOUT_S,
            )
        except AlreadyExists:
            log.debug("Found an Event stored by an attempt whose answer was lost", name=name)
        series.was_stored(name, count)

    async def _patch(self, series: Series) -> None:
        regarding = series.occurrence.regarding
        await self._client.request(
            "PATCH",
            wire.EVENTS.path(namespace=wire.namespace_of(regarding), name=series.name),
            body=wire.series_of(series),
            content_type=MERGE_PATCH,
            timeout_s=REQUEST_TIMEOUT_S,
        )

    def _pause_s(self, attempt: int, error: Exception) -> float:
        pause = RETRY_S * self._rng.random() if attempt == 1 else RETRY_S
        asked = error.retry_after if isinstance(error, StatusError) else None
        return max(pause, asked or 0.0)

    def _give_up(self, series: Series, error: Exception) -> None:
        self._metrics.event("failed")
        occurrence = series.occurrence
        log.warning(
            "Gave up on an Event",
            reason=occurrence.reason,
            kind=occurrence.regarding.kind,
            namespace=occurrence.regarding.namespace,
            name=occurrence.regarding.name,
            error=str(error),
        )

    def _next_serial(self) -> int:
        """Nanoseconds since 1970, as client-go has them, but never the same twice."""
        wall = int(self._utc_now().timestamp() * 1_000_000) * 1000
        self._serial = max(self._serial + 1, wall)
        return self._serial
