# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What keeps a reconcile from starting, interrupts it, and ends a controller (B13, C4, D4)."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from structlog.testing import capture_logs

from controller.runtime.controller import GUARD_RETRY_S
from controller.runtime.result import Result, TerminalError
from informers.ports import ObjectKey
from tests.support.reconciling import (
    PARTS,
    A,
    B,
    C,
    Setup,
    always,
    forever,
    now,
    once,
)
from workqueue import LOW_PRIORITY

pytestmark = pytest.mark.looptime


# --- time-outs (D4) -------------------------------------------------------------------------


async def test_reconcile_that_takes_too_long_is_interrupted_and_retried() -> None:
    asked: list[ObjectKey] = []

    async def stuck_once(key: ObjectKey) -> Result:
        asked.append(key)
        return await forever() if len(asked) == 1 else Result.done()

    setup = Setup(stuck_once, timeout_s=60)
    setup.queue.add(A)

    async with setup.running():
        await asyncio.sleep(100)

    assert setup.reconciler.calls == [(0, A), (61, A)]
    assert setup.metrics.counts["timeouts"] == 1
    assert setup.metrics.counts["errors"] == 1
    assert setup.metrics.counts["panics"] == 0


async def test_failing_clean_up_after_the_time_out_is_still_a_time_out() -> None:
    async def cleans_up_badly(_: ObjectKey) -> Result:
        try:
            return await forever()
        finally:
            raise ValueError("in finally")

    setup = Setup(cleans_up_badly, timeout_s=60)
    setup.queue.add(A)

    async with setup.running():
        await asyncio.sleep(60.5)

    assert (setup.metrics.counts["timeouts"], setup.metrics.counts["panics"]) == (1, 0)


async def test_time_out_of_its_own_is_an_ordinary_error() -> None:
    setup = Setup(once(TimeoutError("inner")))
    setup.queue.add(A)

    async with setup.running():
        await asyncio.sleep(100)

    assert setup.metrics.counts["timeouts"] == setup.metrics.counts["panics"] == 0
    assert setup.metrics.counts["errors"] == 1


async def test_cancellation_from_outside_is_no_time_out_and_no_failure() -> None:
    setup = Setup(lambda key: forever())
    setup.queue.add(A)

    async with setup.running() as task:
        await asyncio.sleep(59.999)
        task.cancel()
        await asyncio.wait([task])

    assert task.cancelled()
    assert setup.metrics.counts == {"max_concurrent": 2}
    assert setup.metrics.active_now == 0


# --- may anybody reconcile? -----------------------------------------------------------------


async def test_nothing_is_reconciled_while_the_guard_says_no_and_nothing_is_lost() -> None:
    setup = Setup(always(Result.done()))
    setup.allowed = False
    for key in (A, B):
        setup.queue.add(key, priority=LOW_PRIORITY)

    async with setup.running():
        await asyncio.sleep(10)
        assert setup.reconciler.calls == []
        setup.allowed = True
        await asyncio.sleep(GUARD_RETRY_S)

    assert {key for _, key in setup.reconciler.calls} == {A, B}
    assert not setup.metrics.counts["errors"]


# --- own writes (B13) -----------------------------------------------------------------------


async def test_reconcile_is_put_off_until_the_echo_and_not_a_moment_longer() -> None:
    setup = Setup(always(Result.done()))
    setup.tracker.wrote(A, PARTS, B, "7", reached=False)
    setup.queue.add(A)

    async with setup.running():
        await asyncio.sleep(2)
        assert setup.reconciler.calls == []
        for owner in setup.tracker.observed(PARTS, B, "7").wake:
            setup.queue.add(owner, priority=LOW_PRIORITY)
        await asyncio.sleep(10)

    assert setup.reconciler.calls == [(2, A)]
    assert setup.metrics.counts["postponed"] == 1


async def test_reconcile_is_not_put_off_for_ever() -> None:
    setup = Setup(always(Result.done()))
    setup.tracker.wrote(A, PARTS, B, "7", reached=False)
    setup.queue.add(A)

    async with setup.running():
        for _ in range(20):
            await asyncio.sleep(0.5)
            setup.queue.add(A)  # others call, it makes no difference

    first = min(moment for moment, _ in setup.reconciler.calls)
    assert first == pytest.approx(5)


async def test_put_off_key_keeps_its_priority_when_it_is_woken() -> None:
    setup = Setup(always(Result.done()))
    setup.tracker.wrote(A, PARTS, B, "7", reached=False)
    setup.queue.add(A, priority=3)
    item = await setup.queue.get()

    assert setup.controller._is_put_off(item)
    setup.queue.done(A)
    setup.queue.add(A, priority=LOW_PRIORITY)

    assert await setup.queue.get() == (A, 3)


