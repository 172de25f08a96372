# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Electors on virtual time, against a store that can hang, fail and lose answers."""

from __future__ import annotations

import asyncio

import pytest

from informers.errors import Forbidden, NotFound, TransportError
from llamastack_operator.election.core import Record, Timings
from llamastack_operator.election.elector import Elector, LeadershipLost
from tests.support.electing import Counts, Store, elector, now, running

pytestmark = pytest.mark.looptime


async def test_one_leads_and_the_other_stands_by() -> None:
    store = Store()
    a, b = elector(store, "a"), elector(store, "b")
    async with running(a, b):
        await asyncio.sleep(100)

        assert [a.is_leader, b.is_leader].count(True) == 1
        assert [a.may_write(), b.may_write()].count(True) == 1


async def test_idle_leader_sends_one_put_a_period_and_the_standby_little_more_than_one_get() -> (
    None
):
    store = Store()
    a, b = elector(store, "a"), elector(store, "b")
    async with running(a), running(b):
        await asyncio.sleep(60)
        store.client.calls.clear()
        await asyncio.sleep(200)

    assert len(store.times("update")) == pytest.approx(100, abs=1)
    assert len(store.times("get")) <= 130


async def test_peers_whose_clocks_are_an_hour_off_neither_steal_nor_starve() -> None:
    store = Store()
    slow, fast = elector(store, "s", clock_error_s=-3600), elector(store, "f", clock_error_s=3600)
    async with running(slow) as (killed,):
        await slow.wait_elected()
        async with running(fast):
            await asyncio.sleep(60)
            assert (slow.is_leader, fast.is_leader) == (True, False)

            killed.cancel()
            await fast.wait_elected()
            assert 75 < now() < 78


@pytest.mark.parametrize("phase", [0.0, 0.3, 0.7, 1.1, 1.5, 1.9])
async def test_after_a_kill_the_standby_leads_within_the_lease_and_two_seconds(
    phase: float,
) -> None:
    store = Store()
    a, b = elector(store, "a"), elector(store, "b")
    async with running(a) as (leader,):
        await a.wait_elected()
        async with running(b):
            await asyncio.sleep(30 + phase)
            leader.cancel()
            killed = now()
            await b.wait_elected()

            assert now() - killed <= 15.0 + 0.5
            assert now() - store.times("update")[-2] > 15.0


@pytest.mark.parametrize("phase", [0.0, 0.3, 0.7, 1.1, 1.5, 1.9])
async def test_after_a_release_the_standby_leads_within_three_seconds(phase: float) -> None:
    store = Store()
    a, b = elector(store, "a"), elector(store, "b")
    async with running(a) as (leader,):
        await a.wait_elected()
        async with running(b):
            await asyncio.sleep(30 + phase)
            released = now()
            await a.release()
            await leader  # ends by itself, without an error
            await b.wait_elected()

            assert now() - released < 2.1
            assert not a.is_leader
            assert store.lease is not None
            assert (store.lease.record.holder, store.lease.record.transitions) == ("b", 1)


async def test_hung_requests_end_leadership_at_the_renew_deadline() -> None:
    store = Store()
    a = elector(store, "a")
    async with running(a) as (task,):
        await a.wait_elected()
        store.hang()
        with pytest.raises(LeadershipLost):
            await task

        assert now() <= store.times("update")[-1] + 10.0
        assert not a.is_leader


async def test_one_hung_request_does_not_cost_the_leadership() -> None:
    store = Store()
    a = elector(store, "a")
    async with running(a):
        await a.wait_elected()
        store.hang()
        await asyncio.sleep(6)
        store.recover()
        await asyncio.sleep(60)

        assert a.may_write()


async def test_standby_survives_a_hung_server() -> None:
    store = Store()
    store.hang()
    a = elector(store, "a")
    async with running(a):
        await asyncio.sleep(300)
        assert not a.is_leader

        store.recover()
        await asyncio.wait_for(a.wait_elected(), 10)


@pytest.mark.parametrize(
    "error", [TransportError("refused"), Forbidden("no", code=403), NotFound("no", code=404)]
)
async def test_failing_requests_are_failed_attempts_and_no_crash(error: Exception) -> None:
    store = Store()
    store.fail(error)
    a = elector(store, "a")
    async with running(a) as (task,):
        await asyncio.sleep(60)
        assert not task.done()

        store.recover()
        await asyncio.wait_for(a.wait_elected(), 3)
        store.fail(error)
        with pytest.raises(LeadershipLost, match="no renewal succeeded within 10 s"):
            await task


async def test_bug_in_the_store_is_not_taken_for_a_failed_attempt() -> None:
    store = Store()
    store.fail(RuntimeError("bug"))
    with pytest.raises(RuntimeError, match="bug"):
        await elector(store, "a").run()


async def test_edited_lease_costs_a_slow_path_and_not_the_leadership() -> None:
    store, counts = Store(), Counts()
    a = Elector(store, identity="a", metrics=counts)
    async with running(a):
        await a.wait_elected()
        store.touch()
        await asyncio.sleep(5)

        assert a.may_write()
        assert (counts.slow_paths, counts.status) == (1, [False, True])


async def test_lost_answer_of_a_renewal_costs_an_attempt_only() -> None:
    store = Store()
    a = elector(store, "a")
    async with running(a):
        await a.wait_elected()
        store.lose_answers()
        await asyncio.sleep(4)
        store.recover()
        await asyncio.sleep(30)

        assert a.may_write()


async def test_deleted_lease_is_written_again_by_its_holder() -> None:
    store = Store()
    a, b = elector(store, "a"), elector(store, "b")
    async with running(a):
        await a.wait_elected()
        async with running(b):
            await asyncio.sleep(20)
            store.vanish()
            await asyncio.sleep(20)

            assert (a.is_leader, b.is_leader) == (True, False)


async def test_leader_that_was_replaced_stops_at_its_next_renewal() -> None:
    store = Store()
    a = elector(store, "a")
    async with running(a) as (task,):
        await a.wait_elected()
        assert store.lease is not None
        store.seize(Record("usurper", 15, "x", "y", 9))
        with pytest.raises(LeadershipLost, match="usurper leads"):
            await task

        assert now() < 2.1


async def test_after_a_stalled_loop_no_write_leaves() -> None:
    store = Store()
    stalled = 0.0
    a = Elector(store, identity="a", clock=lambda: now() + stalled)
    async with running(a) as (task,):
        await a.wait_elected()
        assert a.may_write()
        writes = len(store.times("update"))
        stalled = 20.0

        assert a.is_leader
        assert not a.may_write()
        with pytest.raises(LeadershipLost):
            await task
        assert len(store.times("update")) == writes


async def test_health_fails_when_we_believe_in_a_lease_that_ran_out_long_ago() -> None:
    store = Store()
    stalled = 0.0
    a = Elector(store, identity="a", clock=lambda: now() + stalled)
    assert a.healthy()
    async with running(a):
        await a.wait_elected()

        stalled = 34.0
        assert a.healthy()
        stalled = 35.1
        assert not a.healthy()


async def test_short_timings_are_kept(looptime: float) -> None:
    store = Store()
    a = Elector(store, identity="a", timings=Timings(3.0, 2.0, 0.5))
    async with running(a) as (task,):
        await a.wait_elected()
        store.hang()
        with pytest.raises(LeadershipLost):
            await task

    assert looptime < 2.1
