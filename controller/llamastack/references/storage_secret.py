# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Keeps the Secret ``<name>-storage-env`` (R-D16a, FR-053): read, derive, write, forget.

A source is read by a live GET, and only if the Secret is not made from its present version; then
the values live in local variables until the end of that reconcile. No value is in a field, a
status, a log or an exception: ``Content`` does not show what it has, and an answer that quotes it
is left out. The Secret is written before the Deployment that uses it, and its keys go, or all of
it, after the last pod that uses them: a container that restarts reads them again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from api.errors import FieldError
from configs import connection
from controller.llamastack.children.config_map import is_leaving
from controller.llamastack.children.managed_fields import ownership_patch
from controller.llamastack.children.writer import Applied
from controller.llamastack.objects.guard import guarded
from controller.llamastack.objects.kinds import FIELD_MANAGER, SECRET
from controller.llamastack.objects.ownership import check_writable
from controller.llamastack.objects.rollout import RolloutState, assess
from controller.llamastack.references.read_cache import versions
from controller.llamastack.references.storage_content import (
    NO_STORAGE,
    Content,
    Prepared,
    derive,
    held_keys,
    in_place,
    keys_of,
    source_names,
    state_of,
    without_values,
)
from controller.llamastack.render import names, storage_secret
from informers.errors import AlreadyExists, ImmutableField, StatusError
from informers.ports import ObjectKey, key_of
from informers.transforms import keep_metadata

if TYPE_CHECKING:
    from configs.connection import StorageSecret
    from controller.llamastack.cache.readers import Caches
    from controller.llamastack.references.secrets import SecretResolver
    from controller.llamastack.render.inputs import Inputs
    from controller.llamastack.render.manifest import Child
    from controller.runtime.ports import Manifest, Writer
    from informers.ports import Object

log = structlog.get_logger(__name__)


