# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The cached world of this controller, as the reconciler reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from controller.llamastack.cache.reference_index import REFERENCE_INDEX, Referenced, reference
from controller.llamastack.objects.kinds import (
    CONFIG_MAP,
    LLAMA_STACK,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SECRET,
)
from controller.llamastack.objects.ownership import belongs, controller_of, is_owned
from controller.llamastack.objects.pods import POD_INDEX
from controller.llamastack.render import names
from controller.llamastack.render.labels import COMPONENT, CONFIG
from informers.ports import ObjectKey, Resource, key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.runtime.ports import Reader
    from informers.ports import Object

OWNER_INDEX = "owner"
"""Index of ConfigMaps: uid of the controlling resource."""

CacheKey: TypeAlias = Resource | Referenced
"""Names a cache: a kind, or what is referred to of a kind."""


class Caches:
    """The readers, by kind.

    Args:
        readers: one for each row of the watch table.
    """

    def __init__(self, readers: Mapping[CacheKey, Reader]) -> None:
        self._readers = readers

    def of(self, resource: Resource) -> Reader:
        """The reader of a kind.

        Raises:
            KeyError: it is not watched, which says nothing about the cluster.
        """
        return self._readers[resource]

    def owned(self, resource: Resource, name: str, cr: Object) -> Object | None:
        """The object of that name beside the resource, if it is the resource's own."""
        live = self.of(resource).get(ObjectKey(cr["metadata"]["namespace"], name))
        return live if live is not None and belongs(resource, live, cr) else None

    @property
    def resources(self) -> Reader:
        """The custom resources."""
        return self.of(LLAMA_STACK)

    @property
    def secrets(self) -> Reader:
        """Metadata of the Secrets that are referred to."""
        return self.referenced(SECRET)

    def referenced(self, resource: Resource) -> Reader:
        """Metadata of the objects of users that are referred to."""
        return self._readers[Referenced(resource)]

    def config_map(self, key: ObjectKey) -> Object | None:
        """Metadata of a ConfigMap that is referred to, whoever made it.

        Users name what they like: also one with our label, e.g. another resource's generated one.
        """
        for cache in (Referenced(CONFIG_MAP), CONFIG_MAP):
            if (found := self._readers[cache].get(key)) is not None:
                return found
        return None

    def users_of(self, resource: Resource, obj: Object) -> list[ObjectKey]:
        """The custom resources that name an object."""
        entry = reference(resource, key_of(obj))
        return [key_of(user) for user in self.resources.by_index(REFERENCE_INDEX, entry)]

    def config_maps_of(self, cr: Object) -> list[Object]:
        """Metadata of the generated ConfigMaps that the resource controls."""
        owned = self.of(CONFIG_MAP).by_index(OWNER_INDEX, cr["metadata"]["uid"])
        return [
            obj
            for obj in owned
            if is_owned(obj, cr) and obj["metadata"]["labels"].get(COMPONENT) == CONFIG
        ]

    def registry_records_of(self, cr: Object) -> list[Object]:
        """What tells of a registry where no Deployment does: see ``registry_state``."""
        claim = self.owned(PERSISTENT_VOLUME_CLAIM, names.claim(cr["metadata"]["name"]), cr)
        return [*self.config_maps_of(cr), *([claim] if claim else [])]

    def kept_pods_of(self, cr: Object) -> list[Object]:
        """What is wrong with the pods of the resource's Deployment, and what they install."""
        metadata = cr["metadata"]
        key = f"{metadata['namespace']}/{metadata['name']}"
        return list(self.of(POD).by_index(POD_INDEX, key))


def owner_index(obj: Object) -> list[str]:
    """Index function: uid of the controller."""
    owner = controller_of(obj)
    return [owner["uid"]] if owner and "uid" in owner else []
