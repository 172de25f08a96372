# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Handlers, resync, synced and the rest of an informer's promises, on virtual time (B rows)."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from collections import deque
from typing import Any

import pytest
from structlog.testing import capture_logs

from informers.informer import Informer
from informers.mutation_check import CacheMutated, MutationDetector
from informers.ports import Object
from informers.transforms import LAST_APPLIED
from tests.support.fakecluster import FakeCluster
from tests.support.fakelist import FakeListerWatcher, WatchFault
from tests.support.informing import Counts, Told, informer_of, running, until

pytestmark = pytest.mark.looptime


def source_of(*names: str) -> FakeListerWatcher:
    cluster = FakeCluster()
    for name in names:
        cluster.create(name)
    return FakeListerWatcher(cluster)


async def told_of(told: Told, what: str, name: str) -> None:
    await until(lambda: (what, name) in told.log)


# --- resync (B4) ---------------------------------------------------------------------------


async def test_resync_updates_every_object_to_itself_for_those_who_asked() -> None:
    source = source_of("a", "b", "c")
    informer = informer_of(source, resync_period_s=600)
    asked, silent = Told(), Told()
    informer.add_handler(asked, resync=True)
    informer.add_handler(silent)
    async with running(informer):
        requests = len(source.asked("list"))
        await asyncio.sleep(700)

    assert sorted(asked.log[3:]) == [("resync", "a"), ("resync", "b"), ("resync", "c")]
    assert silent.count("resync") == 0
    assert len(source.asked("list")) == requests == 0


async def test_resyncs_are_spread_by_ten_percent_around_their_period() -> None:
    gaps: list[float] = []
    for seed in range(6):
        informer = informer_of(source_of("a"), resync_period_s=1000, rng=random.Random(seed))
        told = Told()
        informer.add_handler(told, resync=True)
        async with running(informer):
            await asyncio.sleep(3400)
        times = [at for at, (what, _) in zip(told.at, told.log, strict=True) if what == "resync"]
        gaps += [later - earlier for earlier, later in itertools.pairwise(times)]

    assert all(900 <= gap <= 1100 for gap in gaps)
    assert max(gaps) - min(gaps) > 50


# --- synced (B5, B6) -----------------------------------------------------------------------


async def test_synced_is_said_per_handler_when_it_has_every_initial_add() -> None:
    source = source_of("a", "b")
    informer = informer_of(source)
    told = Told()
    registration = informer.add_handler(told)
    assert not registration.has_synced()
    assert not informer.has_synced()
    async with running(informer):
        assert registration.has_synced()
        assert informer.has_synced()
        assert sorted(told.initial) == ["a", "b"]
        source.cluster.create("c")
        await told_of(told, "add", "c")

    assert sorted(told.initial) == ["a", "b"], "what is created later is no initial addition"


async def test_held_list_keeps_everybody_waiting() -> None:
    source = source_of("a")
    source.watch_faults.append(WatchFault(hangs=True))
    informer = informer_of(source)
    registration = informer.add_handler(Told())
    async with running(informer, synced=False):
        waiting = asyncio.create_task(informer.wait_synced())
        await asyncio.sleep(29)
        assert not waiting.done()
        assert not registration.has_synced()

        await asyncio.wait_for(waiting, 5)
        assert registration.has_synced()


async def test_late_handler_first_receives_everything_that_is_there() -> None:
    source = source_of("a", "b")
    informer = informer_of(source)
    async with running(informer):
        late = Told()
        registration = informer.add_handler(late)
        assert not registration.has_synced()
        source.cluster.create("c")
        await told_of(late, "add", "c")

    assert registration.has_synced()
    assert sorted(late.log[:2]) == [("add", "a"), ("add", "b")]
    assert late.log[2:] == [("add", "c")]
    assert sorted(late.initial) == ["a", "b"]


async def test_handler_may_add_a_handler() -> None:
    source = source_of("a")
    informer = informer_of(source)
    second = Told()

    class First(Told):
        def on_add(self, obj: Object, *, initial: bool) -> None:
            super().on_add(obj, initial=initial)
            informer.add_handler(second)

    informer.add_handler(First())
    async with running(informer):
        await told_of(second, "add", "a")

    assert second.log == [("add", "a")]


