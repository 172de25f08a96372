# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""LIST and WATCH in one scope, for the informers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from informers.errors import ProtocolError
from informers.ports import Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from informers.ports import ByteStream, Resource

IDLE_MARGIN_S = 5.0  # the server ends a watch at timeoutSeconds; later than that the socket is dead
JSON = "application/json"
_METADATA = "application/json;as=PartialObjectMetadata{list};g=meta.k8s.io;v=v1"


class Transport(Protocol):
    """The two things that LIST and WATCH need of the client."""

    async def request(
        self, method: str, path: str, *, query: Mapping[str, str], accept: str
    ) -> Any:
        """See :meth:`llamastack_operator.kube.rest.Client.request`."""
        ...

    def stream(
        self, path: str, *, query: Mapping[str, str], accept: str, idle_timeout_s: float
    ) -> AbstractAsyncContextManager[ByteStream]:
        """See :meth:`llamastack_operator.kube.rest.Client.stream`."""
        ...


class ScopedListerWatcher:
    """Implements :class:`informers.ports.ListerWatcher`; see ``Client.lister_watcher``."""

    def __init__(
        self,
        client: Transport,
        resource: Resource,
        *,
        path: str,
        selectors: dict[str, str],
        metadata_only: bool,
    ) -> None:
        self._client = client
        self.resource = resource
        self._path = path
        self._selectors = selectors
        self._accept_list = _METADATA.format(list="List") if metadata_only else JSON
        self._accept_watch = _METADATA.format(list="") if metadata_only else JSON

    async def list_page(
        self, *, resource_version: str | None, limit: int | None, continue_token: str
    ) -> Page:
        """See :meth:`informers.ports.ListerWatcher.list_page`."""
        query = dict(self._selectors)
        if limit is not None:
            query["limit"] = str(limit)
        if continue_token:
            query["continue"] = continue_token
        elif resource_version is not None:
            query["resourceVersion"] = resource_version
            query["resourceVersionMatch"] = "NotOlderThan"
        answer = await self._client.request(
            "GET", self._path, query=query, accept=self._accept_list
        )
        try:
            metadata = answer["metadata"]
            return Page(
                items=tuple(answer["items"] or ()),
                resource_version=metadata["resourceVersion"],
                continue_token=metadata.get("continue", ""),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ProtocolError(f"GET {self._path}: the answer is not a list") from error

    @asynccontextmanager
    async def watch(
        self, *, resource_version: str | None, timeout_seconds: int, initial_events: bool
    ) -> AsyncIterator[ByteStream]:
        """See :meth:`informers.ports.ListerWatcher.watch`."""
        query = {
            **self._selectors,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(timeout_seconds),
        }
        if resource_version is not None:
            query["resourceVersion"] = resource_version
        if initial_events:
            query["sendInitialEvents"] = "true"
            query["resourceVersionMatch"] = "NotOlderThan"
        async with self._client.stream(
            self._path,
            query=query,
            accept=self._accept_watch,
            idle_timeout_s=timeout_seconds + IDLE_MARGIN_S,
        ) as stream:
            yield stream
