# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Electors over the real transport, against a server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from llamastack_operator.election.core import Timings
from llamastack_operator.election.elector import Elector, LeadershipLost
from llamastack_operator.election.lease import KubeLeaseStore
from llamastack_operator.kube.rest import Client
from tests.support.loopback import client_of

TIMINGS = Timings(lease_s=0.6, renew_deadline_s=0.4, retry_s=0.05)


class LeaseServer:
    """Serves one Lease, or the fault of the moment."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.fault = ""
        self.writes = 0
        self.released = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        match self.fault:
            case "hang":
                await self.released.wait()
                return web.Response(status=503)
            case "hang in the body":
                response = web.StreamResponse(headers={"Content-Length": "1000"})
                await response.prepare(request)
                await response.write(b'{"kind": "Lease",')
                await self.released.wait()
                return response
            case "reset":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "html":
                return web.Response(status=502, text="<html>Bad gateway", content_type="text/html")
            case "not a lease":
                return web.json_response(["surprise"])
            case "overload":
                return web.json_response({"kind": "Status"}, status=429)
            case _:
                return await self._serve(request)

    async def _serve(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            if self.lease is None:
                return web.json_response({"kind": "Status", "reason": "NotFound"}, status=404)
            return web.json_response(self.lease)
        body = await request.json()
        expected = body["metadata"].get("resourceVersion", "0")
        if expected != str(self.version):
            return web.json_response({"kind": "Status", "reason": "Conflict"}, status=409)
        self.writes += 1
        self.version += 1
        self.lease = body
        body["metadata"]["resourceVersion"] = str(self.version)
        return web.json_response(body)


@asynccontextmanager
async def serving(tmp_path: Path) -> AsyncIterator[tuple[LeaseServer, Client]]:
    server = LeaseServer()
    async with client_of(server, tmp_path) as client:
        yield server, client


@asynccontextmanager
async def running(elector: Elector) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(elector.run(), name="elector")
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def elector_of(client: Client) -> Elector:
    return Elector(KubeLeaseStore(client, "ns", "lease"), identity="me", timings=TIMINGS)


FAULTS = ["hang", "hang in the body", "reset", "html", "not a lease", "overload"]


@pytest.mark.parametrize("fault", ["hang", "hang in the body", "html"])
async def test_leader_gives_up_at_the_renew_deadline(fault: str, tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, client):
        elector = elector_of(client)
        async with running(elector) as task:
            await elector.wait_elected()
            server.fault = fault
            begun = time.monotonic()
            with pytest.raises(LeadershipLost, match="no renewal succeeded"):
                await task

            # The last renewal was at most a period before. The upper bound is for shared machines;
            # what it excludes is the transport's own deadline.
            assert 0.3 <= time.monotonic() - begun < 2
            assert not elector.may_write()


@pytest.mark.parametrize("fault", FAULTS)
async def test_standby_lives_through_it_and_leads_afterwards(fault: str, tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, client):
        elector = elector_of(client)
        server.fault = fault
        async with running(elector) as task:
            await asyncio.wait({task}, timeout=0.25)
            assert not task.done()
            assert not elector.is_leader

            server.fault = ""
            await asyncio.wait_for(elector.wait_elected(), 2)


async def test_release_of_a_hung_server_is_bounded(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, client):
        elector = elector_of(client)
        async with running(elector):
            await elector.wait_elected()
            server.fault = "hang"
            begun = time.monotonic()
            await elector.release()

            assert time.monotonic() - begun < 2
            assert not elector.may_write()