async def test_store_and_indices_have_moved_before_a_handler_is_called() -> None:
    source = source_of("a")
    informer = informer_of(source, indexers={"name": lambda o: [o["metadata"]["name"]]})
    seen: list[int] = []

    class Looking(Told):
        def on_add(self, obj: Object, *, initial: bool) -> None:
            super().on_add(obj, initial=initial)
            seen.append(len(informer.store.by_index("name", obj["metadata"]["name"])))

        def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
            super().on_delete(obj, final_state_unknown=final_state_unknown)
            seen.append(len(informer.store.by_index("name", obj["metadata"]["name"])))

    told = Looking()
    informer.add_handler(told)
    async with running(informer):
        source.cluster.create("b")
        source.cluster.delete("a")
        await told_of(told, "delete", "a")

    assert seen == [1, 1, 0]


# --- (B8, B9, B12) -------------------------------------------------------------------------


class Vandal(Told):
    def on_add(self, obj: Object, *, initial: bool) -> None:
        obj["metadata"]["labels"]["app"] = "mine"


async def test_changed_cache_is_detected_and_names_the_field() -> None:
    source = FakeListerWatcher(FakeCluster())
    source.cluster.create("a", data={"password": "hunter2"})
    source.cluster.update("a", metadata={"labels": {"app": "theirs"}})
    informer = Informer(source, mutation_detector=MutationDetector(period_s=5))
    informer.add_handler(Vandal())

    with pytest.raises(ExceptionGroup) as caught:
        await informer.run()

    (error,) = caught.value.exceptions
    assert isinstance(error, CacheMutated)
    assert str(error).endswith("default/a was changed in place: metadata.labels.app")


async def test_changed_object_is_detected_even_if_it_leaves_before_the_next_check() -> None:
    source = source_of()
    source.cluster.create("a")
    source.cluster.update("a", metadata={"labels": {"app": "theirs"}})
    informer = Informer(source, mutation_detector=MutationDetector(period_s=10_000))
    vandal = Vandal()
    informer.add_handler(vandal)
    task = asyncio.create_task(informer.run())
    await informer.wait_synced()

    source.cluster.delete("a")
    with pytest.raises(ExceptionGroup, match="unhandled errors"):
        await task


async def test_noise_is_dropped_from_lists_and_events() -> None:
    noise: dict[str, Any] = {"managedFields": [{}], "annotations": {LAST_APPLIED: "{}", "k": "v"}}
    source = source_of("a")
    source.cluster.update("a", metadata=noise)
    informer = informer_of(source)
    told = Told()
    informer.add_handler(told)
    async with running(informer):
        source.cluster.create("b")
        source.cluster.update("b", metadata=noise)
        await told_of(told, "update", "b")

    for obj in informer.store.values():
        assert obj["metadata"]["annotations"] == {"k": "v"}
        assert "managedFields" not in obj["metadata"]


async def test_failing_handler_is_logged_and_counted_and_the_others_live() -> None:
    class Broken(Told):
        def on_add(self, obj: Object, *, initial: bool) -> None:
            raise RuntimeError("a bug in a handler")

    source, counts, told = source_of("a"), Counts(), Told()
    informer = informer_of(source, metrics=counts)
    informer.add_handler(Broken())
    informer.add_handler(told)
    with capture_logs() as logs:
        async with running(informer):
            source.cluster.create("b")
            await told_of(told, "add", "b")

    assert counts.counted["handler_failed"] == 2
    failures = [entry for entry in logs if entry["event"] == "A handler failed"]
    assert len(failures) == 2
    assert failures[0]["handler"].endswith("Broken")


