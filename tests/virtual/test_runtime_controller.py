# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Workers on virtual time: results, time-outs, stopping (C4, C7, C8, D3, D4, D8)."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import pytest
import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars
from structlog.testing import capture_logs

from controller.runtime.consistency import ConsistencyTracker
from controller.runtime.controller import GUARD_RETRY_S, Controller
from controller.runtime.metrics import NoMetrics, ReconcileResult
from controller.runtime.result import Result, TerminalError
from informers.errors import Conflict, TooManyRequests, TransportError
from informers.ports import ObjectKey, Resource
from workqueue import LOW_PRIORITY, Item, PerKeyExponential, RateLimitingQueue

pytestmark = pytest.mark.looptime

Body = Callable[[ObjectKey], Awaitable[Result]]

A, B, C = (ObjectKey("ns", name) for name in "abc")
PARTS = Resource("", "v1", "Part", "parts")


class Counting(NoMetrics):
    """What the controller told its observer."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.active_now = self.active_most = 0

    def max_concurrent(self, workers: int) -> None:
        self.counts["max_concurrent"] = workers

    def active(self, workers: int) -> None:
        self.active_now = workers
        self.active_most = max(self.active_most, workers)

    def reconciled(self, result: ReconcileResult, seconds: float) -> None:
        assert seconds >= 0
        self.counts[result] += 1

    def errored(self) -> None:
        self.counts["errors"] += 1

    def terminal(self) -> None:
        self.counts["terminal"] += 1

    def panicked(self) -> None:
        self.counts["panics"] += 1

    def timed_out(self) -> None:
        self.counts["timeouts"] += 1

    def postponed(self) -> None:
        self.counts["postponed"] += 1


class Scripted:
    """Reconciles as told; remembers when it was asked about what."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.calls: list[tuple[float, ObjectKey]] = []
        self.running: set[ObjectKey] = set()
        self.most = 0

    async def reconcile(self, key: ObjectKey) -> Result:
        assert key not in self.running, "two workers on one key"
        self.running.add(key)
        self.most = max(self.most, len(self.running))
        self.calls.append((round(now(), 6), key))
        try:
            return await self.body(key)
        finally:
            self.running.discard(key)


def now() -> float:
    return asyncio.get_running_loop().time()


async def forever() -> Result:
    await asyncio.Event().wait()
    raise AssertionError


def always(result: Result | BaseException) -> Body:
    async def body(_: ObjectKey) -> Result:
        if isinstance(result, BaseException):
            raise result
        return result

    return body


def once(first: Result | BaseException) -> Body:
    """The given end, and success from then on."""
    asked = False

    async def body(key: ObjectKey) -> Result:
        nonlocal asked
        if asked:
            return Result.done()
        asked = True
        return await always(first)(key)

    return body


def in_turn(ends: Sequence[Result | BaseException]) -> Body:
    """One end after the other."""
    rest = iter(ends)

    async def body(key: ObjectKey) -> Result:
        return await always(next(rest))(key)

    return body


def scripted(scripts: Mapping[ObjectKey, Sequence[Result | BaseException]]) -> Body:
    """One end after the other, each key for itself."""
    bodies = {key: in_turn(ends) for key, ends in scripts.items()}

    async def body(key: ObjectKey) -> Result:
        return await bodies[key](key)

    return body


class Setup:
    """One controller with everything around it in reach."""

    def __init__(self, body: Body, *, workers: int = 2, timeout_s: float = 60.0) -> None:
        self.limiter = PerKeyExponential[ObjectKey](base_s=1.0)
        self.queue = RateLimitingQueue(name="test", rate_limiter=self.limiter)
        self.metrics = Counting()
        self.reconciler = Scripted(body)
        self.tracker = ConsistencyTracker(clock=now, give_up_s=5.0)
        self.allowed = True
        self.controller = Controller(
            name="test",
            reconciler=self.reconciler,
            queue=self.queue,
            workers=workers,
            timeout_s=timeout_s,
            metrics=self.metrics,
            guard=lambda: self.allowed,
            consistency=self.tracker,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.controller.run(), name="controller")
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])


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
    assert len(setup.limiter) == 0  # C7


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
    """C7 on random scripts, each of which ends with an end that asks for nothing more."""
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
    """D8: a controller that works at half strength unnoticed would be worse."""

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


# --- time-outs (D4) -------------------------------------------------------------------------


