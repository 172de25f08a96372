# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The informer against a modelled API server with faults, on virtual time.

Each test is one rule of list and watch, as it shows from outside: requests, their times, the
store (A1, A2, A3, A4, A5, A6, A8, A9, A10, A12, A13, A15, A17).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from informers.errors import (
    Forbidden,
    NotFound,
    ServerError,
    TooManyRequests,
    TransportError,
    Unauthorized,
)
from informers.informer import Informer
from informers.options import ReflectorOptions
from informers.ports import Page
from tests.support.fakecluster import FakeCluster, expired
from tests.support.fakelist import FakeListerWatcher, Request, WatchFault
from tests.support.informing import Counts, Told, informer_of, running, until

pytestmark = pytest.mark.looptime

PAGED = ReflectorOptions(streaming_list=False)


def now() -> float:
    return asyncio.get_running_loop().time()


def cluster_of(*names: str, streaming: bool = True, as_event: bool = False) -> FakeCluster:
    cluster = FakeCluster(streaming=streaming, expired_as_event=as_event)
    for name in names:
        cluster.create(name)
    return cluster


async def same(source: FakeListerWatcher, informer: Informer) -> None:
    """Until the store is what the cluster is."""
    store = informer.store
    await until(lambda: dict(store.items()) == source.cluster.state(), within=3000)


# --- (A1, A2, A3, A4) ----------------------------------------------------------------------


async def test_streaming_list_needs_one_request_for_list_and_watch() -> None:
    source = FakeListerWatcher(cluster_of("a", "b"))
    informer = informer_of(source)
    async with running(informer):
        source.cluster.create("c")
        await same(source, informer)

    assert [request.verb for request in source.requests] == ["stream"]
    assert source.requests[0].resource_version is None


async def test_nothing_is_synced_before_a_streaming_list_is_complete() -> None:
    source = FakeListerWatcher(
        cluster_of("a", "b"), watch_faults=deque([WatchFault(cut_after=200)])
    )
    informer = informer_of(source)
    async with running(informer, synced=False):
        await until(lambda: source.requests and source.open_streams == 0)
        assert not informer.has_synced()
        assert len(informer.store) == 0
        source.cluster.delete("a")  # the retry must not remember it

        await informer.wait_synced()
        await same(source, informer)

    assert len(source.asked("stream")) == 2


async def test_refused_streaming_list_costs_one_request_once() -> None:
    source = FakeListerWatcher(cluster_of("a", streaming=False))
    informer = informer_of(source)
    async with running(informer):
        source.cluster.create("b")
        await same(source, informer)
        source.watch_faults.append(WatchFault(error=expired()))
        await until(lambda: len(source.asked("list")) == 2, within=1500)
        await same(source, informer)

    assert len(source.asked("stream")) == 1
    first, second = source.asked("list")
    assert first.resource_version is None
    assert second.resource_version == informer.store.seen_up_to


async def test_pages_that_expire_lead_to_one_full_list() -> None:
    source = FakeListerWatcher(cluster_of(*"abcde"), list_faults=deque([None, expired()]))
    informer = informer_of(source, tuning=replace(PAGED, page_size=2))
    async with running(informer):
        await same(source, informer)

    asked = [(request.limit, bool(request.continue_token)) for request in source.asked("list")]
    assert asked == [(2, False), (2, True), (None, False)]


async def test_stale_answer_to_a_later_list_does_not_turn_back_the_store() -> None:
    source = FakeListerWatcher(cluster_of("a", "b"))
    informer = informer_of(source, tuning=PAGED)
    told = Told()
    informer.add_handler(told)
    async with running(informer):
        stale = Page((), source.cluster.page(None, None, "").resource_version)
        source.cluster.create("c")
        await same(source, informer)
        source.stale_pages.append(stale)
        source.watch_faults.append(WatchFault(error=expired()))
        source.always = WatchFault()
        await until(lambda: len(source.asked("list")) == 3, within=1500)
        await same(source, informer)

    assert told.count("delete") == 0


# --- (A5, A6) ------------------------------------------------------------------------------