class StorageSecrets:
    """Keeps the Secrets of all resources.

    Args:
        caches: metadata of ours, and of those of users.
        writer: live calls.
        secrets: what is known of Secrets of users.
    """

    def __init__(self, caches: Caches, writer: Writer, secrets: SecretResolver) -> None:
        self._caches = caches
        self._writer = writer
        self._secrets = secrets
        # By uid of the resource: state of sources that cannot be used, and why.
        self._refused: dict[str, tuple[str, tuple[FieldError, ...]]] = {}

    async def prepare(self, cr: Object, wanted: StorageSecret | None) -> Prepared:
        """Find out what there is to do; reads the sources if they are needed.

        Args:
            cr: the resource.
            wanted: what its configuration asks for.

        Raises:
            ApiError: a source could not be read for another reason than that it is not there.
        """
        if wanted is None:
            return NO_STORAGE
        namespace, owner = key_of(cr).namespace, cr["metadata"]["uid"]
        keys = {name: ObjectKey(namespace, name) for name in source_names(wanted)}
        known = {name: self._secrets.version_of(key) for name, key in keys.items()}
        cached = {name: version for name, version in known.items() if version is not None}
        if not all(uid for uid, _ in cached.values()):
            return Prepared(moving=True)  # known to be missing
        if len(cached) == len(keys):
            state = state_of(wanted, cached)
            live = self._caches.owned(SECRET, wanted.name, cr)
            if live is not None and not is_leaving(live) and in_place(live, wanted, state):
                return Prepared(state)
            refused = self._refused.get(owner)
            if refused is not None and refused[0] == state:
                return Prepared(errors=refused[1])
        prepared = await self._read(wanted, keys)
        if prepared.errors:
            self._refused[owner] = prepared.state, prepared.errors
        return prepared

    async def _read(self, wanted: StorageSecret, keys: dict[str, ObjectKey]) -> Prepared:
        objects: dict[str, Object] = {}
        for name, key in keys.items():
            found, _ = await self._secrets.read(key)
            if found is None:
                return Prepared(moving=True)
            objects[name] = found
        for source in wanted.sources:
            if source.key not in (objects[source.name].get("data") or {}):
                return Prepared(moving=True)
        state = state_of(wanted, {name: versions(found) for name, found in objects.items()})
        result = derive(wanted, objects, state)
        if isinstance(result, Content):
            return Prepared(state, content=result)
        return Prepared(state, errors=result)

    async def write(self, inputs: Inputs, content: Content, deployment: Object | None) -> Applied:
        """Create the Secret, or put it right; as for other children, without their comparison.

        Keys that pods made before may still read, when a container restarts, stay for now.

        Args:
            inputs: what is asked for.
            content: what it shall hold.
            deployment: as it was before this reconcile.

        Raises:
            ResourceConflict: a Secret of that name belongs to somebody else.
            BeingDeleted: it has to vanish first.
            ApiError: the write failed.
        """
        child = storage_secret.render(inputs, content.data)
        try:
            live = await self._write(inputs.owner, child, keep_old=_has_pods(deployment))
        except StatusError as error:
            raise without_values(error, child.key.name, content) from None
        return Applied(keep_metadata(dict(live)), changed=True)

    async def _write(self, cr: Object, child: Child, *, keep_old: bool) -> Object:
        if self._caches.of(SECRET).get(child.key) is None:
            with suppress(AlreadyExists):  # foreign, or it lost our label
                return await self._create(child)
        live = await self._writer.get(SECRET, child.key)
        check_writable(SECRET, live, cr)
        patch = ownership_patch(live, cr_name=key_of(cr).name)
        if patch:
            await self._writer.json_patch(SECRET, child.key, patch, manager=FIELD_MANAGER)
        body = _over(live, child, keep_old=keep_old)
        try:
            applied = await self._writer.apply(SECRET, body, manager=FIELD_MANAGER)
        except ImmutableField:
            # Somebody made it immutable; pods read it by name when they start, so it can be
            # replaced.
            await self._writer.delete(SECRET, child.key, uid=live["metadata"]["uid"])
            return await self._create(child)
        if applied["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]:
            log.info("Applied object", kind="Secret", object=str(child.key))
        return applied

    async def _create(self, child: Child) -> Object:
        created = await self._writer.create(SECRET, child.manifest, manager=FIELD_MANAGER)
        log.info("Created object", kind="Secret", object=str(child.key))
        return created

    async def clean_up(self, inputs: Inputs, deployment: Object) -> None:
        """Remove what no pod uses any more: keys that are not asked for, or all of it.

        Args:
            inputs: what is asked for.
            deployment: as it is now.

        Raises:
            ApiError: the write failed.
        """
        cr, wanted = inputs.owner, inputs.generated.storage_secret
        live = self._caches.owned(SECRET, names.storage_secret(inputs.name), cr)
        if live is None or is_leaving(live) or not _rolled_out(deployment):
            return
        key = key_of(live)
        if wanted is None:
            await self._writer.delete(SECRET, key, uid=live["metadata"]["uid"])
            log.info("Deleted object", kind="Secret", object=str(key))
            return
        unused = held_keys(live) - keys_of(wanted)
        if unused:
            removals = ({"op": "remove", "path": f"/data/{name}"} for name in sorted(unused))
            patch = guarded(live, removals)
            await self._writer.json_patch(SECRET, key, patch, manager=FIELD_MANAGER)
            log.info("Removed keys", kind="Secret", object=str(key), keys=sorted(unused))

    def forget(self, cr: Object) -> None:
        """The resource is gone."""
        self._refused.pop(cr["metadata"]["uid"], None)


def _over(live: Object, child: Child, *, keep_old: bool) -> Manifest:
    wanted = child.manifest
    data = {
        key: value
        for key, value in (live.get("data") or {}).items()
        if keep_old and connection.is_variable(key)
    }
    metadata = {**wanted["metadata"], "uid": live["metadata"]["uid"]}
    return {**wanted, "metadata": metadata, "data": {**data, **wanted["data"]}}


def _has_pods(deployment: Object | None) -> bool:
    """Whether there may be pods: its controller has looked at it."""
    return bool(deployment and (deployment.get("status") or {}).get("observedGeneration"))


def _rolled_out(deployment: Object) -> bool:
    """Whether there is no pod of an older template."""
    return not _has_pods(deployment) or assess(deployment).state is RolloutState.COMPLETE
