# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What controllers need from the outside. ``llamastack_operator.manager`` plugs it in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, Protocol, TypeAlias

from informers.ports import Object, ObjectKey, Resource

Manifest: TypeAlias = dict[str, Any]
"""An object that we are about to send: complete intent, ours to build, plain JSON data."""

Clock: TypeAlias = Callable[[], float]
"""Monotonic seconds."""

WallClock: TypeAlias = Callable[[], str]
"""Now, as RFC 3339 in UTC with seconds, e.g. ``2026-01-31T12:00:00Z``."""


class Reader(Protocol):
    """Cached reads of one resource. What comes back is read-only."""

    def get(self, key: ObjectKey) -> Object | None:
        """The cached object, or ``None``."""
        ...

    def reached(self, key: ObjectKey, resource_version: str) -> bool:
        """Whether the cache has seen everything up to a version, deletions included.

        Args:
            key: says which scope is asked for, where a cache has one watch a namespace.
            resource_version: of a write to an object of this resource.
        """
        ...

    def by_index(self, index: str, value: str) -> Iterable[Object]:
        """The objects that an index files under a value.

        Raises:
            KeyError: no such index; a programming error.
        """
        ...


class Writer(Protocol):
    """Live calls. Each has a deadline and raises members of ``informers.errors.ApiError``."""

    async def get(self, resource: Resource, key: ObjectKey) -> Object:
        """The live object.

        Raises:
            NotFound: there is none.
        """
        ...

    async def list_all(
        self, resource: Resource, *, namespace: str, label_selector: str = ""
    ) -> tuple[Object, ...]:
        """All live objects in a namespace (empty: everywhere)."""
        ...

    async def apply(
        self, resource: Resource, manifest: Manifest, *, manager: str, subresource: str = ""
    ) -> Object:
        """Server-side apply with force; creates the object if need be (G1, G2, G3, G4, G5).

        Raises:
            Conflict: the manifest carries a uid or resourceVersion that is not the live one.
            Invalid: the API server refused the content.
            MalformedApply: the manifest breaks the schema's list keys; our own bug.
        """
        ...

    async def create(self, resource: Resource, manifest: Manifest, *, manager: str) -> Object:
        """POST.

        Raises:
            AlreadyExists: an object of that name is there.
        """
        ...

    async def json_patch(
        self,
        resource: Resource,
        key: ObjectKey,
        operations: list[dict[str, Any]],
        *,
        manager: str,
        subresource: str = "",
    ) -> Object:
        """RFC 6902 patch; replace ``/metadata/resourceVersion`` by what was read to guard it.

        Raises:
            Conflict: the object changed since.
        """
        ...

    async def delete(
        self, resource: Resource, key: ObjectKey, *, uid: str, resource_version: str = ""
    ) -> None:
        """Background deletion with preconditions; gone already is success (G13).

        Raises:
            Conflict: another object has that name already.
        """
        ...


class EventRecorder(Protocol):
    """Kubernetes Events. Never blocks, never fails (F4)."""

    def event(
        self,
        regarding: Object,
        *,
        type: Literal["Normal", "Warning"],
        reason: str,
        action: str,
        note: str,
    ) -> None:
        """Report one transition.

        Args:
            regarding: the object; apiVersion, kind, metadata are read.
            type: normal or Warning.
            reason: UpperCamelCase, at most 128 characters.
            action: what was done, UpperCamelCase.
            note: for people, at most 1024 characters; longer is cut.
        """
        ...
