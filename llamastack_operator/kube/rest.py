# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Kubernetes API over HTTP: raw JSON in, raw JSON out, deadlines, typed errors.

Why not the generated client: typed models decode fourteen times slower than plain dicts and
block the event loop that must renew the lease; its requests have no time-out; its watch does not
check the status of the answer; it logs bodies, which may be Secrets. Here every request has a
deadline, the status is checked before a byte is handed out, and nothing is logged but method,
path and code.

Two connection pools: watches are long-lived and unlimited, requests are bounded, so that neither
waits behind the other. The lease gets a client of its own (E12).
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
import orjson

from informers.errors import (
    DeadlineExceeded,
    Gone,
    NotFound,
    ProtocolError,
    TransportError,
    Unauthorized,
)
from llamastack_operator.http_streams import hang_up
from llamastack_operator.kube.classify import status_error
from llamastack_operator.kube.config import KubeConfigError, connector
from llamastack_operator.kube.listwatch import JSON, ScopedListerWatcher
from llamastack_operator.kube.patience import patiently

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from controller.runtime.ports import Manifest
    from informers.ports import ByteStream, ListerWatcher, Object, ObjectKey, Resource
    from llamastack_operator.kube.config import Connection

REQUEST_TIMEOUT_S = 30.0  # one request and its answer
CONNECT_TIMEOUT_S = 10.0  # a SYN that nobody answers
PAGE_LIMIT = 500  # what client-go's pager asks for
READ_BUFFER = 1 << 17  # bytes; more saves no time, and fifteen full watches hold it at once

APPLY = "application/apply-patch+yaml"  # JSON is YAML
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"


class ClientMetrics(Protocol):
    """Counts requests (``rest_client_requests_total``)."""

    def request(self, method: str, code: str) -> None:
        """One answer; ``code`` is ``<error>`` when none arrived, as in client-go."""
        ...


class _NoMetrics:
    def request(self, method: str, code: str) -> None:
        pass


