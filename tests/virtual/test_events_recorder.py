# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The recorder on virtual time, against an API server in memory."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from controller.llamastack.objects.kinds import EVENT
from informers.errors import (
    BadRequest,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    TooManyRequests,
    TransportError,
)
from informers.ports import key_of
from llamastack_operator.events.recorder import Recorder
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.fakeapi.server import FakeApi

pytestmark = pytest.mark.looptime

LATENCY_S = 0.005


def client_of(*faults: Fault) -> FakeClient:
    """Of a cluster in which something goes wrong."""
    client = FakeClient(FakeApi(), latency_s=LATENCY_S)
    client.faults += faults
    return client


def counts(client: FakeClient) -> dict[str, int]:
    """How often each note happened, according to what is stored."""
    return {
        event["note"]: event.get("series", {}).get("count", 1) for event in client.api.all(EVENT)
    }


def verbs(client: FakeClient) -> list[str]:
    """What was asked."""
    return [call.verb for call in client.calls]


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


def recorder_of(client: FakeClient, outcomes: Outcomes | None = None, **options: Any) -> Recorder:
    return Recorder(
        client,
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
    client, outcomes = client_of(), Outcomes()
    recorder = recorder_of(client, outcomes)
    async with running(recorder):
        report(recorder)
        assert await recorder.flush(1)

    assert verbs(client) == ["create"]
    assert outcomes == {"sent": 1}
    (key,) = client.keys("create", EVENT)
    assert str(key).startswith("ns/web.")


async def test_equal_events_are_one_that_is_patched() -> None:
    client = client_of()
    recorder = recorder_of(client)
    async with running(recorder):
        for _ in range(3):
            report(recorder)
            await recorder.flush(1)

    assert verbs(client) == ["create", "merge-patch", "merge-patch"]
    assert counts(client) == {"It is up": 3}


async def test_occurrences_while_one_waits_cost_no_request() -> None:
    client = client_of()
    recorder = recorder_of(client)
    for _ in range(5):
        report(recorder)
    async with running(recorder):
        await recorder.flush(1)

    assert verbs(client) == ["create"]
    assert counts(client) == {"It is up": 5}


async def test_occurrences_while_one_is_sent_are_patched_together_afterwards() -> None:
    client = client_of()
    recorder = recorder_of(client)
    async with running(recorder):
        report(recorder)
        await asyncio.sleep(LATENCY_S / 2)
        for _ in range(4):
            report(recorder)
        assert await recorder.flush(1)

    assert verbs(client) == ["create", "merge-patch"]
    assert counts(client) == {"It is up": 5}


async def test_event_that_the_server_forgot_is_created_anew() -> None:
    client = client_of()
    recorder = recorder_of(client)
    async with running(recorder):
        report(recorder)
        report(recorder)
        await recorder.flush(1)
        for event in client.api.all(EVENT):
            client.api.delete(EVENT, key_of(event))
        report(recorder)
        await recorder.flush(1)

    assert verbs(client) == ["create", "merge-patch", "create"]
    assert counts(client) == {"It is up": 1}


async def test_post_whose_answer_was_lost_does_not_make_a_second_event() -> None:
    client, outcomes = client_of(Fault(lost=True)), Outcomes()
    recorder = recorder_of(client, outcomes)
    async with running(recorder):
        report(recorder)
        assert await recorder.flush(30)
        report(recorder)
        assert await recorder.flush(30)

    assert verbs(client) == ["create", "create", "merge-patch"]
    assert counts(client) == {"It is up": 2}
    assert outcomes == {"sent": 2}


@pytest.mark.parametrize(
    "outage",
    [TransportError("refused"), ServerError("etcd", code=500), TooManyRequests("wait", code=429)],
)
async def test_outage_is_waited_out_with_twelve_tries_at_most(outage: Exception) -> None:
    client, outcomes = client_of(Fault(error=outage, times=None)), Outcomes()
    recorder = recorder_of(client, outcomes)
    async with running(recorder):
        report(recorder)
        assert await recorder.flush(300)

    times = [call.at for call in client.calls]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(times) == 12
    assert 0 < gaps[0] < 10
    assert gaps[1:] == pytest.approx([10 + LATENCY_S] * 10, abs=0.001)
    assert outcomes == {"failed": 1}


async def test_first_retry_is_jittered() -> None:
    firsts = set()
    for seed in range(5):
        client = client_of(Fault(error=TransportError("refused")))
        recorder = Recorder(client, controller="c", instance="i", rng=random.Random(seed))
        async with running(recorder):
            report(recorder)
            await recorder.flush(60)
        firsts.add(round(client.calls[1].at - client.calls[0].at, 3))

    assert len(firsts) == 5


async def test_retry_after_is_honoured() -> None:
    client = client_of(Fault(error=TooManyRequests("wait", code=429, retry_after=42.0)))
    recorder = recorder_of(client)
    async with running(recorder):
        report(recorder)
        assert await recorder.flush(60)

    assert client.calls[1].at - client.calls[0].at >= 42.0


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
    client, outcomes = client_of(Fault(error=refusal)), Outcomes()
    recorder = recorder_of(client, outcomes)
    async with running(recorder):
        report(recorder, "refused")
        report(recorder, "accepted")
        assert await recorder.flush(1)

    assert counts(client) == {"accepted": 1}
    assert outcomes == {"failed": 1, "sent": 1}


async def test_full_queue_drops_and_counts_and_never_blocks() -> None:
    client, outcomes = client_of(), Outcomes()
    recorder = recorder_of(client, outcomes)
    for number in range(1500):
        report(recorder, name=f"web-{number}")
    assert outcomes == {"dropped": 500}

    async with running(recorder):
        assert await recorder.flush(60)
    assert outcomes == {"dropped": 500, "sent": 1000}


async def test_dropped_occurrence_is_counted_in_the_next_event() -> None:
    client, outcomes = client_of(), Outcomes()
    recorder = recorder_of(client, outcomes, capacity=1)
    report(recorder, "first")
    report(recorder, "second")
    async with running(recorder):
        await recorder.flush(1)
        report(recorder, "second")
        await recorder.flush(1)

    assert outcomes == {"dropped": 1, "sent": 2}
    assert counts(client) == {"first": 1, "second": 2}


async def test_two_thousand_events_of_a_cold_start_need_few_connections_and_little_time() -> None:
    client, outcomes = client_of(), Outcomes()
    recorder = recorder_of(client, outcomes)
    async with running(recorder):
        for number in range(2000):
            report(recorder, name=f"web-{number}")
            await asyncio.sleep(0.002)  # as fast as 500 reconciles a second
        lag = now()
        assert await recorder.flush(60)
        lag = now() - lag

    assert outcomes == {"sent": 2000}
    assert len(client.calls) == 2000
    assert client.most_in_flight <= 4
    assert lag < 0.1


async def test_spam_of_one_object_is_filtered_and_counted() -> None:
    client, outcomes = client_of(), Outcomes()
    recorder = recorder_of(client, outcomes)
    async with running(recorder):
        for _ in range(40):
            report(recorder)
            await recorder.flush(1)

    assert outcomes == {"sent": 25, "filtered": 15}
    assert len(client.calls) == 25


async def test_flush_is_bounded_while_the_server_is_away() -> None:
    client = client_of(Fault(error=TransportError("refused"), times=None))
    recorder = recorder_of(client)
    async with running(recorder):
        report(recorder)
        begun = now()

        assert not await recorder.flush(3)
        assert now() - begun == pytest.approx(3)


async def test_flush_with_nothing_to_send_returns_at_once() -> None:
    recorder = recorder_of(client_of())
    async with running(recorder):
        assert await recorder.flush(3)
        assert now() == 0


async def test_object_without_identity_is_counted_and_harms_nobody() -> None:
    client, outcomes = client_of(), Outcomes()
    recorder = recorder_of(client, outcomes)
    recorder.event({"metadata": {}}, type="Normal", reason="Up", action="Start", note="?")
    async with running(recorder):
        assert await recorder.flush(1)

    assert outcomes == {"failed": 1}
    assert client.calls == []


async def test_bug_in_a_sender_is_not_hidden() -> None:
    client = client_of(Fault(error=RuntimeError("bug")))
    recorder = recorder_of(client)
    async with running(recorder) as task:
        report(recorder)
        with pytest.raises(ExceptionGroup, match="unhandled errors"):
            await task