@pytest.mark.parametrize("as_event", [False, True])
@pytest.mark.parametrize("tuning", [ReflectorOptions(), PAGED])
async def test_compacted_history_leads_to_a_list_that_reports_what_vanished(
    as_event: bool, tuning: ReflectorOptions
) -> None:
    source = FakeListerWatcher(cluster_of("a", "b", as_event=as_event))
    informer = informer_of(source, tuning=tuning)
    told = Told()
    informer.add_handler(told)
    async with running(informer):
        source.watch_faults.append(WatchFault(error=TransportError("refused")))
        source.always = WatchFault(reset_after=0)  # the next watch breaks at once
        await until(lambda: not source.watch_faults, within=1500)
        source.cluster.delete("a")
        source.cluster.create("c")
        source.cluster.compact()
        source.always = WatchFault()
        await same(source, informer)
        await until(lambda: told.log[-1] == ("add", "c"))

    assert told.deleted == [(source.cluster.key("a"), True)]
    assert told.log[-2:] == [("delete", "a"), ("add", "c")]
    assert "c" not in told.initial, "it was created after the first list"


@pytest.mark.parametrize("tuning", [ReflectorOptions(), PAGED])
async def test_restored_cluster_is_noticed_through_the_silence(tuning: ReflectorOptions) -> None:
    cluster = cluster_of("a", "b")
    backup, version = dict(cluster.objects), cluster.version
    cluster.create("after-backup")
    cluster.elsewhere(1000)
    source = FakeListerWatcher(cluster)
    informer = informer_of(source, tuning=tuning)
    async with running(informer):
        cluster.restore(version, backup)
        restored_at = now()
        await same(source, informer)

        assert now() - restored_at < 605 * 4 + 60
        assert informer.store.seen_up_to == str(version)
        cluster.create("new-life")
        await same(source, informer)


# --- (A8, A9, A10) -------------------------------------------------------------------------


@pytest.mark.parametrize("tuning", [ReflectorOptions(), PAGED])
async def test_bookmarks_are_never_required(tuning: ReflectorOptions) -> None:
    source = FakeListerWatcher(cluster_of("a"), always=WatchFault(no_bookmarks=True))
    informer = informer_of(source, tuning=tuning)
    async with running(informer):
        for n in range(20):
            source.cluster.create(f"n{n}")
            await asyncio.sleep(200)
        await same(source, informer)

    assert len(source.asked("list")) == 1


async def test_half_open_socket_is_left_in_time_and_without_a_list() -> None:
    source = FakeListerWatcher(cluster_of("a"), watch_faults=deque([WatchFault(silent=True)]))
    informer = informer_of(source, tuning=PAGED)
    async with running(informer):
        source.cluster.create("missed")
        await same(source, informer)

    first, second = source.asked("watch")
    assert 300 <= second.at - first.at <= 605
    assert second.at - first.at == pytest.approx(first.timeout_seconds + 5)
    assert len(source.asked("list")) == 1


async def test_orderly_ends_never_lead_to_a_list() -> None:
    source = FakeListerWatcher(cluster_of("a"))
    informer = informer_of(source, tuning=PAGED)
    async with running(informer):
        for _ in range(36):
            source.cluster.elsewhere()
            source.cluster.bookmark()
            await asyncio.sleep(100)
        await same(source, informer)

    assert len(source.asked("watch")) >= 6
    assert len(source.asked("list")) == 1
    assert source.most_streams == 1


async def test_watch_that_is_never_answered_is_left_after_thirty_seconds() -> None:
    source = FakeListerWatcher(cluster_of("a"), watch_faults=deque([WatchFault(hangs=True)]))
    informer = informer_of(source, tuning=PAGED)
    async with running(informer):
        await until(lambda: len(source.asked("watch")) == 2)

    first, second = source.asked("watch")
    assert 30 < second.at - first.at < 32


@pytest.mark.parametrize("tuning", [ReflectorOptions(), PAGED])
async def test_server_that_ends_every_watch_at_once_gets_few_requests(
    tuning: ReflectorOptions,
) -> None:
    counts = Counts()
    source = FakeListerWatcher(cluster_of("a"), always=WatchFault(cut_after=0))
    async with running(informer_of(source, tuning=tuning, metrics=counts), synced=False):
        await asyncio.sleep(30)

    assert len(source.requests) <= 8
    assert counts.counted["watch_was_short"] >= 2


# --- (A12, A13) ----------------------------------------------------------------------------


