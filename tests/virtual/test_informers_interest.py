# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Informers that hold only what somebody refers to, on virtual time (B10, ``keep``)."""

from __future__ import annotations

import pytest

from informers.transforms import keep_metadata
from tests.support.fakecluster import FakeCluster, expired
from tests.support.fakelist import FakeListerWatcher, WatchFault
from tests.support.informing import Told, informer_of, running, until

pytestmark = pytest.mark.looptime


def source_of(*names: str) -> FakeListerWatcher:
    cluster = FakeCluster()
    for name in names:
        cluster.create(name)
    return FakeListerWatcher(cluster)


async def told_of(told: Told, what: str, name: str) -> None:
    await until(lambda: (what, name) in told.log)


async def test_informer_of_interest_holds_what_is_referred_to_and_tells_everything() -> None:
    references = {"a"}
    source, told = source_of("a", "b", "c"), Told()
    informer = informer_of(source, keep=lambda obj: obj["metadata"]["name"] in references)
    informer.add_handler(told)
    async with running(informer):
        assert informer.store.keys() == [source.cluster.key("a")]
        assert sorted(told.initial) == ["a", "b", "c"]

        source.cluster.update("b")
        await until(lambda: told.log[-1] == ("add", "b"))
        assert "b" not in told.initial[3:], "an event is no initial addition"
        source.cluster.delete("b")
        await told_of(told, "delete", "b")

        references.clear()
        assert informer.refilter() == 1
        assert len(informer.store) == 0
        assert told.count("delete") == 1, "nothing happened to it"


async def test_relist_reports_strangers_with_low_priority() -> None:
    source, told = source_of("a"), Told()
    source.watch_faults.extend([None, WatchFault(error=expired())])
    informer = informer_of(source, keep=lambda obj: False)
    informer.add_handler(told)
    async with running(informer):
        await until(lambda: len(source.asked("stream")) == 2, within=1500)
        await until(lambda: told.count("add") == 2)

    assert told.initial == ["a", "a"]


async def test_live_object_is_transformed_before_it_is_held() -> None:
    references: set[str] = set()
    source = source_of("a")
    secret = source.cluster.update("a", data={"password": "hunter2"})
    informer = informer_of(
        source, transform=keep_metadata, keep=lambda obj: obj["metadata"]["name"] in references
    )
    assert not informer.offer(secret, ticket=informer.ticket()), "not before the first list"
    async with running(informer):
        references.add("a")
        ticket = informer.ticket()

        assert informer.offer(secret, ticket=ticket)
        held = informer.store.get(source.cluster.key("a"))
        assert held is not None
        assert set(held) == {"apiVersion", "kind", "metadata"}
        assert "data" in secret, "the offered object itself is not changed"
        assert not informer.offer({"metadata": {}}, ticket=ticket)
