# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A reverse proxy in front of an API server that does to requests what networks do.

Plain HTTP towards the client, any URL towards the server, whose credentials the proxy holds::

    async with FaultProxy.to_kubeconfig(control_plane.kubeconfig) as proxy:
        kubeconfig = proxy.write_kubeconfig(tmp_path / "kubeconfig")
        proxy.add(Answer(429, retry_after=7), verb="list", path="/deployments$")
        proxy.add(Reset(after_bytes=300), verb="watch", times=3, skip=1)
        ...                                    # run whatever is to be tested against ``kubeconfig``
        assert proxy.count("list", "/deployments$") == 2

A rule says which requests (Kubernetes verb, regular expression on the path), how many of them are
let through first (``skip``), how many are hit (``times``, ``None`` for all) and by which fault. The
first rule that matches a request hits it. ``proxy.clear()`` ends all faults, ``proxy.break_all()``
resets every open connection as a restart of the API server does, and ``proxy.seen`` is the
protocol of all requests. The faults are in ``tests.support.faultkinds``. The order of events is
never changed: the API server does not do that.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL

from llamastack_operator.kube.config import Source, connect
from tests.support.faultkinds import (
    Answer,
    Cut,
    CutLine,
    Delay,
    DropEvents,
    Fault,
    Hang,
    HoldEvents,
    RepeatEvents,
    Reply,
    Reset,
    Rule,
    Silence,
    StaleList,
)

_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "host", "authorization"}


@dataclass
class Seen:
    """One request as the proxy saw it; ``status`` is 0 if no answer was given."""

    verb: str
    path: str
    query: dict[str, str]
    at: float
    user_agent: str
    status: int = 0
    open: bool = True


