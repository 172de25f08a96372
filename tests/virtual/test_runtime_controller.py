# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The result table at work, and what may not end a worker (C7, C8, D3, D8, G16)."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars
from structlog.testing import capture_logs

from controller.runtime.metrics import ReconcileResult
from controller.runtime.result import Result, TerminalError
from informers.errors import Conflict, TooManyRequests, TransportError
from informers.ports import ObjectKey
from tests.support.reconciling import (
    A,
    B,
    C,
    Counting,
    Setup,
    always,
    in_turn,
    once,
    scripted,
)
from workqueue import LOW_PRIORITY, Item

pytestmark = pytest.mark.looptime


# --- the result table (C8, G16) -------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "again_at", "counts"),
    [
        (Result.done(), None, {"success": 1}),
        (Result.after(30), 30, {"requeue_after": 1, "success": 1}),
        (Result.after(0), 0, {"requeue_after": 1, "success": 1}),
        (Result.retry(), 1, {"requeue": 1, "success": 1}),
        (TransportError("x"), 1, {"error": 1, "errors": 1, "success": 1}),
        (TerminalError("Bad", "x"), None, {"error": 1, "errors": 1, "terminal": 1}),
        (Conflict("x", code=409), 1, {"requeue": 1, "success": 1}),
        (KeyError("x"), 1, {"error": 1, "errors": 1, "panics": 1, "success": 1}),
        (
            TooManyRequests("x", code=429, retry_after=7),
            7,
            {"error": 1, "errors": 1, "success": 1},
        ),
        (
            ExceptionGroup("x", [Conflict("x", code=409), TransportError("y")]),
            1,
            {"error": 1, "errors": 1, "success": 1},
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_result_table(
    first: Result | Exception, again_at: float | None, counts: dict[str, int]
) -> None:
    setup = Setup(once(first))
    setup.queue.add(A)

    async with setup.running():
        await asyncio.sleep(500)

    expected = [(0.0, A)] if again_at is None else [(0.0, A), (again_at, A)]
    assert expected == setup.reconciler.calls
    assert counts == {k: n for k, n in setup.metrics.counts.items() if k != "max_concurrent"}
    assert len(setup.limiter) == 0  # (C7)


@pytest.mark.parametrize(
    "ends", [Result.after(1), Result.retry(), TransportError("x"), Conflict("x", code=409)]
)
async def test_key_comes_back_with_the_priority_it_had(ends: Result | Exception) -> None:
    setup = Setup(always(ends))
    setup.queue.add(A, priority=LOW_PRIORITY)
    await setup.queue.get()

    await setup.controller._reconcile(Item(A, LOW_PRIORITY))
    setup.queue.done(A)

    assert await setup.queue.get() == (A, LOW_PRIORITY)


async def test_failures_are_spaced_out_and_forgotten_on_success() -> None:
    ends: list[Result | Exception] = [TransportError("x")] * 4
    ends += [Result.done(), TransportError("x"), Result.done()]
    setup = Setup(in_turn(ends))
    setup.queue.add(A)

    async with setup.running():
        await asyncio.sleep(100)
        setup.queue.add(A)
        await asyncio.sleep(100)

    assert [moment for moment, _ in setup.reconciler.calls] == [0, 1, 3, 7, 15, 100, 101]


async def test_wish_for_later_forgets_the_failures_at_once() -> None:
    ends: list[Result | Exception] = [TransportError("x")] * 3
    ends += [Result.after(50), TransportError("x"), Result.done()]
    setup = Setup(in_turn(ends))
    setup.queue.add(A)

    async with setup.running():
        await asyncio.sleep(100)

    assert [moment for moment, _ in setup.reconciler.calls] == [0, 1, 3, 7, 57, 58]


async def test_idle_keys_keep_no_counter_whatever_happened_to_them() -> None:
    """(C7) Random scripts, each of which ends with an end that asks for nothing more."""
    for seed in range(30):
        rng = random.Random(seed)
        scripts = {
            key: [rng.choice(RESTLESS) for _ in range(rng.randrange(6))] + [rng.choice(FINAL)]
            for key in (A, B, C)
        }
        setup = Setup(scripted(scripts))
        for key in scripts:
            setup.queue.add(key)

        with capture_logs():  # dozens of tracebacks
            async with setup.running():
                await asyncio.sleep(1000)

        calls = Counter(key for _, key in setup.reconciler.calls)
        assert calls == {key: len(script) for key, script in scripts.items()}
        assert len(setup.limiter) == 0


RESTLESS: list[Result | Exception] = [
    Result.after(3),
    Result.retry(),
    TransportError("x"),
    Conflict("x", code=409),
    ValueError("x"),
]
FINAL: list[Result | Exception] = [Result.done(), TerminalError("Bad", "x")]


async def test_lost_race_is_told_as_information_and_a_failure_as_an_error() -> None:
    ends: list[Result | Exception] = [
        Conflict("changed", code=409),
        TransportError("reset"),
        Result.done(),
    ]
    setup = Setup(in_turn(ends))
    setup.queue.add(A)

    with capture_logs() as logs:
        async with setup.running():
            await asyncio.sleep(100)

    assert [(line["log_level"], line["event"]) for line in logs] == [
        ("info", "Lost a race and tried again"),
        ("error", "Failed to reconcile"),
        ("debug", "Reconciled"),
    ]
    assert [line.get("error") for line in logs] == [
        "Conflict: changed",
        "TransportError: reset",
        None,
    ]
    assert [line.get("failures") for line in logs] == [1, 2, None]


# --- what may not end a worker (D3) ---------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError("x"), asyncio.CancelledError(), ExceptionGroup("x", [ValueError("y")])]
)
async def test_exception_in_one_reconcile_does_not_stop_the_worker(error: BaseException) -> None:
    setup = Setup(once(error), workers=1)
    setup.queue.add(A)
    setup.queue.add(B)

    async with setup.running() as task:
        await asyncio.sleep(10)
        assert not task.done()

    assert setup.reconciler.calls == [(0, A), (0, B), (1, A)]
    assert setup.metrics.counts["panics"] == 1


async def test_reconcile_that_returns_no_result_is_a_panic() -> None:
    async def nothing(_: ObjectKey) -> Result:
        return None  # type: ignore[return-value]  # what untyped code may do

    setup = Setup(nothing)
    setup.queue.add(A)

    async with setup.running() as task:
        await asyncio.sleep(0.5)
        assert not task.done()

    assert setup.metrics.counts["panics"] == 1


async def test_bug_in_the_machinery_takes_all_workers_down() -> None:
    """(D8) A controller that works at half strength unnoticed would be worse."""

    class Broken(Counting):
        def reconciled(self, result: ReconcileResult, seconds: float) -> None:
            raise RuntimeError("no metrics today")

    setup = Setup(always(Result.done()))
    setup.controller._metrics = Broken()
    setup.queue.add(A)

    async with setup.running() as task:
        await asyncio.wait([task], timeout=10)

        assert isinstance(task.exception(), ExceptionGroup)
    assert not setup.queue._core.processing


# --- workers --------------------------------------------------------------------------------


async def test_as_many_keys_as_workers_are_reconciled_at_a_time() -> None:
    async def slow(_: ObjectKey) -> Result:
        await asyncio.sleep(1)
        return Result.done()

    setup = Setup(slow, workers=3)
    for number in range(10):
        setup.queue.add(ObjectKey("ns", str(number)))

    async with setup.running():
        await asyncio.sleep(0)
        names = {task.get_name() for task in asyncio.all_tasks()}
        await asyncio.sleep(100)

    assert {"test-worker-0", "test-worker-1", "test-worker-2"} <= names
    assert setup.reconciler.most == 3
    assert setup.metrics.active_most == 3
    assert setup.metrics.active_now == 0
    assert setup.metrics.counts["max_concurrent"] == 3
    assert setup.reconciler.calls[-1][0] == 3


async def test_key_added_during_its_reconcile_is_reconciled_once_more_afterwards() -> None:
    async def slow(_: ObjectKey) -> Result:
        await asyncio.sleep(5)
        return Result.done()

    setup = Setup(slow)
    setup.queue.add(A)

    async with setup.running():
        for _ in range(4):
            await asyncio.sleep(1)
            setup.queue.add(A)
        await asyncio.sleep(100)

    assert setup.reconciler.calls == [(0, A), (5, A)]


@pytest.mark.parametrize(("workers", "timeout_s"), [(0, 60), (1, 0)])
def test_senseless_controller_is_refused(workers: int, timeout_s: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        Setup(always(Result.done()), workers=workers, timeout_s=timeout_s)


async def test_controller_runs_once() -> None:
    setup = Setup(always(Result.done()))

    async with setup.running():
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="runs already"):
            await setup.controller.run()
        setup.queue.add(A)
        await asyncio.sleep(1)

    assert setup.reconciler.calls == [(0, A)]


# --- log context ----------------------------------------------------------------------------


async def test_log_lines_of_a_reconcile_say_which_one_and_nothing_leaks() -> None:
    seen: list[dict[str, object]] = []

    async def logs(key: ObjectKey) -> Result:
        seen.append(dict(get_contextvars()))
        bind_contextvars(leak=key.name)
        if key == B:
            raise ValueError
        return Result.done()

    setup = Setup(logs, workers=1)
    for key in (A, B, C):
        setup.queue.add(key)
    bind_contextvars(process="operator")
    try:
        async with setup.running():
            await asyncio.sleep(0.5)
    finally:
        clear_contextvars()

    ids = [str(context.pop("reconcile_id")) for context in seen]
    assert seen == [
        {"process": "operator", "controller": "test", "namespace": "ns", "name": name}
        for name in "abc"
    ]
    assert len(set(ids)) == 3
    assert all(len(each) == 8 for each in ids)


async def test_own_log_lines_carry_the_context() -> None:
    setup = Setup(always(TerminalError("Bad", "x")))
    setup.queue.add(A)

    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        async with setup.running():
            await asyncio.sleep(1)

    assert [(line["controller"], line["namespace"], line["name"]) for line in logs] == [
        ("test", "ns", "a")
    ]