async def test_refused_connections_are_tried_again_slowly_and_without_a_list() -> None:
    source = FakeListerWatcher(cluster_of("a"))
    informer = informer_of(source, tuning=PAGED)
    async with running(informer):
        source.always = WatchFault(error=TransportError("refused"))
        source.watch_faults.append(WatchFault(reset_after=0))
        await asyncio.sleep(1200)
        began = len(source.requests)
        await asyncio.sleep(1200)
        source.cluster.create("b")
        source.always = WatchFault()
        await same(source, informer)

    assert 20 <= len(source.requests) - began <= 42  # every 30 to 60 s
    assert len(source.asked("list")) == 1
    assert {request.resource_version for request in source.asked("watch")} == {"101"}


async def test_retry_after_is_honoured() -> None:
    slow = TooManyRequests("slow down", code=429, retry_after=7.0)
    source = FakeListerWatcher(cluster_of("a"), watch_faults=deque([WatchFault(error=slow)]))
    async with running(informer_of(source, tuning=PAGED)):
        await until(lambda: len(source.asked("watch")) == 2)

    first, second = source.asked("watch")
    assert second.at - first.at == pytest.approx(7.0, abs=0.1)
    assert len(source.asked("list")) == 1


async def test_missing_right_is_logged_once_and_healed_when_it_is_granted() -> None:
    denied = Forbidden('configmaps is forbidden: User "x" cannot list', code=403)
    source = FakeListerWatcher(cluster_of("a"), list_faults=deque([denied] * 20))
    informer = informer_of(source, tuning=PAGED)
    with capture_logs() as logs:
        async with running(informer, synced=False):
            await asyncio.sleep(120)
            assert not informer.has_synced()
            await until(informer.has_synced, within=1500)

    warnings = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [entry["reason"] for entry in warnings] == [f"Forbidden: {denied}"]
    assert [e["event"] for e in logs].count("Followed the API server again") == 1


async def test_kind_whose_definition_returns_is_followed_soon_and_its_absence_told_once() -> None:
    missing = NotFound("the server could not find the requested resource", code=404)
    source = FakeListerWatcher(
        cluster_of("a"),
        list_faults=deque([missing] * 20),
        watch_faults=deque([WatchFault(error=missing)] * 20),
    )
    informer = informer_of(source)
    with capture_logs() as logs:
        async with running(informer, synced=False):
            await until(lambda: not source.list_faults, within=120)
            await until(informer.has_synced, within=5.1)

    assert [e["event"] for e in logs].count("Watch failed") == 1
    assert [e["event"] for e in logs].count("Relisting") == 1


@pytest.mark.parametrize("as_event", [False, True])
@pytest.mark.parametrize("tuning", [ReflectorOptions(), PAGED])
@pytest.mark.parametrize("idle", [True, False])
async def test_expired_position_is_normal_and_told_with_what_is_done(
    as_event: bool, tuning: ReflectorOptions, idle: bool
) -> None:
    """Also where nothing ever happened, so that the position is still that of the list."""
    cluster = cluster_of("a", as_event=as_event)
    source = FakeListerWatcher(cluster)
    informer = informer_of(source, tuning=tuning)
    with capture_logs() as logs:
        async with running(informer):
            if not idle:
                cluster.create("b")
                await same(source, informer)
            cluster.elsewhere(100)
            cluster.compact()
            healed = "Followed the API server again"
            await until(lambda: healed in [entry["event"] for entry in logs], within=1500)

    (relisting,) = [entry for entry in logs if "reason" in entry]
    assert (relisting["log_level"], relisting["event"]) == ("info", "Relisting")
    assert relisting["reason"].startswith("Gone: too old")
    assert ("retry_in_s" in relisting) == idle
    assert not [entry for entry in logs if entry["log_level"] in ("warning", "error")]


async def test_list_that_does_not_help_is_trouble() -> None:
    faults = deque[WatchFault | None]([WatchFault(error=expired())] * 3)
    source = FakeListerWatcher(cluster_of("a"), watch_faults=faults)
    with capture_logs() as logs:
        async with running(informer_of(source, tuning=PAGED)):
            await until(lambda: len(source.asked("list")) == 4, within=1500)
            source.cluster.create("b")
            await until(lambda: source.open_streams == 1)

    said = [(e["log_level"], e["event"]) for e in logs if "reason" in e]
    assert said == [("info", "Relisting"), *[("warning", "Watch failed")] * 2]