async def test_failing_functions_are_counted_and_their_object_is_not_lost() -> None:
    source, counts = source_of("a"), Counts()
    informer = informer_of(
        source,
        metrics=counts,
        keep=lambda obj: bool(1 // 0),
        indexers={"broken": lambda obj: [obj["no such field"]]},
    )
    async with running(informer):
        assert informer.store.get(source.cluster.key("a")) is not None

    assert counts.counted["handler_failed"] == 2


async def test_object_that_a_transform_hides_later_is_reported_gone() -> None:
    source, told = source_of("a", "b"), Told()
    informer = informer_of(source, transform=lambda obj: None if obj.get("hidden") else obj)
    informer.add_handler(told)
    async with running(informer):
        source.cluster.update("a", hidden=True)
        await told_of(told, "delete", "a")
        source.cluster.update("a", hidden=False)
        await until(lambda: told.log[-1] == ("add", "a"))

    assert told.log[2:] == [("delete", "a"), ("add", "a")]


async def test_failing_transform_leaves_the_last_good_state() -> None:
    def fragile(obj: dict[str, Any]) -> Object:
        return {**obj, "size": len(obj.get("data", {}))}

    source, counts = source_of("a"), Counts()
    informer = informer_of(source, transform=fragile, metrics=counts)
    async with running(informer):
        good = informer.store.get(source.cluster.key("a"))
        source.cluster.update("a", data=5)
        await until(lambda: counts.counted.get("malformed"))
        assert informer.store.get(source.cluster.key("a")) is good
        assert informer.store.seen_up_to == "102"


# --- progress (B13) ------------------------------------------------------------------------


async def test_bookmark_without_events_tells_the_listeners() -> None:
    source = source_of("a")
    informer = informer_of(source)
    progress: list[str] = []
    informer.add_progress_listener(lambda: progress.append(informer.store.seen_up_to))
    async with running(informer):
        assert progress == ["101"]
        source.cluster.elsewhere(50)
        assert not informer.store.reached("151")
        source.cluster.bookmark()
        await until(lambda: informer.store.reached("151"))

    assert progress == ["101", "151"]


async def test_relist_without_changes_tells_the_listeners() -> None:
    source = source_of("a")
    informer = informer_of(source)
    told, progress = Told(), list[str]()
    informer.add_handler(told)
    informer.add_progress_listener(lambda: progress.append(informer.store.seen_up_to))
    async with running(informer):
        source.cluster.elsewhere(50)
        source.cluster.compact()
        source.always = WatchFault(reset_after=0)
        await asyncio.sleep(1)
        source.always = WatchFault()
        await until(lambda: informer.store.reached("151"), within=1000)

    assert progress == ["101", "151"]
    assert told.log == [("add", "a")]


async def test_failing_listener_is_counted() -> None:
    source, counts = source_of("a"), Counts()
    informer = informer_of(source, metrics=counts)
    informer.add_progress_listener(lambda: print(1 // 0))
    async with running(informer):
        pass

    assert counts.counted["handler_failed"] == 1


# --- metrics -------------------------------------------------------------------------------


async def test_lists_watches_events_sizes_and_ages_are_counted() -> None:
    source, counts = source_of("a", "b"), Counts()
    informer = informer_of(source, name="things", metrics=counts)
    gauges = counts.gauges
    assert gauges is not None
    assert gauges.store_rv_age_s() == math.inf
    async with running(informer):
        source.cluster.create("c")
        source.cluster.update("c")
        source.cluster.delete("a")
        source.cluster.bookmark()
        await until(lambda: counts.events.count("BOOKMARK") == 2)
        await asyncio.sleep(100)
        assert gauges.store_size() == 2
        assert gauges.store_rv_age_s() == pytest.approx(100, abs=1)
        assert gauges.last_event_age_s() == pytest.approx(100, abs=1)

    assert counts.names == ["things"]
    assert counts.lists == [2]
    assert counts.counted["watch_opened"] == 1
    assert sorted(counts.events) == sorted(
        ["ADDED"] * 3 + ["MODIFIED", "DELETED"] + ["BOOKMARK"] * 2
    )


async def test_name_defaults_to_the_resource() -> None:
    assert informer_of(source_of()).name == "configmaps"


async def test_one_watch_serves_all_handlers() -> None:
    source = source_of("a")
    source.watch_faults = deque()
    informer = informer_of(source)
    handlers = [Told() for _ in range(5)]
    for handler in handlers[:3]:
        informer.add_handler(handler)
    async with running(informer):
        for handler in handlers[3:]:
            informer.add_handler(handler)
        source.cluster.create("b")
        for handler in handlers:
            await told_of(handler, "add", "b")

        assert source.open_streams == 1
    assert len(source.requests) == 1
