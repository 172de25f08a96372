# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The recorder on virtual time, against an API server in memory."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from informers.errors import (
    AlreadyExists,
    BadRequest,
    DeadlineExceeded,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    TooManyRequests,
    TransportError,
)
from llamastack_operator.events.recorder import Recorder

pytestmark = pytest.mark.looptime

LATENCY_S = 0.005


class Api:
    """Stores Events; can fail in every way before or after it did."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[float, str]] = []
        self.in_flight = self.most_in_flight = 0
        self.failures: list[Exception] = []
        self.outage: Exception | None = None
        self.lose_answers = 0

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "",
        timeout_s: float = 0,
    ) -> Any:
        self.requests.append((asyncio.get_running_loop().time(), method))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(LATENCY_S)
            if self.outage is not None:
                raise self.outage
            if self.failures:
                raise self.failures.pop(0)
            answer = self._carry_out(method, path, body)
            if self.lose_answers:
                self.lose_answers -= 1
                raise DeadlineExceeded("no answer")
        finally:
            self.in_flight -= 1
        return answer

    def _carry_out(self, method: str, path: str, body: Any) -> Any:
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.events:
                raise AlreadyExists("it is there", code=409)
            self.events[path] = dict(body)
        else:
            assert method == "PATCH"
            if path not in self.events:
                raise NotFound("it is gone", code=404)
            self.events[path] |= body
        return self.events[path]

    def counts(self) -> dict[str, int]:
        """How often each note happened, according to what is stored."""
        return {
            event["note"]: event.get("series", {}).get("count", 1) for event in self.events.values()
        }

    def methods(self) -> list[str]:
        return [method for _, method in self.requests]


class Outcomes(Counter[str]):
    def event(self, outcome: str) -> None:
        self[outcome] += 1


@asynccontextmanager
async def running(recorder: Recorder) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(recorder.run(), name="recorder")
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def recorder_of(api: Api, outcomes: Outcomes | None = None, **options: Any) -> Recorder:
    return Recorder(
        api,
        controller="llamastack-operator",
        instance="pod-0",
        metrics=outcomes,
        rng=random.Random(7),
        **options,
    )


def pod(name: str = "web") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "ns", "name": name, "uid": f"u-{name}"},
    }


def report(recorder: Recorder, note: str = "It is up", name: str = "web") -> None:
    recorder.event(pod(name), type="Normal", reason="Up", action="Start", note=note)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_new_event_is_one_request() -> None:
    api, outcomes = Api(), Outcomes()
    recorder = recorder_of(api, outcomes)
    async with running(recorder):
        report(recorder)
        assert await recorder.flush(1)

    assert api.methods() == ["POST"]
    assert outcomes == {"sent": 1}
    (path,) = api.events
    assert path.startswith("/apis/events.k8s.io/v1/namespaces/ns/events/web.")


async def test_equal_events_are_one_that_is_patched() -> None:
    api = Api()
    recorder = recorder_of(api)
    async with running(recorder):
        for _ in range(3):
            report(recorder)
            await recorder.flush(1)

    assert api.methods() == ["POST", "PATCH", "PATCH"]
    assert api.counts() == {"It is up": 3}


async def test_occurrences_while_one_waits_cost_no_request() -> None:
    api = Api()
    recorder = recorder_of(api)
    for _ in range(5):
        report(recorder)
    async with running(recorder):
        await recorder.flush(1)

    assert api.methods() == ["POST"]
    assert api.counts() == {"It is up": 5}


async def test_occurrences_while_one_is_sent_are_patched_together_afterwards() -> None:
    api = Api()
    recorder = recorder_of(api)
    async with running(recorder):
        report(recorder)
        await asyncio.sleep(LATENCY_S / 2)
        for _ in range(4):
            report(recorder)
        assert await recorder.flush(1)

    assert api.methods() == ["POST", "PATCH"]
    assert api.counts() == {"It is up": 5}


async def test_event_that_the_server_forgot_is_created_anew() -> None:
    api = Api()
    recorder = recorder_of(api)
    async with running(recorder):
        report(recorder)
        report(recorder)
        await recorder.flush(1)
        api.events.clear()
        report(recorder)
        await recorder.flush(1)

    assert api.methods() == ["POST", "PATCH", "POST"]
    assert api.counts() == {"It is up": 1}


async def test_post_whose_answer_was_lost_does_not_make_a_second_event() -> None:
    api, outcomes = Api(), Outcomes()
    api.lose_answers = 1
    recorder = recorder_of(api, outcomes)
    async with running(recorder):
        report(recorder)
        assert await recorder.flush(30)
        report(recorder)
        assert await recorder.flush(30)

    assert api.methods() == ["POST", "POST", "PATCH"]
    assert api.counts() == {"It is up": 2}
    assert outcomes == {"sent": 2}


@pytest.mark.parametrize(
    "outage",
    [TransportError("refused"), ServerError("etcd", code=500), TooManyRequests("wait", code=429)],
)
async def test_outage_is_waited_out_with_twelve_tries_at_most(outage: Exception) -> None:
    api, outcomes = Api(), Outcomes()
    api.outage = outage
    recorder = recorder_of(api, outcomes)
    async with running(recorder):
        report(recorder)
        assert await recorder.flush(300)

    times = [at for at, _ in api.requests]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(times) == 12
    assert 0 < gaps[0] < 10
    assert gaps[1:] == pytest.approx([10 + LATENCY_S] * 10, abs=0.001)
    assert outcomes == {"failed": 1}


async def test_first_retry_is_jittered() -> None:
    firsts = set()
    for seed in range(5):
        api = Api()
        api.failures = [TransportError("refused")]
        recorder = Recorder(api, controller="c", instance="i", rng=random.Random(seed))
        async with running(recorder):
            report(recorder)
            await recorder.flush(60)
        firsts.add(round(api.requests[1][0] - api.requests[0][0], 3))

    assert len(firsts) == 5


async def test_retry_after_is_honoured() -> None:
    api = Api()
    api.failures = [TooManyRequests("wait", code=429, retry_after=42.0)]
    recorder = recorder_of(api)
    async with running(recorder):
        report(recorder)
        assert await recorder.flush(60)

    assert api.requests[1][0] - api.requests[0][0] >= 42.0


@pytest.mark.parametrize(
    "refusal",
    [
        BadRequest("malformed", code=400),
        Invalid("malformed", code=422),
        Forbidden("namespace is terminating", code=403),
        NotFound("no such namespace", code=404),
    ],
)
async def test_refused_event_is_given_up_at_once(refusal: Exception) -> None:
    api, outcomes = Api(), Outcomes()
    api.failures = [refusal]
    recorder = recorder_of(api, outcomes)
    async with running(recorder):
        report(recorder, "refused")
        report(recorder, "accepted")
        assert await recorder.flush(1)

    assert api.counts() == {"accepted": 1}
    assert outcomes == {"failed": 1, "sent": 1}


async def test_full_queue_drops_and_counts_and_never_blocks() -> None:
    api, outcomes = Api(), Outcomes()
    recorder = recorder_of(api, outcomes)
    for number in range(1500):
        report(recorder, name=f"web-{number}")
    assert outcomes == {"dropped": 500}

    async with running(recorder):
        assert await recorder.flush(60)
    assert outcomes == {"dropped": 500, "sent": 1000}


async def test_dropped_occurrence_is_counted_in_the_next_event() -> None:
    api, outcomes = Api(), Outcomes()
    recorder = recorder_of(api, outcomes, capacity=1)
    report(recorder, "first")
    report(recorder, "second")
    async with running(recorder):
        await recorder.flush(1)
        report(recorder, "second")
        await recorder.flush(1)

    assert outcomes == {"dropped": 1, "sent": 2}
    assert api.counts() == {"first": 1, "second": 2}


async def test_two_thousand_events_of_a_cold_start_need_few_connections_and_little_time() -> None:
    api, outcomes = Api(), Outcomes()
    recorder = recorder_of(api, outcomes)
    async with running(recorder):
        for number in range(2000):
            report(recorder, name=f"web-{number}")
            await asyncio.sleep(0.002)  # as fast as 500 reconciles a second
        lag = now()
        assert await recorder.flush(60)
        lag = now() - lag

    assert outcomes == {"sent": 2000}
    assert len(api.requests) == 2000
    assert api.most_in_flight <= 4
    assert lag < 0.1


async def test_spam_of_one_object_is_filtered_and_counted() -> None:
    api, outcomes = Api(), Outcomes()
    recorder = recorder_of(api, outcomes)
    async with running(recorder):
        for _ in range(40):
            report(recorder)
            await recorder.flush(1)

    assert outcomes == {"sent": 25, "filtered": 15}
    assert len(api.requests) == 25


async def test_flush_is_bounded_while_the_server_is_away() -> None:
    api = Api()
    api.outage = TransportError("refused")
    recorder = recorder_of(api)
    async with running(recorder):
        report(recorder)
        begun = now()

        assert not await recorder.flush(3)
        assert now() - begun == pytest.approx(3)


async def test_flush_with_nothing_to_send_returns_at_once() -> None:
    recorder = recorder_of(Api())
    async with running(recorder):
        assert await recorder.flush(3)
        assert now() == 0


async def test_object_without_identity_is_counted_and_harms_nobody() -> None:
    api, outcomes = Api(), Outcomes()
    recorder = recorder_of(api, outcomes)
    recorder.event({"metadata": {}}, type="Normal", reason="Up", action="Start", note="?")
    async with running(recorder):
        assert await recorder.flush(1)

    assert outcomes == {"failed": 1}
    assert api.requests == []


async def test_bug_in_a_sender_is_not_hidden() -> None:
    api = Api()
    api.failures = [RuntimeError("bug")]
    recorder = recorder_of(api)
    async with running(recorder) as task:
        report(recorder)
        with pytest.raises(ExceptionGroup, match="unhandled errors"):
            await task
