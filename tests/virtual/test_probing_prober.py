# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The shell around the schedule, on virtual time: a bounded crowd, and nobody waits for anybody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import structlog

from controller.llamastack.server.probe_port import Server, ServerReport
from informers.ports import ObjectKey
from llamastack_operator.probing.probe_client import NotAllowed
from llamastack_operator.probing.prober import MOST_AT_A_TIME, Prober
from llamastack_operator.probing.schedule import AWAITED_TRIES, MOST_TRIES
from tests.support.llama_servers import server

pytestmark = pytest.mark.looptime

TIMEOUT_S = 5.0
WELL = ServerReport("0.7.3", ())

Behaviour = Callable[[Server], Awaitable[ServerReport]]


def now() -> float:
    return asyncio.get_running_loop().time()


async def well(_: Server) -> ServerReport:
    await asyncio.sleep(0.1)
    return WELL


async def never(_: Server) -> ServerReport:
    await asyncio.sleep(TIMEOUT_S)
    return ServerReport(problem="no answer")


@dataclass
class Crowd:
    """Servers that behave as told, by the first letter of their names."""

    behaviours: dict[str, Behaviour]
    asked: list[tuple[float, str]] = field(default_factory=list)
    at_once: int = 0
    most: int = 0
    closed: bool = False

    async def __aenter__(self) -> Crowd:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.closed = True

    async def ask(self, server: Server) -> ServerReport:
        name = server.key.name
        self.asked.append((round(now(), 6), name))
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            return await self.behaviours[name[0]](server)
        finally:
            self.at_once -= 1


@dataclass
class Bench:
    prober: Prober
    crowd: Crowd
    woken: list[tuple[float, str]]

    def look(self, name: str) -> ServerReport | None:
        return self.prober.look(server(name), ready=True, known=False)


@contextlib.asynccontextmanager
async def bench(**behaviours: Behaviour) -> AsyncIterator[Bench]:
    crowd = Crowd(behaviours)
    woken: list[tuple[float, str]] = []

    def wake(key: ObjectKey) -> None:
        woken.append((round(now(), 6), key.name))

    prober = Prober(crowd, wake=wake, clock=now, dice=lambda: 0.0)
    task = asyncio.create_task(prober.run(), name="prober")
    try:
        yield Bench(prober, crowd, woken)
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), "it ends by cancellation and nothing else"
        assert crowd.closed


async def test_reconcile_never_waits_and_is_woken_by_the_answer() -> None:
    async with bench(a=well) as it:
        assert it.look("a") is None
        assert now() == 0.0

        await asyncio.sleep(1.0)

        assert it.woken == [(0.1, "a")]
        assert it.look("a") == WELL


async def test_known_server_is_never_asked_again() -> None:
    async with bench(a=well) as it:
        it.look("a")
        for _ in range(10):
            await asyncio.sleep(36_000.0)
            it.look("a")

        assert len(it.crowd.asked) == 1


async def test_never_more_than_so_many_are_asked_at_a_time() -> None:
    async with bench(n=never) as it:
        for number in range(3 * MOST_AT_A_TIME):
            it.look(f"n{number}")
        await asyncio.sleep(100.0)

        assert it.crowd.most == MOST_AT_A_TIME


async def test_silent_servers_are_left_alone_in_the_end() -> None:
    async with bench(n=never) as it:
        for number in range(100):
            it.look(f"n{number}")

        await asyncio.sleep(600.0)
        asked = len(it.crowd.asked)
        await asyncio.sleep(86_400.0)

        assert asked == 100 * MOST_TRIES
        assert len(it.crowd.asked) == asked, "idle is silent"
        assert sorted(name for _, name in it.woken) == sorted(f"n{n}" for n in range(100))


async def test_who_fails_twice_is_not_waited_for() -> None:
    async def fails(_: Server) -> ServerReport:
        return ServerReport(problem="connection refused")

    with structlog.testing.capture_logs() as logs:
        async with bench(f=fails) as it:
            it.look("f")
            assert it.prober.awaited_s(server("f").uid) > 0
            await asyncio.sleep(1.0)

            asked = [at for at, _ in it.crowd.asked]
            assert len(asked) == AWAITED_TRIES
            assert it.woken == [(round(asked[-1], 6), "f")]
            assert it.prober.awaited_s(server("f").uid) == 0.0
            assert it.look("f") is None
    assert logs == [], "that is no news yet"


async def test_new_server_does_not_wait_for_those_that_are_asked_again() -> None:
    async with bench(n=never, a=well) as it:
        for number in range(200):
            it.look(f"n{number}")
        await asyncio.sleep(80.0)  # everybody had a first turn
        assert it.crowd.at_once == MOST_AT_A_TIME // 2, "repeats have half of the places"
        began = round(now(), 6)

        it.look("a")
        await asyncio.sleep(1.0)

        assert (began, "a") in it.crowd.asked
        assert it.woken[-1] == (round(began + 0.1, 6), "a")


async def test_refusal_is_one_line_in_the_log_a_namespace() -> None:
    async def refuse(_: Server) -> ServerReport:
        raise NotAllowed("403")

    with structlog.testing.capture_logs() as logs:
        async with bench(r=refuse) as it:
            for number in range(20):
                it.look(f"r{number}")
            await asyncio.sleep(3600.0)

            assert len(it.crowd.asked) == 20
            assert sorted(it.woken) == sorted((0.0, f"r{n}") for n in range(20)), "nobody waits"
            assert it.look("r1") is None
    assert [(r["log_level"], r["namespace"]) for r in logs] == [("warning", "n")]


async def test_bug_in_an_answer_ends_nothing_and_quotes_nothing() -> None:
    async def wrong(_: Server) -> ServerReport:
        raise KeyError("hunter2")

    with structlog.testing.capture_logs() as logs:
        async with bench(w=wrong, a=well) as it:
            it.look("w")
            await asyncio.sleep(100.0)
            it.look("a")
            await asyncio.sleep(1.0)

            assert it.look("w") == ServerReport(problem="could not be understood")
            assert it.look("a") == WELL
    assert "hunter2" not in repr(logs)


async def test_switched_off_asks_nobody() -> None:
    async with bench(a=well) as it:
        it.prober.switch_off()
        it.look("a")
        await asyncio.sleep(100.0)

        assert it.crowd.asked == []


async def test_forgotten_resource_wakes_nobody() -> None:
    async with bench(a=well) as it:
        it.look("a")
        await asyncio.sleep(0.05)
        it.prober.forget("uid-a")
        await asyncio.sleep(10.0)

        assert it.woken == []
