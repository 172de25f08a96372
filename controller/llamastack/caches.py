# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The cached world of this controller, as the reconciler reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.llamastack.kinds import CONFIG_MAP, LLAMA_STACK, SECRET
from controller.llamastack.ownership import controller_of, is_owned
from informers.ports import ObjectKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from controller.runtime.ports import Reader
    from informers.ports import Object, Resource

OWNER_INDEX = "owner"
"""Index of ConfigMaps: uid of the controlling resource."""

SECRET_INDEX = "secret"  # noqa: S105 -- the name of an index
"""Index of custom resources: ``namespace/name`` of each Secret they refer to."""


class Caches:
    """The readers, by kind.

    Args:
        readers: one for each row of the watch table.
    """

    def __init__(self, readers: Mapping[Resource, Reader]) -> None:
        self._readers = readers

    def of(self, resource: Resource) -> Reader:
        """The reader of a kind.

        Raises:
            KeyError: it is not watched, which says nothing about the cluster.
        """
        return self._readers[resource]

    def owned(self, resource: Resource, name: str, cr: Object) -> Object | None:
        """The object of that name beside the resource, if the resource controls it."""
        live = self.of(resource).get(ObjectKey(cr["metadata"]["namespace"], name))
        return live if live is not None and is_owned(live, cr) else None

    @property
    def resources(self) -> Reader:
        """The custom resources."""
        return self.of(LLAMA_STACK)

    @property
    def secrets(self) -> Reader:
        """Metadata of the Secrets that are referred to."""
        return self.of(SECRET)

    def config_maps_of(self, cr: Object) -> list[Object]:
        """Metadata of the generated ConfigMaps that the resource controls."""
        owned = self.of(CONFIG_MAP).by_index(OWNER_INDEX, cr["metadata"]["uid"])
        return [obj for obj in owned if is_owned(obj, cr)]


def owner_index(obj: Object) -> list[str]:
    """Index function: uid of the controller."""
    owner = controller_of(obj)
    return [owner["uid"]] if owner and "uid" in owner else []


def secret_index(obj: Object) -> list[str]:
    """Index function: every Secret that a custom resource names, valid or not.

    Works on the raw object, so that a resource which does not parse loses no wake-up call.
    """
    namespace = obj["metadata"].get("namespace", "")
    return sorted({f"{namespace}/{name}" for name in _secret_names(obj.get("spec"))})


def _secret_names(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        reference = node.get("secretKeyRef")
        if isinstance(reference, dict) and isinstance(reference.get("name"), str):
            yield reference["name"]
        yield from _pull_secret_names(node.get("imagePullSecrets"))
        for value in node.values():
            yield from _secret_names(value)
    elif isinstance(node, list):
        for value in node:
            yield from _secret_names(value)


def _pull_secret_names(references: Any) -> Iterator[str]:
    """Not needed by a pass, but what a registry refused may be shown to another password."""
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, dict) and isinstance(reference.get("name"), str):
            yield reference["name"]
