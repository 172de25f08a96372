# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Cancelling and shutting down the queue on virtual time (C4, C11, C13)."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.queueing import Recorder, live_timers, make_queue, now, settle
from workqueue import PerKeyExponential, RateLimitingQueue, ShutDown

pytestmark = pytest.mark.looptime


# --- cancellation (C4, C13) -----------------------------------------------------------------


async def test_get_cancelled_while_waiting_loses_nothing() -> None:
    queue = make_queue()
    getter = asyncio.create_task(queue.get(), name="getter")
    await settle()

    getter.cancel()
    queue.add("a")
    await settle()

    assert getter.cancelled()
    assert (await queue.get()).key == "a"


async def test_get_cancelled_after_it_was_woken_passes_the_key_to_the_next() -> None:
    queue = make_queue()
    first = asyncio.create_task(queue.get(), name="first")
    second = asyncio.create_task(queue.get(), name="second")
    await settle()

    queue.add("a")
    first.cancel()
    await settle()

    assert first.cancelled()
    assert second.done()
    assert second.result() == ("a", 0)


async def test_cancelled_waiters_do_not_swallow_later_wakes() -> None:
    queue = make_queue()
    getters = [asyncio.create_task(queue.get(), name=f"getter-{n}") for n in range(5)]
    await settle()

    for getter in getters[:4]:
        getter.cancel()
    queue.add("a")
    await settle()

    assert getters[4].done()
    assert getters[4].result().key == "a"
    queue.done("a")
    queue.add("b")
    assert (await queue.get()).key == "b"


async def test_get_that_times_out_at_the_moment_of_the_add_loses_nothing() -> None:
    queue = make_queue()
    queue.add_after("a", 5.0)
    taken = []
    for _ in range(3):
        try:
            async with asyncio.timeout(5.0):
                taken.append((await queue.get()).key)
        except TimeoutError:
            taken.append("-")

    assert sorted(taken) == ["-", "-", "a"]


async def worker(queue: RateLimitingQueue[str], finished: list[str]) -> None:
    """The canonical worker with several awaits."""
    while True:
        item = await queue.get()
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            queue.add("again")
            await asyncio.sleep(1)
            finished.append(item.key)
        finally:
            queue.done(item.key)


@pytest.mark.parametrize("steps", range(12))
async def test_worker_cancelled_at_any_await_leaves_no_key_locked(steps: int) -> None:
    queue = make_queue()
    finished: list[str] = []
    task = asyncio.create_task(worker(queue, finished), name="worker")
    queue.add("a")
    for _ in range(steps):
        await asyncio.sleep(0)

    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert not queue._core.processing
    queue.add("a")
    queue.add("again")
    assert {(await queue.get()).key for _ in range(2)} == {"a", "again"}


async def test_done_of_a_key_that_nobody_owns_is_an_error() -> None:
    queue = make_queue()
    queue.add("a")

    with pytest.raises(KeyError, match="not being processed"):
        queue.done("a")


# --- shutdown (C11) -------------------------------------------------------------------------


async def test_drain_hands_out_what_is_ready_and_drops_what_is_delayed() -> None:
    queue = make_queue()
    queue.add("ready")
    queue.add_after("delayed", 5.0)

    queue.shut_down(drain=True)

    assert (await queue.get()).key == "ready"
    with pytest.raises(ShutDown):
        await queue.get()
    assert now() == 0
    assert live_timers() == 0


async def test_stop_without_drain_hands_out_nothing() -> None:
    queue = make_queue()
    queue.add("ready")

    queue.shut_down(drain=False)

    with pytest.raises(ShutDown):
        await queue.get()


async def test_stop_at_once_overrides_a_drain() -> None:
    queue = make_queue()
    queue.add("ready")

    queue.shut_down(drain=True)
    queue.shut_down(drain=False)

    with pytest.raises(ShutDown):
        await queue.get()


@pytest.mark.parametrize("drain", [True, False])
async def test_every_waiting_getter_learns_of_the_end(drain: bool) -> None:
    queue = make_queue()
    getters = [asyncio.create_task(queue.get(), name=f"getter-{n}") for n in range(3)]
    await settle()

    queue.shut_down(drain=drain)
    results = await asyncio.gather(*getters, return_exceptions=True)

    assert [type(result) for result in results] == [ShutDown] * 3


async def test_adds_after_shutdown_are_ignored_and_counted_nowhere() -> None:
    metrics = Recorder()
    limiter = PerKeyExponential[str]()
    queue = RateLimitingQueue(name="test", metrics=metrics, rate_limiter=limiter)
    queue.shut_down(drain=True)

    queue.add("a")
    queue.add_after("b", 1.0)
    queue.add_rate_limited("c")

    assert len(queue) == 0
    assert (metrics.adds, metrics.retries, len(limiter)) == (0, 0, 0)
    assert live_timers() == 0


async def test_drained_waits_for_the_ready_and_for_their_owners() -> None:
    queue = make_queue()
    for key in "ab":
        queue.add(key)
    await queue.get()
    queue.shut_down(drain=True)
    drained = asyncio.create_task(queue.drained(), name="drained")

    queue.done("a")
    await settle()
    assert not drained.done()
    await queue.get()
    await settle()
    assert not drained.done()
    queue.done("b")
    await settle()
    assert drained.done()


async def test_drained_has_no_limit_of_its_own() -> None:
    queue = make_queue()
    queue.add("stuck")
    await queue.get()
    queue.shut_down(drain=False)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(20):
            await queue.drained()
    queue.done("stuck")
    await queue.drained()

    assert now() == pytest.approx(20)


async def test_key_added_while_processed_survives_into_the_drain() -> None:
    queue = make_queue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.shut_down(drain=True)
    other = asyncio.create_task(queue.get(), name="other")
    await settle()
    assert not other.done()

    queue.done("a")

    assert (await other).key == "a"
    with pytest.raises(ShutDown):
        await queue.get()


async def test_getter_waiting_for_a_held_key_learns_that_it_was_the_last() -> None:
    queue = make_queue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.shut_down(drain=True)
    getters = [asyncio.create_task(queue.get(), name=f"getter-{n}") for n in range(2)]
    await settle()

    queue.done("a")
    await settle()

    assert [getter.done() for getter in getters] == [True, True]
    assert isinstance(getters[1].exception(), ShutDown)
    assert getters[0].result().key == "a"
