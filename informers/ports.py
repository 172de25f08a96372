# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the informers need from the outside, and the few values everybody shares."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

Object: TypeAlias = Mapping[str, Any]
"""A Kubernetes object as decoded from JSON. Read-only: copy to change (B8)."""


class ObjectKey(NamedTuple):
    """Namespace and name; the namespace of a cluster-scoped object is empty.

    The uid is not part of it: a deleted and recreated object is one key (B1).
    """

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(obj: Object) -> ObjectKey:
    """The key of an object.

    Raises:
        KeyError: the object has no ``metadata.name``.
    """
    metadata = obj["metadata"]
    return ObjectKey(metadata.get("namespace", ""), metadata["name"])


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object as the API server serves it.

    Attributes:
        group: API group; empty for the core group.
        version: e.g. ``v1``.
        kind: e.g. ``Deployment``; stamped on list items, which lack it (A19).
        plural: path segment, e.g. ``deployments``.
        namespaced: whether objects live in namespaces.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """``group/version``, or the bare version of the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, *, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, or of one object or its subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}{scope}/{self.plural}{tail}"

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a LIST.

    Attributes:
        items: objects as the server sent them; ``kind`` and ``apiVersion`` may be absent.
        resource_version: of the whole list; the same on every page of one snapshot.
        continue_token: of the next page; empty on the last one.
    """

    items: tuple[Object, ...]
    resource_version: str
    continue_token: str = ""


class ByteStream(Protocol):
    """The body of a running watch."""

    async def read(self) -> bytes:
        """The next chunk, of any size; ``b""`` at the end of the stream.

        Waits without a limit of its own: the caller bounds each call.

        Raises:
            TransportError: the connection broke.
        """
        ...


class ListerWatcher(Protocol):
    """LIST and WATCH of one resource in one scope (namespace, selectors, representation).

    Every call raises members of :class:`informers.errors.ApiError` and checks the HTTP status
    before it hands out a single byte (A14).
    """

    @property
    def resource(self) -> Resource:
        """What is listed and watched."""
        ...

    async def list_page(
        self, *, resource_version: str | None, limit: int | None, continue_token: str
    ) -> Page:
        """One page.

        Args:
            resource_version: "not older than" bound; ``None`` asks for a consistent read.
            limit: maximum number of items; ``None`` asks for all.
            continue_token: from the page before; empty for the first (then, and only then,
                ``resource_version`` is sent).
        """
        ...

    def watch(
        self, *, resource_version: str | None, timeout_seconds: int, initial_events: bool
    ) -> AbstractAsyncContextManager[ByteStream]:
        """Open a watch with bookmarks.

        Args:
            resource_version: where to go on from; ``None`` only with ``initial_events``.
            timeout_seconds: after which the server ends the stream.
            initial_events: ask for a streaming list: ``sendInitialEvents=true`` and
                ``resourceVersionMatch=NotOlderThan`` (A2).
        """
        ...
