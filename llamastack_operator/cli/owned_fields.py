# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Of a live object, what a take-over can change. Pure.

What others wrote, such as an annotation of ``kubectl rollout restart`` or a container that a mesh
injected, stays, and is no difference. So an object is cut down to the fields that its managed
fields give to the operator that is replaced, and to those that ours writes, whoever has them now.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

Fields = Mapping[str, Any]
"""A tree of ``fieldsV1``: ``f:name`` for a field, ``k:{...}`` for the member of a list with these
keys, ``v:...`` for a value in a set; an empty tree stands for all that is below."""

_IDENTITIES: Final = ("name", "mountPath", "containerPort", "topologyKey", "type")
"""What tells members of a list apart, where there is no entry of managed fields to say it."""


def union(entries: Iterable[Mapping[str, Any]]) -> Fields:
    """All that some entries of managed fields own."""
    merged: Fields = {}
    for entry in entries:
        merged = _union(merged, entry.get("fieldsV1") or {})
    return merged


def _union(a: Fields, b: Fields) -> Fields:
    merged = dict(a)
    for name, below in b.items():
        merged[name] = _union(merged[name], below) if name in merged else below
    return merged


def cut(live: Any, owned: Fields | None, wanted: Any) -> Any:
    """The part of a value that is owned, or that is wanted in whatever form.

    Args:
        live: the value.
        owned: what of it; empty for all, ``None`` for nothing.
        wanted: what will be written there; ``None`` for nothing.
    """
    if owned is not None and not owned:
        return live
    if isinstance(live, dict):
        return _cut_object(live, owned, wanted if isinstance(wanted, dict) else {})
    if isinstance(live, list):
        return _cut_list(live, owned, wanted if isinstance(wanted, list) else [])
    return live


def _cut_object(live: Mapping[str, Any], owned: Fields | None, wanted: Mapping[str, Any]) -> Any:
    kept = {}
    for name, value in live.items():
        below = (owned or {}).get(f"f:{name}")
        if below is not None or name in wanted:
            kept[name] = cut(value, below, wanted.get(name))
    return kept


def _cut_list(live: list[Any], owned: Fields | None, wanted: list[Any]) -> list[Any]:
    kept = []
    for member in live:
        below = _owned_member(member, owned)
        same = next((w for w in wanted if same_member(member, w)), None)
        if below is not None or same is not None:
            kept.append(cut(member, below, same))
    return kept


def _owned_member(member: Any, owned: Fields | None) -> Fields | None:
    for key, below in (owned or {}).items():
        kind, _, text = key.partition(":")
        if kind == "k" and isinstance(member, dict):
            keys = json.loads(text)
            if all(member.get(name) == value for name, value in keys.items()):
                found: Fields = below
                return found
        elif kind == "v" and json.loads(text) == member:
            return {}
    return None


def same_member(a: Any, b: Any) -> bool:
    """Whether two members of lists are one and the same, perhaps with other content."""
    if not isinstance(a, dict) or not isinstance(b, dict):
        return bool(a == b)
    for name in _IDENTITIES:
        if name in a and name in b:
            return bool(a[name] == b[name])
    return a.keys() == b.keys()