async def test_event_left_to_the_end_of_a_reconcile_causes_another() -> None:
    async def meets_an_event(key: ObjectKey) -> Result:
        if len(setup.reconciler.calls) == 1:
            assert setup.tracker.defer(key, PARTS, B, "7", priority=0)
        await asyncio.sleep(1)
        return Result.done()

    setup = Setup(meets_an_event)
    setup.queue.add(A)

    async with setup.running():
        await asyncio.sleep(10)

    assert setup.reconciler.calls == [(0, A), (1, A)]
    assert not setup.tracker.is_reconciling(A)


async def test_event_left_to_the_end_of_a_failing_reconcile_is_not_lost() -> None:
    async def fails(key: ObjectKey) -> Result:
        if len(setup.reconciler.calls) == 1:
            setup.tracker.defer(key, PARTS, B, "7", priority=0)
            raise TerminalError("Bad", "for good")
        return Result.done()

    setup = Setup(fails)
    setup.queue.add(A)

    async with setup.running():
        await asyncio.sleep(10)

    assert setup.reconciler.calls == [(0, A), (0, A)]


# --- stopping -------------------------------------------------------------------------------


async def test_stop_lets_running_and_ready_ones_finish() -> None:
    async def slow(_: ObjectKey) -> Result:
        await asyncio.sleep(3)
        return Result.after(1)

    setup = Setup(slow, workers=1)
    for key in (A, B):
        setup.queue.add(key)
    setup.queue.add_after(C, 5)

    async with setup.running() as task:
        await asyncio.sleep(1)
        await setup.controller.stop(deadline_s=30)

        assert now() == pytest.approx(6)
        assert task.done()
        assert task.exception() is None
    assert setup.reconciler.calls == [(0, A), (3, B)]


async def test_stop_cancels_what_is_left_at_the_deadline_and_names_it() -> None:
    setup = Setup(lambda key: forever(), timeout_s=600)
    for key in (A, B, C):
        setup.queue.add(key)

    async with setup.running() as task:
        await asyncio.sleep(1)
        with capture_logs() as logs:
            await setup.controller.stop(deadline_s=30)

        assert now() == pytest.approx(31)
        assert task.done()
    assert [line["objects"] for line in logs] == [["ns/a", "ns/b"]]
    assert {key for _, key in setup.reconciler.calls} == {A, B}
    assert not setup.queue._core.processing


async def test_stop_does_not_wait_for_a_reconcile_that_resists() -> None:
    release = asyncio.Event()

    async def resists(_: ObjectKey) -> Result:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()
        return Result.done()

    setup = Setup(resists, timeout_s=600, workers=1)
    setup.queue.add(A)
    setup.queue.add(B)

    async with setup.running() as task:
        await asyncio.sleep(1)
        with capture_logs() as logs:
            await setup.controller.stop(deadline_s=30)
        assert now() == pytest.approx(32)
        assert logs[-1]["event"] == "A reconcile resisted its cancellation"
        assert not task.done()
        release.set()
        await asyncio.wait([task])
        assert setup.reconciler.calls == [(0, A)]


async def test_cancelled_controller_leaves_a_closed_queue_without_timers() -> None:
    setup = Setup(always(Result.after(30)))
    setup.queue.add(A)

    async with setup.running() as task:
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        setup.queue.add(B)

    assert len(setup.queue) == 0
    assert setup.queue._timer is None


async def test_stop_of_an_idle_controller_takes_no_time() -> None:
    setup = Setup(always(Result.done()))

    async with setup.running() as task:
        await asyncio.sleep(1)
        await setup.controller.stop(deadline_s=30)

        assert task.done()
        assert now() == pytest.approx(1)


async def test_stop_before_the_start_keeps_it_from_starting() -> None:
    setup = Setup(always(Result.done()))
    setup.queue.add(A)

    await setup.controller.stop(deadline_s=30)
    await setup.controller.run()

    assert setup.reconciler.calls == []


@pytest.mark.parametrize("steps", range(14))
async def test_cancelled_at_any_await_no_key_stays_locked_and_no_worker_alive(steps: int) -> None:
    """(C4) With awaits before, in and after the reconcile."""

    async def several_awaits(key: ObjectKey) -> Result:
        for _ in range(3):
            await asyncio.sleep(0)
        setup.tracker.defer(key, PARTS, B, "7", priority=0)
        await asyncio.sleep(0)
        return Result.retry()

    setup = Setup(several_awaits)
    task = asyncio.create_task(setup.controller.run(), name="controller")
    for key in (A, B, C):
        setup.queue.add(key)
    for _ in range(steps):
        await asyncio.sleep(0)

    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert not setup.queue._core.processing
    assert not setup.reconciler.running
    assert not any(setup.tracker.is_reconciling(key) for key in (A, B, C))
    assert setup.metrics.active_now == 0
    assert [t.get_name() for t in asyncio.all_tasks() if "worker" in t.get_name()] == []