async def test_reconcile_that_takes_too_long_is_interrupted_and_retried() -> None:
    asked: list[ObjectKey] = []

    async def stuck_once(key: ObjectKey) -> Result:
        asked.append(key)
        return await forever() if len(asked) == 1 else Result.done()

    setup = Setup(stuck_once, timeout_s=60)
    setup.queue.add(A)

    async with setup.running():
        await asyncio.sleep(100)

    assert setup.reconciler.calls == [(0, A), (61, A)]
    assert setup.metrics.counts["timeouts"] == 1
    assert setup.metrics.counts["errors"] == 1
    assert setup.metrics.counts["panics"] == 0


async def test_failing_clean_up_after_the_time_out_is_still_a_time_out() -> None:
    async def cleans_up_badly(_: ObjectKey) -> Result:
        try:
            return await forever()
        finally:
            raise ValueError("in finally")

    setup = Setup(cleans_up_badly, timeout_s=60)
    setup.queue.add(A)

    async with setup.running():
        await asyncio.sleep(60.5)

    assert (setup.metrics.counts["timeouts"], setup.metrics.counts["panics"]) == (1, 0)


async def test_time_out_of_its_own_is_an_ordinary_error() -> None:
    setup = Setup(once(TimeoutError("inner")))
    setup.queue.add(A)

    async with setup.running():
        await asyncio.sleep(100)

    assert setup.metrics.counts["timeouts"] == setup.metrics.counts["panics"] == 0
    assert setup.metrics.counts["errors"] == 1


async def test_cancellation_from_outside_is_no_time_out_and_no_failure() -> None:
    setup = Setup(lambda key: forever())
    setup.queue.add(A)

    async with setup.running() as task:
        await asyncio.sleep(59.999)
        task.cancel()
        await asyncio.wait([task])

    assert task.cancelled()
    assert setup.metrics.counts == {"max_concurrent": 2}
    assert setup.metrics.active_now == 0


# --- may anybody reconcile? -----------------------------------------------------------------


async def test_nothing_is_reconciled_while_the_guard_says_no_and_nothing_is_lost() -> None:
    setup = Setup(always(Result.done()))
    setup.allowed = False
    for key in (A, B):
        setup.queue.add(key, priority=LOW_PRIORITY)

    async with setup.running():
        await asyncio.sleep(10)
        assert setup.reconciler.calls == []
        setup.allowed = True
        await asyncio.sleep(GUARD_RETRY_S)

    assert {key for _, key in setup.reconciler.calls} == {A, B}
    assert not setup.metrics.counts["errors"]


# --- own writes (B13) -----------------------------------------------------------------------


async def test_pass_is_put_off_until_the_echo_and_not_a_moment_longer() -> None:
    setup = Setup(always(Result.done()))
    setup.tracker.wrote(A, PARTS, B, "7", reached=False)
    setup.queue.add(A)

    async with setup.running():
        await asyncio.sleep(2)
        assert setup.reconciler.calls == []
        for owner in setup.tracker.observed(PARTS, B, "7").wake:
            setup.queue.add(owner, priority=LOW_PRIORITY)
        await asyncio.sleep(10)

    assert setup.reconciler.calls == [(2, A)]
    assert setup.metrics.counts["postponed"] == 1


async def test_pass_is_not_put_off_for_ever() -> None:
    setup = Setup(always(Result.done()))
    setup.tracker.wrote(A, PARTS, B, "7", reached=False)
    setup.queue.add(A)

    async with setup.running():
        for _ in range(20):
            await asyncio.sleep(0.5)
            setup.queue.add(A)  # others call, it makes no difference

    first = min(moment for moment, _ in setup.reconciler.calls)
    assert first == pytest.approx(5)


async def test_put_off_key_keeps_its_priority_when_it_is_woken() -> None:
    setup = Setup(always(Result.done()))
    setup.tracker.wrote(A, PARTS, B, "7", reached=False)
    setup.queue.add(A, priority=3)
    item = await setup.queue.get()

    assert setup.controller._is_put_off(item)
    setup.queue.done(A)
    setup.queue.add(A, priority=LOW_PRIORITY)

    assert await setup.queue.get() == (A, 3)


async def test_event_left_to_the_end_of_a_pass_causes_another() -> None:
    async def meets_an_event(key: ObjectKey) -> Result:
        if len(setup.reconciler.calls) == 1:
            assert setup.tracker.defer(key, PARTS, B, "7", priority=0)
        await asyncio.sleep(1)
        return Result.done()

    setup = Setup(meets_an_event)
    setup.queue.add(A)

    async with setup.running():
        await asyncio.sleep(10)

    assert setup.reconciler.calls == [(0, A), (1, A)]
    assert not setup.tracker.in_pass(A)


