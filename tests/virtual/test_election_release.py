# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A release frees the lease and ends the leadership, whatever the server does meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from informers.errors import TransportError
from tests.support.electing import Store, elector, now, running

pytestmark = pytest.mark.looptime


async def test_release_swaps_again_after_a_conflict() -> None:
    store = Store()
    a = elector(store, "a")
    async with running(a):
        await a.wait_elected()
        store.touch()
        await a.release()

    assert store.lease is not None
    assert store.lease.record.holder == ""
    assert store.lease.record.duration_s == 1


async def test_renewal_under_way_does_not_bring_leadership_back_after_the_release() -> None:
    store = Store()
    a = elector(store, "a")
    async with running(a) as (task,):
        await a.wait_elected()
        store.client.calls.clear()
        await store.client.asked()  # carried out, but not answered yet
        await a.release()
        await task

        assert not a.is_leader
        assert not a.may_write()
    assert store.lease is not None
    assert store.lease.record.holder == ""


async def test_release_of_a_hung_server_ends_at_the_renew_deadline() -> None:
    store = Store()
    a = elector(store, "a")
    async with running(a):
        await a.wait_elected()
        store.hang()
        begun = now()
        await a.release()

        assert now() - begun == pytest.approx(10.0)
        assert not a.is_leader


async def test_release_goes_on_when_the_server_comes_back() -> None:
    store = Store()
    a = elector(store, "a")
    async with running(a):
        await a.wait_elected()
        store.fail(TransportError("refused"))
        releasing = asyncio.create_task(a.release(), name="release")
        await asyncio.sleep(3)
        store.recover()
        await releasing

    assert store.lease is not None
    assert store.lease.record.holder == ""


async def test_release_of_a_standby_leaves_the_leader_alone() -> None:
    store = Store()
    a, b = elector(store, "a"), elector(store, "b")
    async with running(a):
        await a.wait_elected()
        async with running(b) as (standby,):
            await asyncio.sleep(10)
            await b.release()
            await standby
            await asyncio.sleep(10)

            assert a.may_write()


async def test_release_after_run_was_cancelled_frees_the_lease() -> None:
    store = Store()
    a = elector(store, "a")
    async with running(a):
        await a.wait_elected()
    await a.release()

    assert store.lease is not None
    assert store.lease.record.holder == ""


async def test_leader_renews_until_release_so_a_long_drain_keeps_the_lease() -> None:
    store = Store()
    a, b = elector(store, "a"), elector(store, "b")
    async with running(a):
        await a.wait_elected()
        async with running(b):
            await asyncio.sleep(25)
            assert a.may_write()
            await a.release()
