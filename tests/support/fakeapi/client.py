# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The operator's own client, with an API server in memory at the other end.

All that the product does with a client works on it: it is the real one down to the request, which
is answered here in place of a network. Requests take time, on the loop's clock, and go wrong as
`FakeClient.faults` says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from informers.errors import DeadlineExceeded, TransportError
from informers.ports import ByteStream, ObjectKey, Resource
from llamastack_operator.kube.config import Connection, Source
from llamastack_operator.kube.listwatch import JSON
from llamastack_operator.kube.rest import REQUEST_TIMEOUT_S, Client
from tests.support.fakeapi import discovery
from tests.support.fakeapi.calls import Call, HttpRequest, read_call
from tests.support.fakeapi.server import USER, FakeApi
from tests.support.fakelist import Stream, WatchFault
from tests.support.selection import Selection


class _Anonymous:
    """Credentials: none."""

    async def get_api_key_with_prefix(self, _: str) -> str:
        """No header."""
        return ""


@dataclass
class Fault:
    """What goes wrong with some calls.

    Attributes:
        verb: of the calls; empty for all.
        resource: likewise; ``None`` for all.
        name: of the object; empty for all.
        subresource: ``None`` for all.
        error: the answer, in place of the real one.
        delay_s: how long the answer takes; the call is carried out at once.
        until: likewise: until this happens.
        lost: the call is carried out, but the answer never arrives.
        watch: how a watch goes wrong.
        times: how many calls it takes; ``None`` for all that come.
    """

    verb: str = ""
    resource: Resource | None = None
    name: str = ""
    subresource: str | None = None
    error: Exception | None = None
    delay_s: float = 0.0
    until: asyncio.Event | None = None
    lost: bool = False
    watch: WatchFault | None = None
    times: int | None = 1

    def concerns(self, call: Call) -> bool:
        """Whether it happens to a call."""
        return (
            self.times != 0
            and self.verb in {"", call.verb}
            and self.resource in {None, call.resource}
            and self.name in {"", call.key.name}
            and self.subresource in {None, call.subresource}
        )


_NO_FAULT = Fault()

BOOKMARK_S = 2.0
"""How long before the end of a watch the API server sends a bookmark."""


