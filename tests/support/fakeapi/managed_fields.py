# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Who owns which fields: ``metadata.managedFields``, before and after each kind of write. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from tests.support.fakeapi.field_sets import (
    FieldSet,
    compare,
    decode,
    encode,
    ensure_named_fields,
    merge,
    remove_items,
    to_field_set,
)
from tests.support.fakeapi.merge_schema import Node

Json: TypeAlias = dict[str, Any]

_NEVER_OWNED: Final = frozenset(
    [("f:apiVersion",), ("f:kind",), ("f:metadata",)]
    + [
        ("f:metadata", f"f:{name}")
        for name in (
            *("name", "namespace", "creationTimestamp", "selfLink", "uid", "generation"),
            *("managedFields", "resourceVersion"),
        )
    ]
)
"""The server's own, and what says which object it is."""


@dataclass(frozen=True)
class Manager:
    """Who wrote, and how; each is an entry of its own."""

    name: str
    operation: Literal["Apply", "Update"]
    api_version: str
    subresource: str = ""


@dataclass(frozen=True)
class Owned:
    """What a manager owns, and when that last changed."""

    fields: FieldSet
    time: str = ""


Managers: TypeAlias = Mapping[Manager, Owned]


class FieldsOwned(Exception):
    """An apply without force would take fields from others, by manager."""

    def __init__(self, conflicts: Mapping[Manager, FieldSet]) -> None:
        super().__init__("fields are owned by others")
        self.conflicts = conflicts


def managers_of(obj: Mapping[str, Any]) -> dict[Manager, Owned]:
    """From an object."""
    return {
        Manager(
            entry.get("manager", ""),
            entry.get("operation", "Update"),
            entry.get("apiVersion", ""),
            entry.get("subresource", ""),
        ): Owned(decode(entry.get("fieldsV1") or {}), entry.get("time", ""))
        for entry in (obj.get("metadata") or {}).get("managedFields") or ()
        if entry
    }


def entries_of(managers: Managers) -> list[Json]:
    """For an object: applies first, then by time."""

    def order(item: tuple[Manager, Owned]) -> tuple[str, ...]:
        manager, owned = item
        return manager.operation, owned.time, manager.name, manager.subresource

    return [_entry(manager, owned) for manager, owned in sorted(managers.items(), key=order)]


def _entry(manager: Manager, owned: Owned) -> Json:
    entry: Json = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
        "time": owned.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": encode(owned.fields),
    }
    return entry | ({"subresource": manager.subresource} if manager.subresource else {})


def without_entries(obj: Mapping[str, Any]) -> Json:
    """The object as fields see it."""
    metadata = {n: v for n, v in (obj.get("metadata") or {}).items() if n != "managedFields"}
    return {**obj, "metadata": metadata}


def updated(
    live: Json, new: Json, managers: Managers, manager: Manager, *, node: Node, time: str
) -> dict[Manager, Owned]:
    """After a create, a replace or a patch: what changed is the writer's.

    Args:
        live: before; without managed fields.
        new: after; likewise.
        managers: before.
        manager: the writer.
        node: how the kind merges.
        time: now.
    """
    change = compare(live, new, node)
    touched = (change.added | change.modified) - _NEVER_OWNED
    left = _without(managers, change.removed | touched, but=None)
    if touched:
        left[manager] = Owned(touched | _fields(managers, manager) - change.removed, time)
    return left


def applied(
    live: Json,
    config: Json,
    managers: Managers,
    manager: Manager,
    *,
    node: Node,
    time: str,
    force: bool,
) -> tuple[Json, dict[Manager, Owned]]:
    """After an apply: the object, and who owns what.

    Args:
        live: before; without managed fields, empty if there was none.
        config: what is applied.
        managers: before.
        manager: the applier.
        node: how the kind merges.
        time: now.
        force: take fields from others.

    Raises:
        MalformedObject: a list with keys has an item twice or without its key.
        FieldsOwned: somebody else owns a field with another value.
    """
    last = _fields(managers, manager)
    claimed = to_field_set(config, node)
    after = {**managers, manager: Owned(claimed, time)}
    merged = merge(live, config, node)
    new = _pruned(merged, last, after.values(), node) if last else merged
    change = compare(live, new, node)
    conflicts = {
        other: owned.fields & (change.added | change.modified)
        for other, owned in managers.items()
        if other != manager
    }
    if not force and any(conflicts.values()):
        raise FieldsOwned({other: fields for other, fields in conflicts.items() if fields})
    claimed -= _NEVER_OWNED
    after[manager] = Owned(claimed, time)
    after = _without(after, change.added | change.modified | change.removed, but=manager)
    if last == claimed and new == live and manager in managers:
        after[manager] = managers[manager]
    return new, after


def _pruned(merged: Json, last: FieldSet, owners: Iterable[Owned], node: Node) -> Json:
    """Without what the applier does not claim any more and nobody else owns."""
    pruned = remove_items(merged, ensure_named_fields(last, node), node) or {}
    everything = ensure_named_fields(to_field_set(merged, node), node)
    owned = frozenset[tuple[str, ...]]().union(*(owner.fields for owner in owners))
    kept = ensure_named_fields(to_field_set(pruned, node), node) | ensure_named_fields(owned, node)
    pruned = remove_items(merged, everything - kept, node) or {}
    kept = ensure_named_fields(to_field_set(pruned, node), node)
    dropped = (everything - kept) & ensure_named_fields(last, node)
    return remove_items(merged, dropped, node) or {}


def _fields(managers: Managers, manager: Manager) -> FieldSet:
    return managers[manager].fields if manager in managers else frozenset()


def _without(managers: Managers, fields: FieldSet, *, but: Manager | None) -> dict[Manager, Owned]:
    left = {
        manager: owned if manager == but else Owned(owned.fields - fields, owned.time)
        for manager, owned in managers.items()
    }
    return {manager: owned for manager, owned in left.items() if owned.fields}
