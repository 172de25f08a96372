# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The recorder over the real transport, against a server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from llamastack_operator.events.recorder import Recorder
from tests.support.loopback import client_of

TERMINATING = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "reason": "Forbidden",
    "message": "unable to create new content in namespace ns because it is being terminated",
    "details": {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]},
    "code": 403,
}
TOO_LONG = {"kind": "Status", "reason": "Invalid", "message": "note: too long", "code": 422}


class Outcomes(Counter[str]):
    def event(self, outcome: str) -> None:
        self[outcome] += 1


class EventServer:
    """Answers with the fault of the moment, or as if it had stored the Event."""

    def __init__(self) -> None:
        self.refusal: tuple[int, dict[str, Any]] | None = None
        self.hang = False
        self.requests = 0
        self.released = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self.hang:
            await self.released.wait()
        if self.refusal is not None:
            code, status = self.refusal
            return web.json_response(status, status=code)
        return web.json_response(await request.json(), status=201)


@asynccontextmanager
async def recording(
    tmp_path: Path,
) -> AsyncIterator[tuple[EventServer, Recorder, Outcomes]]:
    server, outcomes = EventServer(), Outcomes()
    async with client_of(server, tmp_path) as client:
        recorder = Recorder(client, controller="c", instance="i", metrics=outcomes)
        task = asyncio.create_task(recorder.run(), name="recorder")
        try:
            yield server, recorder, outcomes
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def report(recorder: Recorder, name: str = "web") -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "ns", "name": name}}
    recorder.event(pod, type="Normal", reason="Up", action="Start", note="It is up")


@pytest.mark.parametrize("refusal", [(403, TERMINATING), (422, TOO_LONG)])
async def test_refusal_that_will_not_change_is_not_asked_for_again(
    refusal: tuple[int, dict[str, Any]], tmp_path: Path
) -> None:
    async with recording(tmp_path) as (server, recorder, outcomes):
        server.refusal = refusal
        report(recorder)
        assert await recorder.flush(2)

        assert outcomes == {"failed": 1}
        assert server.requests == 1


async def test_hung_server_neither_blocks_the_caller_nor_the_end_of_the_process(
    tmp_path: Path,
) -> None:
    async with recording(tmp_path) as (server, recorder, outcomes):
        server.hang = True
        begun = time.monotonic()
        for number in range(1200):
            report(recorder, f"web-{number}")
        assert time.monotonic() - begun < 5  # who waits for a server that hangs waits for ever

        assert not await recorder.flush(0.3)
        assert server.requests == 4
        assert outcomes["dropped"] >= 196
