# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""No write without leadership (E9).

The API offers no fencing, so each write first asks whether the lease is still safely ours. What
slips through between the question and the API server is bounded by the margin; what arrives
after all carries a uid and meets deterministic names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from informers.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.runtime.ports import Manifest, Writer
    from informers.ports import Object, ObjectKey, Resource


class LeadershipInDoubt(ApiError):
    """A write was held back because another replica may lead already."""


class GuardedWriter:
    """A writer that asks before each write; reads are let through. Implements ``Writer``.

    Args:
        writer: what is guarded.
        may_write: cheap; asked before every write.
    """

    def __init__(self, writer: Writer, may_write: Callable[[], bool]) -> None:
        self._writer = writer
        self._may_write = may_write

    def _check(self) -> None:
        if not self._may_write():
            raise LeadershipInDoubt("held back a write: leadership is in doubt")

    async def get(self, resource: Resource, key: ObjectKey) -> Object:
        """See :meth:`controller.runtime.ports.Writer.get`."""
        return await self._writer.get(resource, key)

    async def list_all(
        self, resource: Resource, *, namespace: str, label_selector: str = ""
    ) -> tuple[Object, ...]:
        """See :meth:`controller.runtime.ports.Writer.list_all`."""
        return await self._writer.list_all(
            resource, namespace=namespace, label_selector=label_selector
        )

    async def apply(
        self, resource: Resource, manifest: Manifest, *, manager: str, subresource: str = ""
    ) -> Object:
        """See :meth:`controller.runtime.ports.Writer.apply`."""
        self._check()
        return await self._writer.apply(
            resource, manifest, manager=manager, subresource=subresource
        )

    async def create(self, resource: Resource, manifest: Manifest, *, manager: str) -> Object:
        """See :meth:`controller.runtime.ports.Writer.create`."""
        self._check()
        return await self._writer.create(resource, manifest, manager=manager)

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
        self._check()
        return await self._writer.json_patch(
            resource, key, operations, manager=manager, subresource=subresource
        )

    async def delete(
        self, resource: Resource, key: ObjectKey, *, uid: str, resource_version: str = ""
    ) -> None:
        """See :meth:`controller.runtime.ports.Writer.delete`."""
        self._check()
        await self._writer.delete(resource, key, uid=uid, resource_version=resource_version)
