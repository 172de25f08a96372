# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Every stored object in the storage version, once, after an upgrade of the CRD (KEP-2855).

Until then the API server converts an object whenever it reads it, and the CRD can never lose the
old version: it remembers in ``status.storedVersions`` that there are such objects. So the leader
writes each of them as it is, which changes nothing but the bytes in etcd, and then takes the old
versions off that list.

A patch that changes nothing is enough: the API server compares bytes, and those of an old object
differ. It goes to the status, which the operator may write anyway, and where nobody's admission
asks about it. Whoever takes over begins again: objects that are done cost a request and no write.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog

from api import VERSION
from controller.llamastack.objects.kinds import FIELD_MANAGER, LLAMA_STACK
from controller.llamastack.watches import Right
from controller.runtime.concurrency import gather_settled, unwrap
from informers.backoff import exponential
from informers.errors import ApiError, Conflict, Forbidden, Gone, Invalid, NotFound
from informers.ports import ObjectKey, key_of
from llamastack_operator.kube.kinds import CRD
from llamastack_operator.kube.rest import JSON_PATCH, MERGE_PATCH

if TYPE_CHECKING:
    from informers.ports import Object
    from llamastack_operator.kube.rest import Client

log = structlog.get_logger(__name__)

PAGE: Final = 200  # objects between two lines of progress
AT_ONCE: Final = 4  # there is no hurry, and reconciles go on beside it
SHORTEST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0  # between attempts; nothing waits for it
_KEY: Final = ObjectKey("", str(LLAMA_STACK))

MIGRATION_RIGHTS: Final = (
    Right("get", CRD, name=_KEY.name),
    Right("patch", CRD, subresource="status", name=_KEY.name),
)
"""In the cluster, beside those for the status of resources."""


class StorageMigration:
    """The migration of one cluster.

    Args:
        client: of the cluster.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def run(self) -> None:
        """Migrate; returns when there is nothing left to do, or no right to do it."""
        failures = 0
        while not await self._attempt(failures):
            await asyncio.sleep(exponential(SHORTEST_PAUSE_S, failures, cap_s=LONGEST_PAUSE_S))
            failures += 1

    async def _attempt(self, failures: int) -> bool:
        """Try once; whether another attempt is of no use."""
        try:
            await self._migrate()
        except Forbidden as error:
            log.warning(
                "Left stored objects in their old version for want of a right", error=error.message
            )
        except ApiError as error:
            log.warning("Failed to migrate stored objects", error=str(error), attempt=failures + 1)
            return False
        return True

    async def _migrate(self) -> None:
        definition = await self._client.get(CRD, _KEY)
        stored = (definition.get("status") or {}).get("storedVersions") or []
        if stored == [VERSION] or _storage_version(definition) != VERSION:
            return
        log.info("Started to migrate stored objects", versions=stored)
        count = await self._rewrite_all()
        await self._trim(stored)
        log.info("Migrated stored objects", objects=count)

    async def _rewrite_all(self) -> int:
        source = self._client.lister_watcher(LLAMA_STACK, namespace="", metadata_only=True)
        count, token = 0, ""
        failure: ApiError | None = None  # of one object, which must not stop the others
        while True:
            try:
                page = await source.list_page(
                    resource_version=None, limit=PAGE, continue_token=token
                )
            except Gone:  # the snapshot expired: begin again, what is done costs little
                count, token = 0, ""
                continue
            for start in range(0, len(page.items), AT_ONCE):
                batch = page.items[start : start + AT_ONCE]
                for result in await gather_settled(*map(self._rewrite, batch)):
                    if isinstance(result, ApiError):
                        failure = failure or result
                    else:
                        unwrap(result)
            count, token = count + len(page.items), page.continue_token
            if not token and failure is not None:
                raise failure
            if not token:
                return count
            log.info("Rewrote stored objects", objects=count)

    async def _rewrite(self, obj: Object) -> None:
        key = key_of(obj)
        path = LLAMA_STACK.path(namespace=key.namespace, name=key.name, subresource="status")
        try:
            await self._client.request("PATCH", path, body={}, content_type=MERGE_PATCH)
        except NotFound:
            return  # deleted meanwhile

    async def _trim(self, stored: list[str]) -> None:
        """Take the old versions off the list, if it is still the one that was worked on."""
        operations: list[dict[str, Any]] = [
            {"op": "test", "path": "/status/storedVersions", "value": stored},
            {"op": "replace", "path": "/status/storedVersions", "value": [VERSION]},
        ]
        try:
            await self._client.request(
                "PATCH",
                CRD.path(name=_KEY.name, subresource="status"),
                query={"fieldManager": FIELD_MANAGER},
                body=operations,
                content_type=JSON_PATCH,
            )
        except (Conflict, Invalid) as error:
            raise ApiError("the CustomResourceDefinition changed meanwhile") from error


def _storage_version(definition: Object) -> str:
    versions = definition["spec"]["versions"]
    return next((v["name"] for v in versions if v.get("storage")), "")
