# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How late the event loop runs.

Everything shares one loop: probes, the lease, every reconcile. Code that blocks it is the one
fault that no time-out sees, because the time-outs are late as well. So a task asks to be woken at
fixed moments and measures how much later it was (E10). The lag is exported; from a warning bound
on it is logged; beyond the critical bound, the renew deadline, the process must assume that
somebody else leads: ``on_stall`` is called, and what it raises ends the process (D8).

Nothing that runs on the loop can act *during* a stall; that is what ``Elector.may_write`` and the
liveness probe are for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

INTERVAL_S: Final = 0.25  # four measurements a second cost nothing and catch what matters
WARN_S: Final = 0.5  # a lease renewal survives it; a human should know


class LagMetrics(Protocol):
    """Where measurements go."""

    def lag(self, seconds: float) -> None:
        """One measurement."""
        ...


class LoopStalled(Exception):
    """The event loop stood still for longer than a leader may."""


def raise_stalled(lag_s: float) -> None:
    """The default reaction: end the process.

    Raises:
        LoopStalled: always.
    """
    raise LoopStalled(f"the event loop stood still for {lag_s:.1f} s")


class Watchdog:
    """Measures the loop that it runs on.

    Args:
        metrics: gets each measurement.
        critical_s: from this lag on ``on_stall`` is called; the elector's renew deadline.
        on_stall: gets the lag in seconds.
        interval_s: between two measurements.
        clock: monotonic seconds; the running loop's by default.
    """

    def __init__(
        self,
        metrics: LagMetrics,
        *,
        critical_s: float,
        on_stall: Callable[[float], None] = raise_stalled,
        interval_s: float = INTERVAL_S,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._metrics = metrics
        self._critical_s = critical_s
        self._on_stall = on_stall
        self._interval_s = interval_s
        self._clock = clock

    async def run(self) -> None:
        """Measure until cancelled."""
        clock = self._clock or asyncio.get_running_loop().time
        while True:
            due = clock() + self._interval_s
            await asyncio.sleep(self._interval_s)
            lag = max(0.0, clock() - due)
            self._metrics.lag(lag)
            if lag >= self._critical_s:
                log.error("Stalled the event loop", seconds=round(lag, 3))
                self._on_stall(lag)
            elif lag >= WARN_S:
                log.warning("Delayed the event loop", seconds=round(lag, 3))
