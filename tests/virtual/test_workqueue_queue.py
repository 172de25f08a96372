# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The queue's shell on virtual time.

Waiting, timers, priorities, metrics (C5, C6, C9, C10, C11, C12).
"""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from tests.support.queueing import Recorder, live_timers, make_queue, now, settle
from workqueue import LOW_PRIORITY, PerKeyExponential, RateLimitingQueue

pytestmark = pytest.mark.looptime


async def test_get_waits_for_the_first_add() -> None:
    queue = make_queue()
    getter = asyncio.create_task(queue.get(), name="getter")
    await asyncio.sleep(10)

    queue.add("a", priority=3)

    assert await getter == ("a", 3)
    assert now() == pytest.approx(10)


async def test_delayed_key_comes_at_its_deadline() -> None:
    queue = make_queue()
    queue.add_after("a", 3600.0)

    item = await queue.get()

    assert item.key == "a"
    assert now() == pytest.approx(3600)


async def test_earliest_deadline_wins_whatever_the_order() -> None:
    queue = make_queue()
    for delay in (50.0, 7.0, 90.0):
        queue.add_after("a", delay)

    await queue.get()

    assert now() == pytest.approx(7)
    queue.done("a")
    await asyncio.sleep(200)
    assert len(queue) == 0


async def test_earlier_deadline_of_another_key_moves_the_timer() -> None:
    queue = make_queue()
    queue.add_after("late", 50.0)
    getter = asyncio.create_task(queue.get(), name="getter")
    await asyncio.sleep(1)

    queue.add_after("early", 2.0)

    assert (await getter).key == "early"
    assert now() == pytest.approx(3)
    assert (await queue.get()).key == "late"
    assert now() == pytest.approx(50)


async def test_plain_add_makes_a_delayed_key_ready_now_and_once() -> None:
    queue = make_queue()
    queue.add_after("a", 50.0)

    queue.add("a")

    assert (await queue.get()).key == "a"
    assert now() == 0
    queue.done("a")
    await asyncio.sleep(100)
    assert len(queue) == 0
    assert live_timers() == 0


async def test_delay_of_years_is_waited_for_in_pieces() -> None:
    queue = make_queue()
    queue.add_after("never", float("inf"))
    queue.add_after("later", 100_000.0)

    assert (await queue.get()).key == "later"
    assert now() == pytest.approx(100_000)


def test_endless_delay_is_no_problem_for_uvloop() -> None:
    async def wait_a_little() -> int:
        queue = make_queue()
        queue.add_after("never", float("inf"))
        await asyncio.sleep(0)
        return len(queue)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(wait_a_little()) == 0


async def test_a_thousand_delayed_keys_cost_one_timer_and_no_task() -> None:
    queue = make_queue()
    tasks = len(asyncio.all_tasks())

    for number in range(1000):
        queue.add_after(f"key-{number}", 1000.0 - number)

    assert live_timers() == 1
    assert len(asyncio.all_tasks()) == tasks
    assert [(await queue.get()).key for _ in range(1000)] == [
        f"key-{number}" for number in reversed(range(1000))
    ]
    assert live_timers() == 0


async def test_idle_queue_has_no_timer() -> None:
    queue = make_queue()
    queue.add("a")
    await queue.get()
    queue.done("a")

    assert live_timers() == 0


async def test_failing_key_rests_longer_each_time_until_forgotten() -> None:
    queue = RateLimitingQueue[str](name="test", rate_limiter=PerKeyExponential(base_s=1.0))
    moments = []
    for _ in range(4):
        queue.add_rate_limited("a")
        await queue.get()
        moments.append(now())
        queue.done("a")
    assert moments == pytest.approx([1, 3, 7, 15])
    assert queue.requeues("a") == 4

    queue.forget("a")
    queue.add_rate_limited("a")
    await queue.get()

    assert now() == pytest.approx(16)


async def test_server_asked_for_more_patience_than_the_rate_limiter() -> None:
    queue = make_queue()

    queue.add_rate_limited("a", min_delay_s=7.0)

    await queue.get()
    assert now() == pytest.approx(7)
    assert queue.requeues("a") == 1


async def test_high_priority_overtakes_and_starves_low_and_the_depth_shows_it() -> None:
    metrics = Recorder()
    queue = RateLimitingQueue[str](name="test", metrics=metrics)
    queue.add("resynced", priority=LOW_PRIORITY)

    for number in range(100):
        queue.add(f"changed-{number}")
        assert (await queue.get()).key == f"changed-{number}"

    assert metrics.read()[0] == {LOW_PRIORITY: 1, 0: 0}
    assert await queue.get() == ("resynced", LOW_PRIORITY)


async def test_two_getters_never_get_one_key() -> None:
    queue = make_queue()
    getters = [asyncio.create_task(queue.get(), name=f"getter-{n}") for n in range(2)]
    await settle()

    queue.add("a")
    queue.add("a")
    await settle()
    queue.add("a")
    await settle()

    assert [getter.done() for getter in getters] == [True, False]
    queue.done("a")
    assert await getters[1] == ("a", 0)


async def test_getters_are_served_in_one_go() -> None:
    queue = make_queue()
    getters = [asyncio.create_task(queue.get(), name=f"getter-{n}") for n in range(3)]
    await settle()

    for key in "abc":
        queue.add(key)

    assert {item.key for item in await asyncio.gather(*getters)} == {"a", "b", "c"}


async def test_one_key_wakes_one_getter() -> None:
    queue = make_queue()
    getters = [asyncio.create_task(queue.get(), name=f"getter-{n}") for n in range(3)]
    await settle()

    waiting = []
    for key in "aab":
        queue.add(key)
        waiting.append(len(queue._getters))
    await settle()
    queue.done("a")
    queue.add("c")
    waiting.append(len(queue._getters))

    assert waiting == [2, 2, 1, 0]
    assert {item.key for item in await asyncio.gather(*getters)} == {"a", "b", "c"}


# --- metrics --------------------------------------------------------------------------------


async def test_metrics_count_a_key_when_it_becomes_ready() -> None:
    metrics = Recorder()
    queue = RateLimitingQueue[str](name="test", metrics=metrics)

    queue.add_after("a", 5.0, priority=2)
    assert (metrics.adds, metrics.retries, metrics.read()[0]) == (0, 1, {})
    await asyncio.sleep(6)
    assert (metrics.adds, metrics.retries, metrics.read()[0]) == (1, 1, {2: 1})


async def test_metrics_tell_waiting_working_and_unfinished_seconds() -> None:
    metrics = Recorder()
    queue = RateLimitingQueue[str](name="test", metrics=metrics)
    assert metrics.read() == ({}, 0.0, 0.0)
    queue.add("a")
    queue.add("b")
    await asyncio.sleep(2)
    await queue.get()
    await asyncio.sleep(3)
    await queue.get()
    await asyncio.sleep(4)

    assert metrics.waits == pytest.approx([2, 5])
    depth, unfinished, longest = metrics.read()
    assert depth == {0: 0}
    assert unfinished == pytest.approx(11)
    assert longest == pytest.approx(7)
    queue.done("a")
    assert metrics.works == pytest.approx([7])
    assert metrics.read()[1] == pytest.approx(4)
    assert metrics.read()[2] == pytest.approx(4)


async def test_injected_clock_rules() -> None:
    time = 100.0
    queue = RateLimitingQueue[str](name="test", clock=lambda: time)
    queue.add_after("a", 5.0)
    getter = asyncio.create_task(queue.get(), name="getter")
    await settle()

    time = 105.0
    queue.add("b")
    await settle()

    assert getter.result().key == "a"
