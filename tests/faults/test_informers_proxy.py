# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Informer and transport behind a network that fails, in front of a real API server.

Each test injects one kind of fault, in lists (A1, A2, A3, A4), watches (A8, A9), answers (A12, A13,
A14, A15) or what follows from them (B13, B14), and then asks for the same: the store is what the
cluster is, and the server was not asked more than need be.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from hack.cluster.plane import ControlPlane
from informers.errors import Gone, ServerError, TooManyRequests
from informers.informer import Informer
from informers.options import ReflectorOptions
from informers.ports import ListerWatcher, ObjectKey, Resource
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client
from tests.support.faultkinds import (
    Answer,
    Cut,
    CutLine,
    DropEvents,
    Fault,
    Hang,
    HoldEvents,
    RepeatEvents,
    Reset,
    Silence,
    StaleList,
)
from tests.support.faultproxy import FaultProxy
from tests.support.informing import Told, informer_of, running
from tests.support.informing import until as until_on_any_clock

pytestmark = pytest.mark.apiserver

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps")
STREAMED = ReflectorOptions(backoff_s=0.1)
PAGED = replace(STREAMED, streaming_list=False, page_size=2)


class World:
    """A namespace, seen directly and through the proxy."""

    def __init__(
        self, plane: ControlPlane, namespace: str, proxy: FaultProxy, source: ListerWatcher
    ) -> None:
        self.plane = plane
        self.namespace = namespace
        self.proxy = proxy
        self.source = source
        self.path = f"/api/v1/namespaces/{namespace}/configmaps"

    def create(self, *names: str, **fields: Any) -> dict[str, Any]:
        created: dict[str, Any] = {}
        for name in names:
            metadata = {"name": name, "labels": {"test": "yes"}}
            created = self.plane.client.create(self.path, {"metadata": metadata, **fields})
        return created

    def delete(self, name: str) -> None:
        self.plane.client.delete(f"{self.path}/{name}")

    def key(self, name: str) -> ObjectKey:
        return ObjectKey(self.namespace, name)

    def truth(self) -> dict[str, str]:
        items = self.plane.client.get(f"{self.path}?labelSelector=test%3Dyes")["items"]
        return {i["metadata"]["name"]: i["metadata"]["resourceVersion"] for i in items}

    async def same(self, informer: Informer) -> None:
        """Until the store is what the cluster is."""
        truth = self.truth()
        await until(lambda: held(informer) == truth, within=30)


async def until(condition: Callable[[], object], *, within: float = 30.0) -> None:
    await until_on_any_clock(condition, within=within, coarse=0.02)


def held(informer: Informer) -> dict[str, str]:
    return {key.name: obj["metadata"]["resourceVersion"] for key, obj in informer.store.items()}


@asynccontextmanager
async def client_of(kubeconfig: Path) -> AsyncIterator[Client]:
    connection = await connect(Source(str(kubeconfig)))
    async with Client(connection, user_agent="informers-test") as client:
        yield client