async def test_changed_trouble_is_logged_again() -> None:
    source = FakeListerWatcher(
        cluster_of("a"),
        list_faults=deque([Forbidden("no", code=403)] * 3 + [TransportError("refused")] * 3),
    )
    with capture_logs() as logs:
        async with running(informer_of(source, tuning=PAGED)):
            pass

    warnings = [entry["reason"] for entry in logs if entry["log_level"] == "warning"]
    assert warnings == ["Forbidden: no", "TransportError: refused"]


async def test_expired_token_is_tried_again_at_once() -> None:
    source = FakeListerWatcher(
        cluster_of("a"), list_faults=deque([Unauthorized("expired", code=401)])
    )
    async with running(informer_of(source, tuning=PAGED)):
        pass

    first, second = source.asked("list")
    assert second.at == first.at


async def test_hanging_list_has_a_deadline() -> None:
    class Hanging(FakeListerWatcher):
        async def list_page(
            self, *, resource_version: str | None, limit: int | None, continue_token: str
        ) -> Page:
            if not self.requests:
                self.requests.append(Request("hung", now(), None))
                await asyncio.Event().wait()
            return await super().list_page(
                resource_version=resource_version, limit=limit, continue_token=continue_token
            )

    source = Hanging(cluster_of("a"))
    async with running(informer_of(source, tuning=PAGED)):
        pass

    assert 60 < source.requests[1].at - source.requests[0].at < 62


# --- bytes and bugs (A15, A17) -------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 7, 100])
async def test_chunks_of_any_size_make_the_same_events(chunk: int) -> None:
    source = FakeListerWatcher(cluster_of("a", "b"), chunk=chunk)
    informer = informer_of(source)
    async with running(informer):
        source.cluster.update("a", data={"k": "ü" * 50})
        source.cluster.delete("b")
        await same(source, informer)

    assert [request.verb for request in source.requests] == ["stream"]


async def test_malformed_lines_are_counted_and_the_stream_lives() -> None:
    counts = Counts()
    source = FakeListerWatcher(cluster_of("a"))
    informer = informer_of(source, metrics=counts)
    async with running(informer):
        for data in (b"<html>\n", b'{"type":"ADDED","object":{"kind":"Table"}}\n', b"{\n"):
            source.cluster.inject(data)
        source.cluster.create("b")
        await same(source, informer)

    assert counts.counted["malformed"] == 3
    assert counts.counted["watch_opened"] == 1


async def test_unknown_failure_of_the_transport_is_an_attempt_that_failed() -> None:
    source = FakeListerWatcher(
        cluster_of("a"),
        list_faults=deque([ValueError("a bug"), OSError("no route"), TimeoutError()]),
        watch_faults=deque([WatchFault(error=KeyError("another"))]),
    )
    informer = informer_of(source, tuning=PAGED)
    with capture_logs() as logs:
        async with running(informer):
            await until(lambda: source.open_streams == 1)
            source.cluster.create("b")
            await same(source, informer)

    reasons = [entry.get("reason", "").split(":")[0] for entry in logs]
    assert [r for r in reasons if r] == [
        "ProtocolError",
        "TransportError",
        "DeadlineExceeded",
        "ProtocolError",
    ]


async def test_cancelled_informer_closes_its_stream() -> None:
    source = FakeListerWatcher(cluster_of("a"))
    informer = informer_of(source)
    task = asyncio.create_task(informer.run())
    await informer.wait_synced()
    assert source.open_streams == 1

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert source.open_streams == 0


async def test_second_run_goes_on_where_the_first_ended() -> None:
    source = FakeListerWatcher(cluster_of("a"))
    informer = informer_of(source)
    async with running(informer):
        pass
    source.cluster.create("b")
    async with running(informer):
        await same(source, informer)

    assert [request.verb for request in source.requests] == ["stream", "watch"]
    assert source.requests[1].resource_version == "101"


async def test_internal_errors_in_a_list_are_tried_again() -> None:
    source = FakeListerWatcher(
        cluster_of("a"), list_faults=deque([ServerError("etcd is away", code=500)] * 3)
    )
    informer = informer_of(source, tuning=PAGED)
    async with running(informer):
        await same(source, informer)

    assert len(source.asked("list")) == 3 + 1
