# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which objects of users a resource names: what is kept of them, and whom their events wake.

Works on the raw object, so that a resource which does not parse loses no wake-up call, and is
generous: a name too many costs one entry of an index, a name too few would be a resource that
waits for ever. What a reference means is decided by ``api.v1alpha2.references``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller.llamastack.objects.kinds import CONFIG_MAP, SECRET
from informers.ports import Object, ObjectKey, Resource, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE_INDEX = "reference"
"""Index of custom resources: each object that they name, as :func:`reference` writes it."""

ODH_CA_BUNDLE = "odh-trusted-ca-bundle"
"""ConfigMap that Open Data Hub puts into every namespace: what the cluster's administrator trusts.
Each resource refers to that of its namespace without saying so."""


@dataclass(frozen=True, slots=True)
class Referenced:
    """Name of the cache of the objects of users that are referred to.

    Of one kind there may be two caches: our own objects, by label, and these, which have none.

    Attributes:
        resource: the kind.
    """

    resource: Resource

    def __str__(self) -> str:
        return f"{self.resource}-referenced"


def reference(resource: Resource, key: ObjectKey) -> str:
    """How the index spells an object."""
    return f"{resource}/{key}"


def referred_object(entry: str) -> tuple[Resource, ObjectKey]:
    """The object that an entry of the index stands for."""
    kind, namespace, name = entry.split("/", 2)
    return (SECRET if kind == str(SECRET) else CONFIG_MAP), ObjectKey(namespace, name)


def reference_index(obj: Object) -> list[str]:
    """Index function: every Secret and ConfigMap that a custom resource names, valid or not."""
    namespace = key_of(obj).namespace
    implied = reference(CONFIG_MAP, ObjectKey(namespace, ODH_CA_BUNDLE))
    return sorted({implied, *(reference(*found) for found in _found(obj.get("spec"), namespace))})


def secrets_of_pods(obj: Object) -> list[ObjectKey]:
    """The Secrets that a custom resource names for its pods, before anybody has checked it.

    Without those of databases: their content is needed, so they are read when it is known for what.
    """
    namespace, spec = key_of(obj).namespace, obj.get("spec")
    storage = spec.get("storage") if isinstance(spec, dict) else None

    def named(node: object) -> set[ObjectKey]:
        found = _found(node, namespace, pull_secrets=False)
        return {key for resource, key in found if resource == SECRET}

    return sorted(named(spec) - named(storage))


def is_always_kept(resource: Resource, key: ObjectKey) -> bool:
    """Whether an object is held in the cache even while no resource refers to it.

    Of what is found, not named, absence is no error, so nothing would make us look for it: that it
    is not in the cache has to mean that it is not there, for a resource made later, too. There is
    one such name, so there are as many such objects as namespaces at most.
    """
    return resource == CONFIG_MAP and key.name == ODH_CA_BUNDLE


_SECRET_FIELDS = ("secretName", "tlsSecretName")
_NAMED = {
    "secretKeyRef": SECRET,
    "secret": SECRET,  # a source of a projected volume
    "configMapKeyRef": CONFIG_MAP,
    "configMap": CONFIG_MAP,  # a volume, or a source of one
}


def _found(
    node: Any, namespace: str, *, pull_secrets: bool = True
) -> Iterator[tuple[Resource, ObjectKey]]:
    if isinstance(node, dict):
        yield from _in_fields(node, namespace)
        # No reconcile needs them; but with another pull secret a registry may show what it refused
        # before.
        pulled = node.get("imagePullSecrets") if pull_secrets else None
        for entry in pulled if isinstance(pulled, list) else ():
            yield from _named(SECRET, entry, namespace)
        for value in node.values():
            yield from _found(value, namespace, pull_secrets=pull_secrets)
    elif isinstance(node, list):
        for value in node:
            yield from _found(value, namespace, pull_secrets=pull_secrets)


def _in_fields(node: dict[str, Any], namespace: str) -> Iterator[tuple[Resource, ObjectKey]]:
    for field, resource in _NAMED.items():
        yield from _named(resource, node.get(field), namespace)
    for field in _SECRET_FIELDS:
        if isinstance(name := node.get(field), str) and name:
            yield SECRET, ObjectKey(namespace, name)
    if isinstance(name := node.get("configMapName"), str) and name:
        elsewhere = node.get("configMapNamespace")
        home = elsewhere if isinstance(elsewhere, str) and elsewhere else namespace
        yield CONFIG_MAP, ObjectKey(home, name)


def _named(resource: Resource, node: Any, namespace: str) -> Iterator[tuple[Resource, ObjectKey]]:
    if isinstance(node, dict) and isinstance(name := node.get("name"), str) and name:
        yield resource, ObjectKey(namespace, name)
