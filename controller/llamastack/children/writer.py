# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Make one child what it should be, with as few requests as possible.

An absent child is created by POST, not by apply: apply would merge into a foreign object of that
name which our caches cannot show, because they hold only labelled objects (B10). What POST
leaves in managed fields is folded into our apply entry before the first apply (``migrate``).
An apply carries the uid of the object it was computed for, so it never hits a namesake (E9).

What an apply cannot do, a patch does: take away what others put in the way of what we send
(``differences``). It carries the rest of what differs as well, so it is one write, and it needs no
field ownership to be migrated first. Only where the manifest itself is another one does an apply go
first, because it takes away what we no longer send, and that may be all that was in the way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from controller.llamastack.children.managed_fields import ownership_patch
from controller.llamastack.children.replicas import HANDOVER_MANAGER, handover
from controller.llamastack.objects.compare import has_same, in_place, stamped
from controller.llamastack.objects.differences import differences, patch_of
from controller.llamastack.objects.kinds import APPLIED_HASH, CONFIG_MAP, DEPLOYMENT, FIELD_MANAGER
from controller.llamastack.objects.ownership import (
    check_writable,
    is_orphan,
    is_owned,
    may_be_orphan,
)
from informers.errors import AlreadyExists, Forbidden, Invalid, NamespaceTerminating
from informers.ports import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from controller.llamastack.objects.differences import Difference
    from controller.llamastack.render.manifest import Child, Fit
    from controller.runtime.ports import Manifest, Reader, Writer
    from informers.ports import Object, ObjectKey, Resource

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Applied:
    """A child as it is now.

    Attributes:
        live: the object.
        changed: whether a write changed it.
        refusal: why the API server let only a part of it be written; empty normally.
    """

    live: Object
    changed: bool
    refusal: str = ""


