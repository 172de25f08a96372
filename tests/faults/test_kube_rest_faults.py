# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a broken network or server does to a request."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from informers.errors import (
    DeadlineExceeded,
    ProtocolError,
    ServerError,
    TransportError,
    Unauthorized,
)
from informers.ports import ObjectKey, Resource
from llamastack_operator.cli.cluster import ClusterFailed, connected
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client
from tests.unit.llamastack_operator.kube.test_kube_config import kubeconfig

THINGS = Resource("example.com", "v1", "Thing", "things")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def client_of(
    handler: Handler, tmp_path: Path, token: Path | None = None
) -> AsyncIterator[Client]:
    """A client of a server whose every answer comes from the handler."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    user = {"tokenFile": str(token)} if token else {"token": "t"}
    path = kubeconfig(tmp_path / "config", **user)
    path.write_text(path.read_text().replace("127.0.0.1:1/base/", f"127.0.0.1:{port}"))
    try:
        async with Client(await connect(Source(str(path))), user_agent="test") as client:
            yield client
    finally:
        await runner.cleanup()


async def test_silence_ends_at_the_deadline(tmp_path: Path) -> None:
    async def silent(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with client_of(silent, tmp_path) as client:
        with pytest.raises(DeadlineExceeded):
            await client.request("GET", "/x", timeout_s=0.2)


async def test_body_that_stops_halfway_ends_at_the_deadline(tmp_path: Path) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"a":')
        await asyncio.Event().wait()
        return response

    async with client_of(half, tmp_path) as client:
        with pytest.raises(DeadlineExceeded):
            await client.request("GET", "/x", timeout_s=0.2)


async def test_connection_cut_in_the_body_is_no_answer(tmp_path: Path) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"a":')
        assert request.transport is not None
        request.transport.close()
        return response

    async with client_of(cut, tmp_path) as client:
        with pytest.raises(TransportError):
            await client.request("GET", "/x")


async def test_page_of_a_proxy_is_a_typed_error_and_no_event(tmp_path: Path) -> None:
    async def proxy(request: web.Request) -> web.Response:
        return web.Response(status=502, text="<html>bad gateway</html>", content_type="text/html")

    async with client_of(proxy, tmp_path) as client:
        source = client.lister_watcher(THINGS)
        with pytest.raises(ServerError) as caught:
            async with source.watch(
                resource_version="1", timeout_seconds=300, initial_events=False
            ):
                pytest.fail("the watch must not open")

    assert "bad gateway" not in str(caught.value)


@pytest.mark.parametrize("answer", ["<html>hello</html>", "[]", '{"items": []}', "null", '"x"'])
async def test_success_that_is_no_list_is_refused(tmp_path: Path, answer: str) -> None:
    async def portal(request: web.Request) -> web.Response:
        return web.Response(text=answer)

    async with client_of(portal, tmp_path) as client:
        source = client.lister_watcher(THINGS)
        with pytest.raises(ProtocolError):
            await source.list_page(resource_version=None, limit=1, continue_token="")
        with pytest.raises(ProtocolError):
            await client.get(THINGS, ObjectKey("n", "x"))


async def test_renewed_token_is_tried_once_at_once(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    seen: list[str] = []

    async def picky(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        token.write_text("new")
        if seen[-1] == "Bearer new":
            return web.json_response({"ok": True})
        return web.json_response({"kind": "Status", "code": 401}, status=401)

    async with client_of(picky, tmp_path, token) as client:
        answer = await client.request("GET", "/x")

    assert answer == {"ok": True}
    assert seen == ["Bearer old", "Bearer new"]


async def test_token_refused_twice_is_the_answer(tmp_path: Path) -> None:
    calls = 0

    async def strict(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        return web.json_response({"kind": "Status", "message": "no"}, status=401)

    async with client_of(strict, tmp_path) as client:
        with pytest.raises(Unauthorized):
            await client.request("GET", "/x")

    assert calls == 2


class Early:
    """Is not ready for the first requests, as while a changed CRD gets its storage anew."""

    def __init__(self, times: int, code: int = 503, *, retry_after: str = "") -> None:
        self.calls = 0
        self._times = times
        self._code = code
        self._headers = {"Retry-After": retry_after} if retry_after else {}

    async def handle(self, request: web.Request) -> web.Response:
        self.calls += 1
        if self.calls > self._times:
            return web.json_response({"ok": await request.text()})
        status = {"kind": "Status", "message": "apiserver is shutting down", "code": self._code}
        return web.json_response(status, status=self._code, headers=self._headers)


@pytest.mark.parametrize("code", [429, 500, 503])
async def test_command_comes_again_when_the_server_asks_for_it(tmp_path: Path, code: int) -> None:
    early = Early(2, code, retry_after="0")
    arguments = argparse.Namespace(kubeconfig=str(tmp_path / "config"), context="")

    async with client_of(early.handle, tmp_path), connected(arguments) as client:
        answer = await client.request("POST", "/x", body={"a": 1})

    assert answer == {"ok": '{"a":1}'}
    assert early.calls == 3


async def test_command_waits_no_longer_than_its_patience(tmp_path: Path) -> None:
    late = Early(9, retry_after="3600")
    arguments = argparse.Namespace(kubeconfig=str(tmp_path / "config"), context="")

    with pytest.raises(ClusterFailed, match="shutting down"):
        async with client_of(late.handle, tmp_path), connected(arguments) as client:
            await client.request("GET", "/x")

    assert late.calls == 1


async def test_command_does_not_repeat_what_the_server_does_not_ask_for(tmp_path: Path) -> None:
    broken = Early(9)
    arguments = argparse.Namespace(kubeconfig=str(tmp_path / "config"), context="")

    with pytest.raises(ClusterFailed, match="shutting down"):
        async with client_of(broken.handle, tmp_path), connected(arguments) as client:
            await client.request("GET", "/x")

    assert broken.calls == 1


async def test_operator_leaves_coming_again_to_its_queue(tmp_path: Path) -> None:
    early = Early(1, retry_after="1")

    async with client_of(early.handle, tmp_path) as client:
        with pytest.raises(ServerError) as caught:
            await client.request("GET", "/x")

    assert caught.value.retry_after == 1
    assert early.calls == 1


async def test_nobody_listening_names_the_reason(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", token="t")

    async with Client(await connect(Source(str(path))), user_agent="test") as client:
        with pytest.raises(TransportError, match=r"127\.0\.0\.1"):
            await client.request("GET", "/x")


async def test_list_is_read_page_by_page_and_never_mixed(tmp_path: Path) -> None:
    """A continue token that expires on page two leads to one whole list (A4)."""
    queries: list[dict[str, str]] = []

    async def pages(request: web.Request) -> web.Response:
        query = dict(request.query)
        queries.append(query)
        if "continue" in query:
            return web.json_response({"kind": "Status", "reason": "Expired"}, status=410)
        whole = "limit" not in query
        items = [{"metadata": {"name": n}} for n in (("b", "c") if whole else ("a",))]
        metadata = {"resourceVersion": "5", **({} if whole else {"continue": "next"})}
        return web.json_response({"metadata": metadata, "items": items})

    async with client_of(pages, tmp_path) as client:
        found = await client.list_all(THINGS, namespace="n")

    assert [o["metadata"]["name"] for o in found] == ["b", "c"]
    assert [("limit" in q, "continue" in q) for q in queries] == [
        (True, False),
        (True, True),
        (False, False),
    ]