async def test_event_left_to_the_end_of_a_failing_pass_is_not_lost() -> None:
    async def fails(key: ObjectKey) -> Result:
        if len(setup.reconciler.calls) == 1:
            setup.tracker.defer(key, PARTS, B, "7", priority=0)
            raise TerminalError("Bad", "for good")
        return Result.done()

    setup = Setup(fails)
    setup.queue.add(A)

    async with setup.running():
        await asyncio.sleep(10)

    assert setup.reconciler.calls == [(0, A), (0, A)]


# --- stopping -------------------------------------------------------------------------------


async def test_stop_lets_running_and_ready_ones_finish() -> None:
    async def slow(_: ObjectKey) -> Result:
        await asyncio.sleep(3)
        return Result.after(1)

    setup = Setup(slow, workers=1)
    for key in (A, B):
        setup.queue.add(key)
    setup.queue.add_after(C, 5)

    async with setup.running() as task:
        await asyncio.sleep(1)
        await setup.controller.stop(deadline_s=30)

        assert now() == pytest.approx(6)
        assert task.done()
        assert task.exception() is None
    assert setup.reconciler.calls == [(0, A), (3, B)]


async def test_stop_cancels_what_is_left_at_the_deadline_and_names_it() -> None:
    setup = Setup(lambda key: forever(), timeout_s=600)
    for key in (A, B, C):
        setup.queue.add(key)

    async with setup.running() as task:
        await asyncio.sleep(1)
        with capture_logs() as logs:
            await setup.controller.stop(deadline_s=30)

        assert now() == pytest.approx(31)
        assert task.done()
    assert [line["objects"] for line in logs] == [["ns/a", "ns/b"]]
    assert {key for _, key in setup.reconciler.calls} == {A, B}
    assert not setup.queue._core.processing


async def test_stop_does_not_wait_for_a_reconcile_that_resists() -> None:
    release = asyncio.Event()

    async def resists(_: ObjectKey) -> Result:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()
        return Result.done()

    setup = Setup(resists, timeout_s=600, workers=1)
    setup.queue.add(A)
    setup.queue.add(B)

    async with setup.running() as task:
        await asyncio.sleep(1)
        with capture_logs() as logs:
            await setup.controller.stop(deadline_s=30)
        assert now() == pytest.approx(32)
        assert logs[-1]["event"] == "A reconcile resisted its cancellation"
        assert not task.done()
        release.set()
        await asyncio.wait([task])
        assert setup.reconciler.calls == [(0, A)]


async def test_cancelled_controller_leaves_a_closed_queue_without_timers() -> None:
    setup = Setup(always(Result.after(30)))
    setup.queue.add(A)

    async with setup.running() as task:
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        setup.queue.add(B)

    assert len(setup.queue) == 0
    assert setup.queue._timer is None


async def test_stop_of_an_idle_controller_takes_no_time() -> None:
    setup = Setup(always(Result.done()))

    async with setup.running() as task:
        await asyncio.sleep(1)
        await setup.controller.stop(deadline_s=30)

        assert task.done()
        assert now() == pytest.approx(1)


async def test_stop_before_the_start_keeps_it_from_starting() -> None:
    setup = Setup(always(Result.done()))
    setup.queue.add(A)

    await setup.controller.stop(deadline_s=30)
    await setup.controller.run()

    assert setup.reconciler.calls == []


@pytest.mark.parametrize("steps", range(14))
async def test_cancelled_at_any_await_no_key_stays_locked_and_no_worker_alive(steps: int) -> None:
    """C4, with awaits before, in and after the reconcile."""

    async def several_awaits(key: ObjectKey) -> Result:
        for _ in range(3):
            await asyncio.sleep(0)
        setup.tracker.defer(key, PARTS, B, "7", priority=0)
        await asyncio.sleep(0)
        return Result.retry()

    setup = Setup(several_awaits)
    task = asyncio.create_task(setup.controller.run(), name="controller")
    for key in (A, B, C):
        setup.queue.add(key)
    for _ in range(steps):
        await asyncio.sleep(0)

    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert not setup.queue._core.processing
    assert not setup.reconciler.running
    assert not any(setup.tracker.in_pass(key) for key in (A, B, C))
    assert setup.metrics.active_now == 0
    assert [t.get_name() for t in asyncio.all_tasks() if "worker" in t.get_name()] == []


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
