# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The shell around the answers, on virtual time: one request an image, deadlines, a bounded crowd.

The cluster that holds the pull secrets stands in for whatever is slow: it is asked first.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import structlog

from controller.llamastack.objects.kinds import SECRET
from controller.llamastack.planning.image_configs import Answer, Failed, Pending, Question
from informers.errors import TransportError
from informers.ports import ObjectKey
from llamastack_operator.oci.http import Http
from llamastack_operator.oci.resolver import MOST_AT_A_TIME, ImageConfigResolver
from llamastack_operator.oci.secrets import PullSecrets
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.fakeapi.server import FakeApi

pytestmark = pytest.mark.looptime

NOWHERE = "127.0.0.1:1/x:1"  # nothing listens there
A, B = ObjectKey("n", "a"), ObjectKey("n", "b")


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Bench:
    resolver: ImageConfigResolver
    client: FakeClient
    woken: list[tuple[float, ObjectKey]]
    task: asyncio.Task[None] | None = None

    def ask(self, image: str = NOWHERE, asker: ObjectKey = A, credentials: str = "") -> Answer:
        question = Question(image, "n", "sa", ("pull",))
        return self.resolver.lookup(question, asker=asker, credentials=credentials)


@contextlib.asynccontextmanager
async def bench(*faults: Fault, timeout_s: float = 30.0) -> AsyncIterator[Bench]:
    """There is no pull secret, which takes a second to find out, if it can be found out."""
    client = FakeClient(FakeApi(), latency_s=1.0)
    client.faults += faults
    woken: list[tuple[float, ObjectKey]] = []
    resolver = ImageConfigResolver(
        Http(tls=ssl.create_default_context(), user_agent="test"),
        PullSecrets(client),
        wake=lambda key: woken.append((now(), key)),
        clock=now,
        timeout_s=timeout_s,
        dice=lambda: 0.0,
    )
    task = asyncio.create_task(resolver.run(), name="image-configs")
    try:
        yield Bench(resolver, client, woken, task)
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), "it ends by cancellation and nothing else"


def silence() -> Fault:
    """Reads of Secrets are never answered."""
    return Fault("get", SECRET, until=asyncio.Event(), times=None)


async def test_one_request_serves_all_who_ask_and_wakes_them() -> None:
    async with bench() as it:
        assert it.ask() == Pending()
        assert it.ask(asker=B) == Pending()
        await asyncio.sleep(2)

        assert len(it.client.calls) == 1
        assert {key for _, key in it.woken} == {A, B}
        answer = it.ask()
    assert isinstance(answer, Failed)
    assert answer.message == "cannot reach 127.0.0.1:1: connection refused"
    assert answer.transient


async def test_lookup_never_waits_and_needs_no_running_task(looptime: float) -> None:
    async with bench(silence()) as it:
        for number in range(200):
            assert it.ask(f"{NOWHERE}{number}") == Pending()
    assert looptime == 0


async def test_silence_ends_at_the_deadline_and_says_so() -> None:
    async with bench(silence(), timeout_s=12.0) as it:
        it.ask()
        await asyncio.sleep(11.9)
        assert it.ask() == Pending()
        await asyncio.sleep(0.2)

        assert it.woken == [(12.0, A)]
        answer = it.ask()
    assert isinstance(answer, Failed)
    assert answer.message == f"reading the labels of image {NOWHERE} took too long"
    assert (answer.reason, answer.transient) == ("ImageConfigUnavailable", True)


async def test_failure_rests_before_the_next_request_and_rests_longer_each_time() -> None:
    async with bench() as it:
        for _ in range(400):
            it.ask()
            await asyncio.sleep(1)

        asked = [call.at for call in it.client.calls]
    rests = [round(later - sooner - 1) for sooner, later in itertools.pairwise(asked)]
    assert rests == sorted(rests)
    assert rests[:3] == pytest.approx([5, 10, 20], abs=1)
    assert len(asked) < 9


async def test_new_pull_secret_is_tried_at_once() -> None:
    async with bench() as it:
        it.ask(credentials="1")
        await asyncio.sleep(2)
        assert isinstance(it.ask(credentials="1"), Failed)

        assert it.ask(credentials="2") == Pending()
        await asyncio.sleep(2)

        assert len(it.client.calls) == 2


async def test_crowd_is_bounded_and_everybody_gets_a_turn() -> None:
    async with bench() as it:
        for number in range(3 * MOST_AT_A_TIME):
            it.ask(f"127.0.0.1:1/x:{number}", ObjectKey("n", str(number)))
        await asyncio.sleep(4)

        assert it.client.most_in_flight == MOST_AT_A_TIME
        assert len(it.woken) == 3 * MOST_AT_A_TIME


async def test_cluster_that_does_not_answer_is_no_fault_of_the_image() -> None:
    async with bench(Fault("get", error=TransportError("no answer"), times=None)) as it:
        it.ask()
        await asyncio.sleep(2)
        answer = it.ask()
    assert isinstance(answer, Failed)
    assert answer.message == "could not read Secret pull"
    assert answer.transient


async def test_surprise_is_a_failure_of_that_image_and_the_rest_goes_on() -> None:
    surprise = Fault("get", error=ZeroDivisionError("hunter2"))
    with structlog.testing.capture_logs() as said:
        async with bench(surprise) as it:
            it.ask()
            await asyncio.sleep(2)
            answer = it.ask()
            assert it.task is not None
            assert not it.task.done()
    assert isinstance(answer, Failed)
    assert "is not understood" in answer.message
    assert "hunter2" not in str(said)


async def test_nonsense_is_refused_without_asking_anybody() -> None:
    async with bench(silence()) as it:
        it.ask("https://quay.io/x")
        await asyncio.sleep(0.1)
        answer = it.ask("https://quay.io/x")
        assert it.client.calls == []
    assert isinstance(answer, Failed)
    assert (answer.reason, answer.transient) == ("ConfigGenerationFailed", False)