class FakeClient(Client):
    """Implements all that `Client` does. Need not be entered.

    Args:
        api: who answers.
        latency_s: how long a request takes, on the loop's clock; it arrives after half of that.

    Attributes:
        calls: what was asked so far, without discovery.
        faults: what is going to go wrong; the first one that concerns a call happens to it.
        most_in_flight: how many requests there were at the same time.
        open_streams: how many watches are open now.
    """

    def __init__(self, api: FakeApi, *, latency_s: float = 0.0) -> None:
        source = Source()
        super().__init__(
            Connection("http://api.in.memory", None, None, None, source, _Anonymous()),
            user_agent="test",
        )
        self.api = api
        self.latency_s = latency_s
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.most_in_flight = 0
        self.open_streams = 0
        self._in_flight = 0
        self._another = asyncio.Event()

    async def __aenter__(self) -> FakeClient:
        return self

    async def asked(self, count: int = 1) -> None:
        """Until so many calls have been made; each is carried out, but not answered yet."""
        while len(self.calls) < count:
            self._another.clear()
            await self._another.wait()

    def verbs(self, *verbs: str) -> list[str]:
        """The calls in words, all of them or those of some verbs."""
        return [str(call) for call in self.calls if not verbs or call.verb in verbs]

    def keys(self, verb: str, resource: Resource) -> list[ObjectKey]:
        """The objects that calls of a verb on a kind were about."""
        return [c.key for c in self.calls if c.verb == verb and c.resource == resource]

    # --- in place of a network ---------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Any:
        """See :meth:`llamastack_operator.kube.rest.Client.request`."""
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._answer(
                    HttpRequest(method, path, query or {}, body, content_type, accept)
                )
        except TimeoutError:
            raise DeadlineExceeded(f"{method} {path}: no answer in time") from None
        finally:
            self._in_flight -= 1

    async def _answer(self, request: HttpRequest) -> Any:
        await self._travel()
        try:
            answer = await self._arrived(request)
        except Exception:
            await self._travel()
            raise
        await self._travel()
        return answer

    async def _travel(self) -> None:
        await asyncio.sleep(self.latency_s / 2)

    async def _arrived(self, request: HttpRequest) -> Any:
        if discovery.answers(request.path):
            return discovery.answer(self.api, request.path)
        call = read_call(self.api.clusters, request, asyncio.get_running_loop().time())
        fault = self._next_fault(call)
        if fault.error is not None:
            await _wait(fault)
            raise fault.error
        try:
            answer = self._carry_out(call, request)
        finally:
            await _wait(fault)
        if fault.lost:
            raise TransportError(f"{call}: the connection broke")
        return answer

    def _next_fault(self, call: Call) -> Fault:
        self.calls.append(call)
        self._another.set()
        fault = next((fault for fault in self.faults if fault.concerns(call)), _NO_FAULT)
        if fault is not _NO_FAULT and fault.times is not None:
            fault.times -= 1
        return fault

    def _carry_out(self, call: Call, request: HttpRequest) -> Any:
        api, where = self.api, (call.resource, call.key)
        body = _located(call, request.body)
        by: dict[str, Any] = {"manager": call.manager or USER, "subresource": call.subresource}
        match call.verb:
            case "get":
                return api.get(*where)
            case "list":
                return self._list(call, request)
            case "create":
                return api.create(call.resource, body, manager=call.manager or USER)
            case "update":
                return api.replace(call.resource, body, **by)
            case "apply":
                forced = request.query.get("force") == "true"
                return api.apply(call.resource, body, force=forced, **by)
            case "json-patch":
                return api.json_patch(*where, body, **by)
            case "merge-patch":
                return api.merge_patch(*where, body, **by)
            case _:
                preconditions = (body or {}).get("preconditions") or {}
                return api.delete(
                    *where,
                    uid=preconditions.get("uid", ""),
                    resource_version=preconditions.get("resourceVersion", ""),
                )

    def _list(self, call: Call, request: HttpRequest) -> Any:
        query = request.query
        limit = query.get("limit")
        page = self.api.cluster(call.resource).page(
            query.get("resourceVersion"),
            None if limit is None else int(limit),
            query.get("continue", ""),
            _selection(call, request),
        )
        metadata = {"resourceVersion": page.resource_version, "continue": page.continue_token}
        return {"metadata": metadata, "items": list(page.items)}

    @asynccontextmanager
    async def stream(
        self, path: str, *, query: Mapping[str, str], accept: str, idle_timeout_s: float
    ) -> AsyncIterator[ByteStream]:
        """See :meth:`llamastack_operator.kube.rest.Client.stream`."""
        await asyncio.sleep(self.latency_s)
        now = asyncio.get_running_loop().time()
        request = HttpRequest("GET", path, query, accept=accept)
        call = read_call(self.api.clusters, request, now)
        fault = self._next_fault(call)
        await _wait(fault)
        if fault.error is not None:
            raise fault.error
        broken = fault.watch or WatchFault()
        await broken.before()
        stream = Stream(
            self.api.cluster(call.resource),
            query.get("resourceVersion"),
            initial_events=query.get("sendInitialEvents") == "true",
            ends_at=now + float(query["timeoutSeconds"]),
            chunk=1 << 16,
            fault=broken,
            selection=_selection(call, request),
            bookmark_s=BOOKMARK_S,
        )
        self.open_streams += 1
        try:
            yield stream
        finally:
            self.open_streams -= 1


def _located(call: Call, body: Any) -> Any:
    """A manifest says what the path of the request says, also if it was left out."""
    if not isinstance(body, dict) or call.verb not in {"create", "update", "apply"}:
        return body
    place = {"name": call.key.name, "namespace": call.key.namespace}
    known = {name: value for name, value in place.items() if value}
    return {**body, "metadata": {**known, **body.get("metadata", {})}}


async def _wait(fault: Fault) -> None:
    if fault.delay_s:
        await asyncio.sleep(fault.delay_s)
    if fault.until is not None:
        await fault.until.wait()


def _selection(call: Call, request: HttpRequest) -> Selection:
    return Selection(
        call.key.namespace,
        request.query.get("labelSelector", ""),
        request.query.get("fieldSelector", ""),
        metadata_only="PartialObjectMetadata" in request.accept,
    )
