# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The generated ConfigMap: immutable, named after its content, a few generations kept (R-D3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from controller.llamastack.children.writer import Applied
from controller.llamastack.objects.kinds import CONFIG_HASH, CONFIG_MAP, FIELD_MANAGER, REPLICA_SET
from controller.llamastack.objects.ownership import is_owned
from controller.llamastack.render import configmap, labels, names
from informers.errors import AlreadyExists
from informers.ports import Object, ObjectKey, key_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from controller.runtime.ports import Writer

log = structlog.get_logger(__name__)

KEPT_WITHOUT_QUESTION = 2  # the current one and, for a rollback, the one before


class ConfigMapNameTaken(Exception):
    """Every name that the content allows is taken by an object with other content."""


class ConfigMapWriter:
    """Creates and prunes generated ConfigMaps.

    Args:
        writer: live calls.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def ensure(
        self,
        cr: Object,
        owned: Sequence[Object],
        data: Mapping[str, str],
        digest: str,
        *,
        registry: str = "",
    ) -> Applied:
        """The ConfigMap with this content; a new one under a longer name if need be.

        Args:
            cr: the resource.
            owned: metadata of the generated ConfigMaps that it controls.
            data: the content by key.
            digest: its hash in hex.
            registry: state of the server's registry with it, for a new one.

        Raises:
            ConfigMapNameTaken: even the name with the whole hash is taken.
            ApiError: the write failed.
        """
        found = in_place(owned, digest)
        if found is not None:
            return Applied(found, changed=False)
        for length in names.CONFIG_HASH_LENGTHS:
            name = names.config_map(cr["metadata"]["name"], digest, length)
            manifest = configmap.generated(cr, name, data, digest, registry=registry)
            try:
                created = await self._writer.create(CONFIG_MAP, manifest, manager=FIELD_MANAGER)
            except AlreadyExists:
                live = await self._writer.get(CONFIG_MAP, key_of(manifest))
                if is_owned(live, cr) and live.get("data") == manifest["data"]:
                    return Applied(live, changed=False)
                log.warning("Found the name of a ConfigMap taken", object=str(key_of(manifest)))
                continue
            log.info("Created object", kind="ConfigMap", object=str(key_of(created)))
            return Applied(created, changed=True)
        raise ConfigMapNameTaken(
            f"ConfigMap names {cr['metadata']['name']}-config-<hash> are all taken by objects "
            f"that are not ours; delete those that start with "
            f'"{names.config_map(cr["metadata"]["name"], digest)}"'
        )

    async def prune(self, cr: Object, owned: Sequence[Object], current: Collection[str]) -> None:
        """Delete what no pod can need: not the current one, not the one before, not in use.

        In use means mounted by a ReplicaSet that still has replicas: a rollout that is stuck keeps
        old pods serving, and they must be able to restart. ReplicaSets are read live, and only
        when there is something to delete, so that nobody pays for a watch.
        """
        old = sorted(
            (c for c in owned if key_of(c).name not in current and not is_leaving(c)),
            key=_age,
            reverse=True,
        )
        candidates = old[KEPT_WITHOUT_QUESTION - 1 :]
        if not candidates:
            return
        used = await self._mounted(cr)
        for candidate in candidates:
            key = key_of(candidate)
            if key.name not in used:
                await self._writer.delete(CONFIG_MAP, key, uid=candidate["metadata"]["uid"])
                log.info("Deleted object", kind="ConfigMap", object=str(key))

    async def _mounted(self, cr: Object) -> set[str]:
        key: ObjectKey = key_of(cr)
        selector = ",".join(f"{k}={v}" for k, v in labels.selector(key.name).items())
        replica_sets = await self._writer.list_all(
            REPLICA_SET, namespace=key.namespace, label_selector=selector
        )
        return {
            volume["configMap"]["name"]
            for replica_set in replica_sets
            if (replica_set["spec"].get("replicas") or 0)
            or (replica_set.get("status") or {}).get("replicas")
            for volume in replica_set["spec"]["template"]["spec"].get("volumes") or ()
            if "configMap" in volume
        }


def in_place(owned: Sequence[Object], digest: str) -> Object | None:
    """The one with this content, if it is there to stay.

    Args:
        owned: metadata of ConfigMaps of ours.
        digest: of the content in hex.
    """
    for candidate in owned:
        annotations = candidate["metadata"].get("annotations") or {}
        if annotations.get(CONFIG_HASH) == digest and not is_leaving(candidate):
            return candidate
    return None


def _age(config_map: Object) -> tuple[str, int, str]:
    """Sorts by age; several edits in the second that a timestamp has are told apart by version."""
    metadata = config_map["metadata"]
    version = str(metadata.get("resourceVersion", ""))
    # An immutable object keeps the version that it was created with; longer is newer (KEP-5504).
    return metadata.get("creationTimestamp", ""), len(version), version


def is_leaving(obj: Object) -> bool:
    """Whether the object is being deleted."""
    return bool(obj["metadata"].get("deletionTimestamp"))