class FaultProxy:
    """See the module's docstring. Use as an asynchronous context manager.

    Args:
        upstream: URL of the API server.
        tls: for https; carries the client certificate.
        authorization: asks for the header to add, e.g. a bearer token.
    """

    def __init__(
        self,
        upstream: str,
        *,
        tls: ssl.SSLContext | None = None,
        authorization: Callable[[], Awaitable[str | None]] | None = None,
    ) -> None:
        self._upstream = upstream
        self._tls = tls
        self._authorization = authorization
        self._kubeconfig: Path | None = None
        self._rules: list[Rule] = []
        self._transports: set[asyncio.Transport] = set()
        self._asking: set[asyncio.Task[aiohttp.ClientResponse]] = set()
        self.seen: list[Seen] = []
        self.url = ""

    @classmethod
    def to_kubeconfig(cls, kubeconfig: Path) -> Self:
        """In front of the server of a kubeconfig, with its credentials."""
        proxy = cls("")
        proxy._kubeconfig = kubeconfig
        return proxy

    async def __aenter__(self) -> Self:
        if self._kubeconfig is not None:
            connection = await connect(Source(str(self._kubeconfig)))
            self._upstream, self._tls = connection.server, connection.tls
            self._authorization = connection.authorization
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._tls or True),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            auto_decompress=False,
        )
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.break_all()
        await self._runner.cleanup()
        if self._asking:
            await asyncio.wait(self._asking, timeout=5)
        await self._session.close()

    # --- for tests -------------------------------------------------------------------------

    def write_kubeconfig(self, path: Path) -> Path:
        """A kubeconfig whose server is the proxy, without credentials."""
        return kubeconfig_of(self.url, path)

    def add(
        self,
        fault: Fault,
        *,
        verb: str = "",
        path: str = "",
        times: int | None = 1,
        skip: int = 0,
    ) -> Rule:
        """From now on this fault happens.

        Args:
            fault: what.
            verb: get, list, watch, create, update, patch or delete, or several of them with ``|``
                between; empty for all.
            path: regular expression that is searched in the path; empty for all.
            times: how many requests are hit; ``None`` for all.
            skip: how many are let through first.
        """
        rule = Rule(fault, verb, path, times, skip)
        self._rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """End one fault; fine if it has ended."""
        if rule in self._rules:
            self._rules.remove(rule)

    def clear(self) -> None:
        """End all faults for requests to come; what is under way stays hit."""
        self._rules.clear()

    def break_all(self) -> None:
        """Reset every connection that is in use."""
        for transport in list(self._transports):
            _reset(transport)

    def count(self, verb: str = "", path: str = "") -> int:
        """How many requests were seen."""
        return len(self.requests(verb, path))

    def requests(self, verb: str = "", path: str = "") -> list[Seen]:
        """The requests that were seen, oldest first."""
        return [s for s in self.seen if verb in {"", s.verb} and re.search(path, s.path)]

    @property
    def open_watches(self) -> int:
        """How many watches are under way."""
        return sum(seen.open for seen in self.seen if seen.verb == "watch")

    # --- the way of a request --------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        verb = verb_of(request.method, request.path, request.query)
        now = asyncio.get_running_loop().time()
        agent = request.headers.get("User-Agent", "")
        seen = Seen(verb, request.path, dict(request.query), now, agent)
        self.seen.append(seen)
        rule = next((r for r in self._rules if r.matches(verb, request.path)), None)
        fault = rule.fault if rule else None
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        self._transports.add(transport)
        try:
            return await self._answer(request, seen, fault)
        finally:
            seen.open = False
            self._transports.discard(transport)

    async def _answer(
        self, request: web.Request, seen: Seen, fault: Fault | None
    ) -> web.StreamResponse:
        match fault:
            case Delay(seconds, gate):
                await asyncio.sleep(seconds)
                if gate is not None:
                    await gate.wait()
            case Answer():
                seen.status = fault.status
                return web.Response(status=fault.status, headers=fault.headers(), body=fault.body())
            case Reply():
                await asyncio.sleep(fault.after_s)
                seen.status = fault.status
                return web.Response(status=fault.status, body=fault.body)
            case Hang():
                await asyncio.Event().wait()
            case Reset(before_server=True):
                await _abort(request)
            case _:
                pass
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        if self._authorization is not None and (value := await self._authorization()):
            headers["Authorization"] = value
        try:
            async with await self._ask(request, headers) as answer:
                try:
                    return await self._pass_on(request, answer, seen, fault)
                finally:
                    _leave(answer)
        except (aiohttp.ClientError, OSError):
            await _abort(request)  # the server is away, and so is the proxy
            raise

    async def _ask(self, request: web.Request, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """The server's answer.

        A client that goes away cancels its handler. That must not cancel a TLS handshake, which
        would leave a socket behind.
        """
        asking = asyncio.ensure_future(
            self._session.request(
                request.method,
                URL(self._upstream + request.raw_path, encoded=True),
                data=await request.read(),
                headers=headers,
                allow_redirects=False,
            )
        )
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(_dispose)
            raise

    async def _pass_on(
        self,
        request: web.Request,
        answer: aiohttp.ClientResponse,
        seen: Seen,
        fault: Fault | None,
    ) -> web.StreamResponse:
        if isinstance(fault, Reset) and fault.after_bytes == 0:
            await _abort(request)  # the server answered: its work is done
        seen.status = answer.status
        response = web.StreamResponse(
            status=answer.status,
            headers={k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP},
        )
        await response.prepare(request)
        limit = fault.after_bytes if isinstance(fault, (Reset, Cut, Silence)) else None
        sent = 0
        if limit != 0:
            async for chunk in _body(request, answer, fault):
                piece = chunk if limit is None else chunk[: limit - sent]
                await response.write(piece)
                sent += len(piece)
                if sent == limit:
                    break
        if sent == limit:
            if isinstance(fault, Reset):
                await _abort(request)
            elif isinstance(fault, Silence):
                await asyncio.Event().wait()
        await response.write_eof()
        return response


def _dispose(asking: asyncio.Task[aiohttp.ClientResponse]) -> None:
    if not asking.cancelled() and asking.exception() is None:
        _leave(asking.result())
        asking.result().close()


def _leave(answer: aiohttp.ClientResponse) -> None:
    """Drop the connection of an unfinished answer without the niceties of TLS.

    An orderly shutdown takes a round trip, for which a loop that is about to end has no time.
    """
    if answer.connection is not None and answer.connection.transport is not None:
        transport = answer.connection.transport
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


async def _body(
    request: web.Request, answer: aiohttp.ClientResponse, fault: Fault | None
) -> AsyncIterator[bytes]:
    """The body of an answer, in pieces, as the client gets to see it."""
    match fault:
        case StaleList(remembered):
            key = request.path + request.query.get("continue", "")
            yield remembered.setdefault(key, await answer.read())
        case CutLine() | DropEvents() | RepeatEvents() | HoldEvents():
            number = 0
            async for line in _lines(answer):
                number += 1
                if isinstance(fault, CutLine) and number > fault.lines:
                    yield line[: len(line) // 2]
                    return
                if isinstance(fault, HoldEvents) and fault.about in line:
                    await fault.gate.wait()
                if isinstance(fault, DropEvents) and _type_of(line) in fault.types:
                    continue
                yield line * 2 if isinstance(fault, RepeatEvents) else line
        case _:
            async for chunk in answer.content.iter_any():
                yield chunk


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in answer.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest


def _type_of(line: bytes) -> str:
    try:
        return str(json.loads(line)["type"])
    except (ValueError, KeyError, TypeError):
        return ""


async def _abort(request: web.Request) -> None:
    """Break the client's connection with a reset; does not return."""
    transport = request.transport
    if transport is not None:
        _reset(transport)
    await asyncio.Event().wait()  # until aiohttp cancels the handler, as the client is gone


def _reset(transport: asyncio.BaseTransport) -> None:
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:  # else it is closed already
        # No time to linger: RST instead of FIN, and what is buffered is lost.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(transport, asyncio.Transport):
        transport.abort()


def kubeconfig_of(url: str, path: Path) -> Path:
    """Write a kubeconfig for a server that asks for no credentials."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "proxy", "cluster": {"server": url}}],
        "users": [{"name": "proxy", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        "current-context": "proxy",
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def verb_of(method: str, path: str, query: Mapping[str, str]) -> str:
    """The Kubernetes verb of a request, e.g. ``watch``."""
    if method != "GET":
        return {"POST": "create", "PUT": "update"}.get(method, method.lower())
    if query.get("watch") in {"1", "true"}:
        return "watch"
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if len(rest) > 2 and rest[0] == "namespaces":
        rest = rest[2:]
    return "list" if len(rest) == 1 else "get"
