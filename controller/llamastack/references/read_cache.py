# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is known of objects of users, without keeping what is in them.

An object is read once a version: ``GET``, summarise it, keep the summary, forget the content. A
watch on metadata tells when a summary is out of date, so an object that was missing is noticed the
moment it appears. Summaries are shared by all resources that refer to the object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from controller.runtime.concurrency import gather_settled, unwrap
from informers.errors import NotFound
from informers.ports import Object, ObjectKey, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from controller.runtime.ports import Writer

F = TypeVar("F")


@dataclass(slots=True)
class _Read:
    """A live read under way; ``overtaken`` once the watch reported a change meanwhile."""

    overtaken: bool = False


class VersionedReadCache(Generic[F]):
    """Summaries by object, of one kind.

    Args:
        resource: the kind.
        writer: for live reads.
        look: makes the summary of a live object, or of ``None`` if there is none.
    """

    def __init__(
        self, resource: Resource, writer: Writer, look: Callable[[Object | None], F]
    ) -> None:
        self._resource = resource
        self._writer = writer
        self._look = look
        # With the resourceVersion, empty for an object that is not there.
        self._summaries: dict[ObjectKey, tuple[str, F]] = {}
        self._reads: dict[ObjectKey, list[_Read]] = {}

    def changed(self, key: ObjectKey, resource_version: str) -> None:
        """An object was created, changed or deleted (then with an empty version)."""
        found = self._summaries.get(key)
        if found is not None and found[0] != resource_version:
            del self._summaries[key]
        for read in self._reads.get(key, ()):
            read.overtaken = True

    def forget(self, key: ObjectKey) -> None:
        """Nobody refers to the object any more; memory follows references, not the cluster."""
        self._summaries.pop(key, None)

    async def summary(self, key: ObjectKey) -> F:
        """What is known of an object; read if it is not known yet.

        Raises:
            ApiError: it could not be read for another reason than that it is not there.
        """
        found = self._summaries.get(key)
        return found[1] if found is not None else (await self.read(key))[1]

    async def summaries(self, keys: Iterable[ObjectKey]) -> list[F]:
        """Likewise of many; those that are not known yet are read side by side.

        Raises:
            ApiError: one could not be read; the others are, all the same.
        """
        return [unwrap(result) for result in await gather_settled(*map(self.summary, keys))]

    def unknown(self, keys: Iterable[ObjectKey]) -> list[ObjectKey]:
        """Those of the objects that would have to be read."""
        return [key for key in keys if key not in self._summaries]

    def known(self, key: ObjectKey) -> F | None:
        """What is known of an object; ``None`` if it would have to be read."""
        found = self._summaries.get(key)
        return found[1] if found is not None else None

    async def read(self, key: ObjectKey) -> tuple[Object | None, F]:
        """The live object and its summary, which is known from now on.

        Raises:
            ApiError: it could not be read for another reason than that it is not there.
        """
        read = _Read()
        self._reads.setdefault(key, []).append(read)
        try:
            obj = await self._get(key)
            summary = await self._examine(obj)
        finally:
            self._reads[key].remove(read)
            if not self._reads[key]:
                del self._reads[key]
        # An answer that a change overtook serves this reconcile only: the change queued the next.
        if not read.overtaken:
            self._summaries[key] = (versions(obj)[1] if obj else "", summary)
        return obj, summary

    async def _examine(self, obj: Object | None) -> F:
        """Overridden by caches whose summaries take longer than the event loop may be blocked."""
        return self._look(obj)

    async def _get(self, key: ObjectKey) -> Object | None:
        try:
            return await self._writer.get(self._resource, key)
        except NotFound:
            return None


def versions(obj: Object) -> tuple[str, str]:
    """Uid and resourceVersion."""
    metadata = obj["metadata"]
    return metadata.get("uid", ""), metadata.get("resourceVersion", "")
