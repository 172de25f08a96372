# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The watchdog on virtual time; a stall is a clock that jumped while nothing ran."""

from __future__ import annotations

import asyncio

import pytest

from llamastack_operator.observability.watchdog import LoopStalled, Watchdog

pytestmark = pytest.mark.looptime


class Lags:
    def __init__(self) -> None:
        self.seen: list[float] = []

    def lag(self, seconds: float) -> None:
        self.seen.append(seconds)


class StallingClock:
    """The loop's clock plus the stalls so far."""

    def __init__(self) -> None:
        self.stalled = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.stalled


async def test_healthy_loop_is_measured_and_left_alone() -> None:
    lags = Lags()
    task = asyncio.create_task(Watchdog(lags, critical_s=10).run(), name="watchdog")
    await asyncio.sleep(10.1)
    task.cancel()

    assert len(lags.seen) == 40
    assert max(lags.seen) < 0.01


async def test_stall_is_exported_and_below_the_bound_survived() -> None:
    lags, clock = Lags(), StallingClock()
    watchdog = Watchdog(lags, critical_s=10, clock=clock)
    task = asyncio.create_task(watchdog.run(), name="watchdog")
    await asyncio.sleep(1.1)
    clock.stalled = 9.0
    await asyncio.sleep(1)

    assert max(lags.seen) == pytest.approx(9.0, abs=0.01)
    assert not task.done()
    task.cancel()


async def test_stall_beyond_the_renew_deadline_ends_the_process() -> None:
    clock = StallingClock()
    watchdog = Watchdog(Lags(), critical_s=10, clock=clock)
    task = asyncio.create_task(watchdog.run(), name="watchdog")
    await asyncio.sleep(1.1)
    clock.stalled = 10.1

    with pytest.raises(LoopStalled, match=r"10\.1 s"):
        await asyncio.wait_for(task, 5)


async def test_owner_may_react_in_its_own_way_and_measuring_goes_on() -> None:
    clock, stalls = StallingClock(), list[float]()
    watchdog = Watchdog(Lags(), critical_s=10, on_stall=stalls.append, clock=clock)
    task = asyncio.create_task(watchdog.run(), name="watchdog")
    for _ in range(2):
        await asyncio.sleep(1.1)
        clock.stalled += 12
    await asyncio.sleep(1)
    task.cancel()

    assert stalls == pytest.approx([12.0, 12.0], abs=0.01)