class Client:
    """One API server. Implements ``controller.runtime.ports.Writer``.

    Use as an asynchronous context manager inside the running loop.

    Args:
        connection: where and who.
        user_agent: sent with every request; shows up in audit logs.
        metrics: counts requests.
        max_connections: for requests; watches are not limited.
        patience_s: how long a request may be repeated where the server asks for it with
            ``Retry-After``; 0 for callers that have a queue to come again.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        user_agent: str,
        metrics: ClientMetrics | None = None,
        max_connections: int = 32,
        patience_s: float = 0.0,
    ) -> None:
        self.connection = connection
        self._user_agent = user_agent
        self._metrics = metrics or _NoMetrics()
        self._max_connections = max_connections
        self._patience_s = patience_s
        self._requests: aiohttp.ClientSession | None = None
        self._watches: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Client:
        self._requests = self._session(self._max_connections)
        self._watches = self._session(0)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for session in (self._requests, self._watches):
            if session is not None:
                await session.close()

    def _session(self, limit: int) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector(self.connection, limit=limit),
            # Compression would burn CPU on both ends of what is nearly always a fast network.
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            read_bufsize=READ_BUFFER,
            auto_decompress=False,
            trust_env=False,
        )

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
        """One request; the decoded JSON answer.

        Args:
            method: HTTP method.
            path: absolute, e.g. from :meth:`informers.ports.Resource.path`.
            query: parameters of the URL.
            body: JSON data, or nothing.
            content_type: of the body; says what kind of patch it is.
            accept: representation asked for.
            timeout_s: deadline for one try and its whole answer.

        Raises:
            ApiError: a member of the tree in :mod:`informers.errors`.
        """
        data = None if body is None else orjson.dumps(body)
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)

        async def exchange() -> bytes:
            async with self._open(
                self._requests,
                method,
                path,
                query=query,
                data=data,
                content_type=content_type,
                accept=accept,
                timeout=timeout,
            ) as response:
                return await _read_all(response, f"{method} {path}")

        answer = await patiently(exchange, self._patience_s)
        try:
            return orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise ProtocolError(f"{method} {path}: the answer is not JSON") from error

    async def text(self, path: str, *, timeout_s: float = REQUEST_TIMEOUT_S) -> str:
        """GET of something that is not JSON, such as ``/readyz``."""
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        async with self._open(
            self._requests, "GET", path, accept="*/*", timeout=timeout
        ) as response:
            return (await _read_all(response, f"GET {path}")).decode("utf-8", "replace")

    @asynccontextmanager
    async def _open(
        self,
        session: aiohttp.ClientSession | None,
        method: str,
        path: str,
        *,
        timeout: aiohttp.ClientTimeout,
        query: Mapping[str, str] | None = None,
        data: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer whose status says success; credentials are renewed once on 401 (A13)."""
        if session is None:
            raise RuntimeError("the client is used outside its `async with` block")
        what = f"{method} {path}"
        for attempt in (1, 2):
            headers = {"Accept": accept}
            if data is not None:
                headers["Content-Type"] = content_type
            authorization = await self.connection.authorization()
            if authorization:
                headers["Authorization"] = authorization
            with _transport_errors(what, self._metrics, method):
                response = await session.request(
                    method,
                    self.connection.server + path,
                    params=query,
                    data=data,
                    headers=headers,
                    timeout=timeout,
                    allow_redirects=False,
                    proxy=self.connection.proxy,
                    server_hostname=self.connection.server_hostname,
                )
            async with response:
                self._metrics.request(method, str(response.status))
                if response.status < HTTPStatus.MULTIPLE_CHOICES:
                    yield response
                    return
                failure = status_error(
                    response.status, response.headers, await _read_all(response, what), what=what
                )
            if attempt == 1 and isinstance(failure, Unauthorized):
                await self._refresh_credentials(failure)
                continue
            raise failure

    async def _refresh_credentials(self, failure: Unauthorized) -> None:
        try:
            await self.connection.refresh()
        except KubeConfigError as error:
            raise failure from error

    # --- controller.runtime.ports.Writer ---------------------------------------------------

    async def get(self, resource: Resource, key: ObjectKey) -> Object:
        """See :meth:`controller.runtime.ports.Writer.get`."""
        return await self._object("GET", resource.path(namespace=key.namespace, name=key.name))

    async def list_all(
        self, resource: Resource, *, namespace: str, label_selector: str = ""
    ) -> tuple[Object, ...]:
        """See :meth:`controller.runtime.ports.Writer.list_all`."""
        source = self.lister_watcher(resource, namespace=namespace, label_selector=label_selector)
        items: list[Object] = []
        token = ""
        while True:
            try:
                page = await source.list_page(
                    resource_version=None, limit=PAGE_LIMIT, continue_token=token
                )
            except Gone:
                if not token:
                    raise
                # The snapshot expired between two pages: never mix two of them (A4).
                page = await source.list_page(resource_version=None, limit=None, continue_token="")
                return page.items
            items.extend(page.items)
            token = page.continue_token
            if not token:
                return tuple(items)

    async def apply(
        self, resource: Resource, manifest: Manifest, *, manager: str, subresource: str = ""
    ) -> Object:
        """See :meth:`controller.runtime.ports.Writer.apply`."""
        metadata = manifest["metadata"]
        path = resource.path(
            namespace=metadata.get("namespace", ""), name=metadata["name"], subresource=subresource
        )
        return await self._object(
            "PATCH",
            path,
            query={"fieldManager": manager, "force": "true"},
            body=manifest,
            content_type=APPLY,
        )

    async def create(self, resource: Resource, manifest: Manifest, *, manager: str) -> Object:
        """See :meth:`controller.runtime.ports.Writer.create`."""
        path = resource.path(namespace=manifest["metadata"].get("namespace", ""))
        return await self._object("POST", path, query={"fieldManager": manager}, body=manifest)

    async def json_patch(
        self,
        resource: Resource,
        key: ObjectKey,
        operations: list[dict[str, Any]],
        *,
        manager: str,
        subresource: str = "",
    ) -> Object:
        """See :meth:`controller.runtime.ports.Writer.json_patch`."""
        return await self._object(
            "PATCH",
            resource.path(namespace=key.namespace, name=key.name, subresource=subresource),
            query={"fieldManager": manager},
            body=operations,
            content_type=JSON_PATCH,
        )

    async def delete(
        self, resource: Resource, key: ObjectKey, *, uid: str, resource_version: str = ""
    ) -> None:
        """See :meth:`controller.runtime.ports.Writer.delete`."""
        preconditions = {"uid": uid}
        if resource_version:
            preconditions["resourceVersion"] = resource_version
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Background",
            "preconditions": preconditions,
        }
        try:
            await self.request(
                "DELETE", resource.path(namespace=key.namespace, name=key.name), body=body
            )
        except NotFound:
            return

    async def _object(self, method: str, path: str, **options: Any) -> Object:
        answer = await self.request(method, path, **options)
        if not isinstance(answer, dict) or "metadata" not in answer:
            raise ProtocolError(f"{method} {path}: the answer is not a Kubernetes object")
        return answer

    # --- informers.ports.ListerWatcher -----------------------------------------------------

    def lister_watcher(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> ListerWatcher:
        """LIST and WATCH in one scope.

        Args:
            resource: the kind.
            namespace: limits the scope; empty for the whole cluster.
            label_selector: limits it to matching objects, others look deleted (B10).
            field_selector: likewise, e.g. ``metadata.name=x``.
            metadata_only: ask for ``PartialObjectMetadata`` instead of whole objects (A18).
        """
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        return ScopedListerWatcher(
            self,
            resource,
            path=resource.path(namespace=namespace),
            selectors={name: value for name, value in selectors.items() if value},
            metadata_only=metadata_only,
        )

    @asynccontextmanager
    async def stream(
        self, path: str, *, query: Mapping[str, str], accept: str, idle_timeout_s: float
    ) -> AsyncIterator[ByteStream]:
        """Open a watch; see :meth:`informers.ports.ListerWatcher.watch`."""
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=idle_timeout_s
        )
        async with self._open(
            self._watches, "GET", path, query=query, accept=accept, timeout=timeout
        ) as response:
            try:
                yield _Body(response, path)
            finally:
                hang_up(response)


class _Body:
    """See :class:`informers.ports.ByteStream`."""

    def __init__(self, response: aiohttp.ClientResponse, path: str) -> None:
        self._content = response.content
        self._path = path

    async def read(self) -> bytes:
        with _transport_errors(f"WATCH {self._path}"):
            return await self._content.readany()


async def _read_all(response: aiohttp.ClientResponse, what: str) -> bytes:
    with _transport_errors(what):
        return await response.read()


class _transport_errors:  # noqa: N801 -- reads as a statement: with _transport_errors(...)
    """Turn what aiohttp and the socket raise into our tree. Cancellation passes untouched."""

    def __init__(self, what: str, metrics: ClientMetrics | None = None, method: str = "") -> None:
        self._what = what
        self._metrics = metrics
        self._method = method

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, (TimeoutError, aiohttp.ClientError, OSError)):
            return
        if self._metrics is not None:
            self._metrics.request(self._method, "<error>")
        if isinstance(error, TimeoutError):
            raise DeadlineExceeded(f"{self._what}: no answer in time") from error
        detail = str(error) or type(error).__name__
        raise TransportError(f"{self._what}: {detail}") from error
