# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The elector: does what the election says, on the loop's clock, with bounded requests.

It decides nothing: :mod:`llamastack_operator.election.core` does. It owns the deadline of each
request (E5), the classification of failures (E6; anything the API tree knows is a failed attempt,
anything else is a bug and ends the process), the jitter, and the log.

Order at the end of a process (E8): close the queue, wait for the last worker, then
:meth:`Elector.release`, while :meth:`Elector.run` still renews. Whoever cancels ``run`` first may
still call ``release``; until then nobody renews.
"""

from __future__ import annotations

import asyncio
import random
import socket
import uuid
from typing import TYPE_CHECKING, Protocol

import structlog

from informers.errors import ApiError, Conflict, NotFound
from llamastack_operator.election.core import (
    Action,
    Create,
    Election,
    Get,
    Lease,
    Record,
    Request,
    Stop,
    Timings,
    Update,
    Wait,
)
from llamastack_operator.election.release import RELEASED, Release
from llamastack_operator.times import micro_time
from llamastack_operator.times import utc_now as wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

log = structlog.get_logger(__name__)

UNHEALTHY_AFTER_S = 20.0  # overdue by more, and a restart is better than hope (E10)


class LeadershipLost(Exception):
    """Another process leads, or may lead any moment: stop writing and exit (E7)."""


class LeaseStore(Protocol):
    """Where the Lease is kept. Every call raises members of ``informers.errors.ApiError``."""

    async def get(self) -> Lease | None:
        """The Lease, or ``None`` if there is none."""
        ...

    async def create(self, record: Record) -> Lease:
        """Create it; ``AlreadyExists`` if it is there."""
        ...

    async def update(self, record: Record, resource_version: str) -> Lease:
        """Replace it; ``Conflict`` if it has another version, ``NotFound`` if it is gone."""
        ...


class ElectionMetrics(Protocol):
    """``leader_election_*`` of one lease."""

    def leading(self, value: bool) -> None:
        """We lead, or no longer."""
        ...

    def slow_path(self) -> None:
        """A renewal had to read the Lease first."""
        ...


class NoMetrics:
    """Counts nothing."""

    def leading(self, value: bool) -> None:
        """See :class:`ElectionMetrics`."""

    def slow_path(self) -> None:
        """See :class:`ElectionMetrics`."""


def new_identity(pod_name: str = "") -> str:
    """Unique to this process: a restarted container of the same pod is another candidate (E12).

    Args:
        pod_name: for people who read the Lease; else the host name.
    """
    return f"{pod_name or socket.gethostname()}_{uuid.uuid4()}"


class Elector:
    """One candidate. Create it anywhere, run it once.

    Args:
        store: the Lease.
        identity: see :func:`new_identity`.
        timings: see :class:`~llamastack_operator.election.core.Timings`.
        metrics: counts.
        clock: monotonic seconds; the running loop's by default.
        utc_now: wall clock, written to the Lease only.
        rng: jitter.
    """

    def __init__(
        self,
        store: LeaseStore,
        *,
        identity: str,
        timings: Timings | None = None,
        metrics: ElectionMetrics | None = None,
        clock: Callable[[], float] | None = None,
        utc_now: Callable[[], datetime] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._store = store
        self._core = Election(identity, timings or Timings())
        self._metrics = NoMetrics() if metrics is None else metrics
        self._clock = clock or _loop_time
        self._utc_now = utc_now or wall_clock
        self._rng = rng or random.Random()  # noqa: S311 -- jitter, not a secret
        self._elected = asyncio.Event()
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._failure: type[Exception] | None = None
        self._holder = ""

    @property
    def identity(self) -> str:
        """What the Lease says when we lead."""
        return self._core.identity

    @property
    def is_leader(self) -> bool:
        """Whether the last attempt left us leading. Ask :meth:`may_write` before a write."""
        return self._core.leading

    def may_write(self) -> bool:
        """Whether a write that leaves now is safe (E9). Cheap: ask before every write."""
        return self._core.leading and self._core.may_write(self._clock())

    def healthy(self) -> bool:
        """False when we think that we lead, 20 s after our lease ran out (E10)."""
        return not self._core.leading or self._core.overdue_s(self._clock()) <= UNHEALTHY_AFTER_S

    async def wait_elected(self) -> None:
        """Return as soon as we lead. Waits for ever on a standby."""
        await self._elected.wait()

    async def run(self) -> None:
        """Stand by, lead, renew; return after :meth:`release` was called.

        Raises:
            LeadershipLost: we led and do not any more.
        """
        core = self._core
        self._ended.clear()
        self._metrics.leading(False)
        log.info("Standing by for leadership", identity=core.identity)
        try:
            action = core.wake(self._clock(), self._stamp())
            while not self._stop.is_set():
                match action:
                    case Stop(reason):
                        raise LeadershipLost(f"lost leadership: {reason}")
                    case Wait():
                        await self._pause(self._draw(action))
                        action = core.wake(self._clock(), self._stamp())
                    case _:
                        action = await self._attempt(action)
                self._publish()
        finally:
            self._ended.set()

    async def release(self) -> None:
        """End the term and free the Lease. Call it after the last worker returned (E8).

        Never raises for a failed request: whoever comes next then waits for the end of the lease.
        Takes the renew deadline at most.
        """
        self._stop.set()
        try:
            async with asyncio.timeout(self._core.timings.renew_deadline_s):
                await self._ended.wait()
                self._core.leading = False
                self._metrics.leading(False)
                outcome = await self._give_up()
        except TimeoutError:
            log.warning("Failed to release the lease in time", identity=self.identity)
            return
        if outcome == RELEASED:
            log.info("Released the lease", identity=self.identity)

    async def _give_up(self) -> Stop:
        core = self._core
        release = Release(core.identity, core.lease, maybe_held=core.maybe_held)
        action = release.start(self._stamp())
        while not isinstance(action, Stop):
            if isinstance(action, Wait):
                await asyncio.sleep(self._draw(action))
                action = Get()
            try:
                async with asyncio.timeout(core.timings.request_s):
                    lease = await self._send(action)
            except (Conflict, NotFound):  # gone is as good as released: the read will tell
                action = release.conflicted()
            except (ApiError, TimeoutError) as error:
                self._note(error)
                action = release.failed()
            else:
                reading = isinstance(action, Get)
                action = release.read(lease, self._stamp()) if reading else release.written()
        return action

    async def _attempt(self, request: Request) -> Action:
        core = self._core
        try:
            async with asyncio.timeout(core.budget_s(self._clock())):
                lease = await self._send(request)
        except (ApiError, TimeoutError) as error:
            gone = isinstance(request, Update) and isinstance(error, NotFound)
            if gone or isinstance(error, Conflict):
                return core.conflicted(self._clock())
            self._note(error)
            return core.failed(self._clock())
        self._failure = None
        now = self._clock()
        if lease is None or isinstance(request, Get):
            return core.read(lease, now, self._stamp())
        return core.written(lease, now)

    async def _send(self, request: Request) -> Lease | None:
        match request:
            case Get():
                return await self._store.get()
            case Create(record):
                return await self._store.create(record)
            case Update(record, version):
                return await self._store.update(record, version)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    def _draw(self, wait: Wait) -> float:
        return self._rng.uniform(wait.at_least_s, wait.at_most_s)

    def _stamp(self) -> str:
        return micro_time(self._utc_now())

    def _note(self, error: Exception) -> None:
        """Log a failure when it is new, so that an outage is one line and not one every 2 s."""
        if type(error) is not self._failure:
            self._failure = type(error)
            reason = str(error) or "no answer in time"
            log.warning("Failed to reach the lease", kind=type(error).__name__, reason=reason)

    def _publish(self) -> None:
        core = self._core
        for _ in range(core.slow_paths):
            self._metrics.slow_path()
        core.slow_paths = 0
        if core.leading != self._elected.is_set():
            self._metrics.leading(core.leading)
            if core.leading:
                self._elected.set()
                log.info("Became leader", identity=core.identity)
            else:
                self._elected.clear()
                log.error("Lost leadership", identity=core.identity)
        elif not core.leading and core.holder not in {"", self._holder}:
            log.info("Saw a leader", holder=core.holder)
        self._holder = core.holder


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