@pytest.fixture
async def world(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> AsyncIterator[World]:
    async with FaultProxy.to_kubeconfig(control_plane.kubeconfig) as proxy:
        kubeconfig = proxy.write_kubeconfig(tmp_path / "kubeconfig")
        async with client_of(kubeconfig) as client:
            # The controllers put a ConfigMap of their own into every namespace.
            source = client.lister_watcher(
                CONFIG_MAPS, namespace=namespace, label_selector="test=yes"
            )
            yield World(control_plane, namespace, proxy, source)


def patient(source: ListerWatcher, tuning: ReflectorOptions = STREAMED) -> Informer:
    """An informer with the smallest jitter, so that tests are quick."""
    rng = random.Random(1)
    rng.random = lambda: 0.0  # type: ignore[method-assign]
    return informer_of(source, tuning=tuning, rng=rng)


# --- lists (A1, A2, A3, A4) ----------------------------------------------------------------


async def test_stale_list_does_not_turn_back_the_store(world: World) -> None:
    stale = world.proxy.add(StaleList(), verb="list", times=None)
    world.create("a", "b")
    informer, told = patient(world.source, PAGED), Told()
    informer.add_handler(told)
    async with running(informer):
        world.create("c")
        await world.same(informer)
        world.proxy.add(Answer(410), verb="watch")
        world.proxy.break_all()
        await until(lambda: world.proxy.count("list") >= 3)
        assert "c" in held(informer)
        world.proxy.remove(stale)
        world.create("d")
        await world.same(informer)

    assert told.count("delete") == 0


@pytest.mark.parametrize("fault", [Cut(700), Reset(700), CutLine(1)])
async def test_streaming_list_cut_before_its_bookmark_syncs_nothing(
    world: World, fault: Fault
) -> None:
    world.create("a", "b")
    world.proxy.add(fault, verb="watch")
    informer = patient(world.source)
    async with running(informer, synced=False):
        await until(lambda: world.proxy.seen and not world.proxy.open_watches)
        assert not informer.has_synced()
        assert len(informer.store) == 0
        world.delete("a")
        await informer.wait_synced()
        assert list(held(informer)) == ["b"]

    assert world.proxy.count("watch") == 2
    assert world.proxy.count("list") == 0


@pytest.mark.parametrize("status", [422, 400, 404])
async def test_server_without_streaming_lists_is_asked_once(world: World, status: int) -> None:
    world.proxy.add(Answer(status), verb="watch")
    informer = patient(world.source)
    async with running(informer):
        world.create("a")
        await world.same(informer)

    streams = [s for s in world.proxy.requests("watch") if "sendInitialEvents" in s.query]
    assert len(streams) == 1
    assert [seen.query.get("resourceVersion") for seen in world.proxy.requests("list")] == [None]


async def test_token_that_expires_on_page_two_leads_to_one_full_list(world: World) -> None:
    world.create(*"abcde")
    world.proxy.add(Answer(410), verb="list", skip=1)
    informer = patient(world.source, PAGED)
    async with running(informer):
        await world.same(informer)

    limits = [seen.query.get("limit") for seen in world.proxy.requests("list")]
    assert limits == ["2", "2", None]


# --- bookmarks and silence (A8, A9) --------------------------------------------------------


async def test_lost_bookmarks_harm_nothing(world: World) -> None:
    world.proxy.add(DropEvents(), verb="watch", times=None)
    world.create("a")
    informer = patient(world.source, replace(STREAMED, initial_quiet_s=0.3))
    async with running(informer):
        world.create("b")
        world.delete("a")
        await world.same(informer)

    assert world.proxy.count("list") > 0


@pytest.mark.parametrize("fault", [Silence(), Hang()])
async def test_half_open_socket_is_left_without_a_list(world: World, fault: Fault) -> None:
    quick = replace(PAGED, watch_timeout_s=(1, 1), idle_margin_s=0.2, open_deadline_s=1.0)
    world.proxy.add(fault, verb="watch")
    informer = patient(world.source, quick)
    async with running(informer):
        world.create("a")
        await world.same(informer)

    first, second, *_ = world.proxy.requests("watch")
    assert 0.9 < second.at - first.at < 4
    assert world.proxy.count("list") == 1


# --- failures (A12, A13, A14, A15) ---------------------------------------------------------


async def test_retry_after_is_honoured_and_the_watch_goes_on_where_it_was(world: World) -> None:
    world.create("a")
    informer = patient(world.source, PAGED)
    async with running(informer):
        await until(lambda: world.proxy.open_watches)
        world.proxy.add(Answer(429, retry_after=2), verb="watch")
        world.proxy.break_all()
        world.create("b")
        await world.same(informer)

    _, refused, again = world.proxy.requests("watch")
    assert again.at - refused.at >= 2
    assert again.query["resourceVersion"] == refused.query["resourceVersion"]
    assert world.proxy.count("list") == 1


async def test_pages_of_a_load_balancer_are_errors_and_never_events(world: World) -> None:
    world.proxy.add(Answer(502, html=True), verb="watch", times=2)
    world.proxy.add(Answer(502, html=True), verb="list", times=1)
    informer = patient(world.source, PAGED)
    with capture_logs() as logs:
        async with running(informer):
            world.create("a")
            await world.same(informer)

    reasons = {entry["reason"] for entry in logs if entry["event"].startswith("Watch failed")}
    assert all("HTTP 502 (text/html, not from the Kubernetes API server)" in r for r in reasons)
    assert reasons


@pytest.mark.parametrize("status", [401, 403, 500, 504])
async def test_refusals_that_pass_are_outlived(world: World, status: int) -> None:
    world.proxy.add(Answer(status), verb="watch")
    world.proxy.add(Answer(status), verb="list")
    world.create("a")
    informer = patient(world.source, PAGED)
    async with running(informer):
        world.create("b")
        await world.same(informer)

    assert world.proxy.count("list") <= 3  # a, b: one page and one more


@pytest.mark.parametrize("after", [1, 137, 600, 901])
@pytest.mark.parametrize("kind", [Cut, Reset])
async def test_streams_cut_anywhere_lose_and_repeat_nothing(
    world: World, kind: type[Cut | Reset], after: int
) -> None:
    world.proxy.add(kind(after_bytes=after), verb="watch", times=2)
    informer, told = patient(world.source, PAGED), Told()
    informer.add_handler(told)
    async with running(informer):
        await until(lambda: world.proxy.open_watches)
        world.create("a", "b", "c")
        world.delete("b")
        await world.same(informer)

    assert told.log == [("add", "a"), ("add", "b"), ("add", "c"), ("delete", "b")]
    assert world.proxy.count("list") == 1


async def test_repeated_events_are_told_once(world: World) -> None:
    world.proxy.add(RepeatEvents(), verb="watch", times=None)
    informer, told = patient(world.source), Told()
    informer.add_handler(told)
    async with running(informer):
        world.create("a")
        world.delete("a")
        world.create("z")
        await world.same(informer)

    assert told.log == [
        ("add", "a"),
        ("delete", "a"),
        ("add", "z"),
    ]


# --- (B2, B13, B14) ------------------------------------------------------------------------


async def test_what_vanished_while_nobody_watched_is_reported(world: World) -> None:
    world.create("a", "b")
    informer, told = patient(world.source), Told()
    informer.add_handler(told)
    async with running(informer):
        hung = world.proxy.add(Answer(503), verb="watch", times=None)
        world.proxy.break_all()
        await until(lambda: hung.hits)
        world.delete("a")
        world.create("c")
        world.proxy.remove(hung)
        world.proxy.add(Answer(410), verb="watch")
        await world.same(informer)
        await until(lambda: ("add", "c") in told.log)

    assert (world.key("a"), True) in told.deleted


async def test_own_write_is_reached_when_its_event_arrives_and_not_before(world: World) -> None:
    gate = asyncio.Event()
    world.proxy.add(HoldEvents(gate), verb="watch", times=None)
    informer = patient(world.source, PAGED)
    async with running(informer):
        await until(lambda: world.proxy.open_watches)
        version = world.create("a")["metadata"]["resourceVersion"]
        await until(lambda: world.plane.client.exists(f"{world.path}/a"))
        assert not informer.store.reached(version)

        gate.set()
        await until(lambda: informer.store.reached(version))
        assert world.key("a") in informer.store


async def test_bookmark_reaches_a_write_whose_event_got_lost(world: World) -> None:
    world.proxy.add(DropEvents(frozenset({"ADDED"})), verb="watch", times=None)
    # A bookmark comes two seconds before the server's time-out.
    informer = patient(world.source, replace(PAGED, watch_timeout_s=(4, 4)))
    progress: list[str] = []
    informer.add_progress_listener(lambda: progress.append(informer.store.seen_up_to))
    async with running(informer):
        await until(lambda: world.proxy.open_watches)
        version = world.create("a")["metadata"]["resourceVersion"]

        await until(lambda: informer.store.reached(version), within=30)
        assert world.key("a") not in informer.store

    assert len(progress) >= 2


async def test_any_number_of_handlers_share_one_watch(world: World) -> None:
    informer = patient(world.source)
    handlers = [Told() for _ in range(3)]
    informer.add_handler(handlers[0])
    async with running(informer):
        for handler in handlers[1:]:
            informer.add_handler(handler)
        world.create("a")
        await until(lambda: all(("add", "a") in handler.log for handler in handlers))
        assert world.proxy.open_watches == 1

    assert world.proxy.count() == 1


# --- the transport's own errors ------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Answer(410), Gone),
        (Answer(429, retry_after=7), TooManyRequests),
        (Answer(502, html=True), ServerError),
    ],
)
async def test_status_is_checked_before_a_byte_is_handed_out(
    world: World, fault: Fault, error: type[Exception]
) -> None:
    world.proxy.add(fault, verb="watch")

    with pytest.raises(error):
        async with world.source.watch(
            resource_version="1", timeout_seconds=5, initial_events=False
        ):
            pytest.fail("the watch was opened")