class ChildWriter:
    """Creates and applies children.

    Args:
        writer: live calls.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        # Objects whose field ownership was looked at, by uid.
        self._migrated: set[str] = set()
        # By uid: hash of what we sent, and the version of the answer that still differed from it.
        self._settled: dict[str, tuple[str, str]] = {}

    async def ensure(self, cr: Object, child: Child, cache: Reader) -> Applied:
        """Create or apply the child if it is not in place.

        Raises:
            ResourceConflict: the object belongs to somebody else.
            BeingDeleted: it has to vanish first.
            ApiError: the write failed.
        """
        wanted = stamped(child.manifest)
        live = cache.get(child.key)
        if live is None:
            try:
                created = await self._writer.create(child.resource, wanted, manager=FIELD_MANAGER)
            except AlreadyExists:
                # It lacks our label, or the cache lags behind: look at the real thing.
                live = await self._writer.get(child.resource, child.key)
            else:
                log.info("Created object", kind=child.resource.kind, object=str(child.key))
                return Applied(created, changed=True)
        if not await self._is_orphan(cr, child, live):
            check_writable(child.resource, live, cr)
        try:
            return await self._bring_in_line(cr, child, _fitted(child.fit, wanted, live), live)
        except (Forbidden, Invalid) as error:
            if isinstance(error, NamespaceTerminating):
                raise
            less = _fitted(child.fallback, wanted, live)
            if less == _fitted(child.fit, wanted, live):
                raise
            applied = await self._bring_in_line(cr, child, less, live)
            return replace(applied, refusal=error.message)

    async def _is_orphan(self, cr: Object, child: Child, cached: Object) -> bool:
        """Whether to adopt what nobody controls; who wrote it only the real thing tells."""
        if not may_be_orphan(child.resource, child.manifest, cached):
            return False
        live = await self._writer.get(child.resource, child.key)
        found = is_orphan(child.resource, child.manifest, live, cr["metadata"]["name"])
        if found:
            log.info("Adopted orphan", kind=child.resource.kind, object=str(child.key))
        return found

    async def _bring_in_line(
        self, cr: Object, child: Child, wanted: Manifest, live: Object
    ) -> Applied:
        resource, found = child.resource, differences(wanted, live)
        same_intent = has_same(APPLIED_HASH, wanted, live)
        if (same_intent and not found) or self._is_settled(wanted, live):
            return Applied(live, changed=False)
        is_migrated = live["metadata"]["uid"] in self._migrated
        is_known = resource != CONFIG_MAP  # of those the cache has metadata only
        if same_intent and is_known and (_in_the_way(found) or not is_migrated):
            return await self._correct(resource, wanted, live, found)
        try:
            applied = await self._apply(cr, resource, wanted, live)
        except Invalid as refusal:
            return await self._correct_and_apply(cr, child, wanted, refusal)
        left = differences(wanted, applied.live)
        if not _in_the_way(left):
            return applied
        corrected = await self._correct(resource, wanted, applied.live, left)
        return replace(corrected, changed=True)

    async def _correct_and_apply(
        self, cr: Object, child: Child, wanted: Manifest, refusal: Invalid
    ) -> Applied:
        """After an apply that was refused, perhaps for what is in its way."""
        live = await self._writer.get(child.resource, child.key)
        check_writable(child.resource, live, cr)
        found = differences(wanted, live)
        if not _in_the_way(found):
            raise refusal
        corrected = await self._correct(child.resource, wanted, live, found)
        applied = await self._apply(cr, child.resource, wanted, corrected.live)
        return replace(applied, changed=True)

    async def _correct(
        self, resource: Resource, wanted: Manifest, old: Object, found: Sequence[Difference]
    ) -> Applied:
        """Put right by one patch what differs."""
        key, uid = key_of(old), old["metadata"]["uid"]
        patch = patch_of(found, old)
        live = await self._writer.json_patch(resource, key, patch, manager=FIELD_MANAGER)
        # What it wrote is to be folded into our entry again before the next apply.
        self._migrated.discard(uid)
        self._note_what_is_left(wanted, live)
        fields = [one.place for one in found]
        log.info("Corrected object", kind=resource.kind, object=str(key), fields=fields)
        return Applied(live, changed=True)

    async def _apply(
        self, cr: Object, resource: Resource, wanted: Manifest, old: Object
    ) -> Applied:
        uid = old["metadata"]["uid"]
        if uid not in self._migrated:
            await self._migrate(cr, resource, key_of(old))
            self._migrated.add(uid)
        if resource == DEPLOYMENT and handover(wanted, old) is not None:
            # Decided by the cache, done with the real number: it may just have been scaled.
            given = handover(wanted, await self._writer.get(resource, key_of(old)))
            if given is not None:
                await self._writer.apply(resource, given, manager=HANDOVER_MANAGER)
        body = {**wanted, "metadata": {**wanted["metadata"], "uid": uid}}
        live = await self._writer.apply(resource, body, manager=FIELD_MANAGER)
        version = live["metadata"]["resourceVersion"]
        changed = version != old["metadata"].get("resourceVersion")
        self._note_what_is_left(wanted, live)
        if changed:
            log.info("Applied object", kind=resource.kind, object=str(key_of(live)))
        return Applied(live, changed=changed)

    def _note_what_is_left(self, wanted: Manifest, live: Object) -> None:
        """Whether to stop asking for this.

        The server stores another form of what we sent, or an admission plug-in insists on its own:
        asking again would change nothing and never end.
        """
        if not in_place(wanted, live):
            self._settled[live["metadata"]["uid"]] = _settlement(wanted, live)

    async def remove(self, cr: Object, resource: Resource, live: Object | None) -> bool:
        """Delete a child that is not wanted any more; whether there was something to delete.

        Args:
            cr: the resource.
            resource: kind of the child.
            live: the cached object of its name, or ``None``; somebody else's is left alone.

        Raises:
            ApiError: the write failed.
        """
        if live is None or not is_owned(live, cr) or live["metadata"].get("deletionTimestamp"):
            return False
        key = key_of(live)
        await self._writer.delete(resource, key, uid=live["metadata"]["uid"])
        log.info("Deleted object", kind=resource.kind, object=str(key))
        return True

    async def _migrate(self, cr: Object, resource: Resource, key: ObjectKey) -> None:
        live = await self._writer.get(resource, key)
        patch = ownership_patch(live, cr_name=cr["metadata"]["name"])
        if patch:
            await self._writer.json_patch(resource, key, patch, manager=FIELD_MANAGER)
            log.info("Migrated field ownership", kind=resource.kind, object=str(key))

    def _is_settled(self, wanted: Manifest, live: Object) -> bool:
        return self._settled.get(live["metadata"]["uid"]) == _settlement(wanted, live)

    def forget(self, live: Object) -> None:
        """The object is gone."""
        uid = live["metadata"].get("uid", "")
        self._migrated.discard(uid)
        self._settled.pop(uid, None)


def _fitted(fit: Fit | None, wanted: Manifest, live: Object) -> Manifest:
    return wanted if fit is None else fit(wanted, live)


def _in_the_way(found: Iterable[Difference]) -> bool:
    return any(one.in_the_way for one in found)


def _settlement(wanted: Manifest, live: Object) -> tuple[str, str]:
    """What was sent, and a version that status updates of a workload do not move."""
    metadata = live["metadata"]
    version = metadata.get("generation") or metadata["resourceVersion"]
    return wanted["metadata"]["annotations"][APPLIED_HASH], str(version)
