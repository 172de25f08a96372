# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Sets of fields, and what server-side apply does with them. Pure.

This follows ``sigs.k8s.io/structured-merge-diff``, whose results decide what is in an object after
an apply, and which manager owns what: the functions have the names of theirs. A field is a path of
elements as ``fieldsV1`` spells them: ``f:spec``, ``k:{"name":"x"}`` for the item of a list with
keys, ``v:"x"`` for one of a set.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tests.support.fakeapi.merge_schema import PLAIN, Node

Path: TypeAlias = tuple[str, ...]
FieldSet: TypeAlias = frozenset[Path]

_ABSENT: Final = object()


class MalformedObject(Exception):
    """A list with keys or a set has the same item twice, or one without its key."""


@dataclass(frozen=True)
class Comparison:
    """How one object differs from another."""

    added: FieldSet
    modified: FieldSet
    removed: FieldSet


def to_field_set(value: Any, node: Node) -> FieldSet:
    """What an applied object claims.

    Raises:
        MalformedObject: see there.
    """
    return frozenset(_claimed(value, node, ()))


def _claimed(value: Any, node: Node, path: Path) -> Iterator[Path]:
    if _is_leaf(value, node):
        yield path
        return
    for element, child in children(value, node):
        below = (*path, element)
        yield from _claimed(child, node.child(element), below)
        if isinstance(value, list) or node.is_map or child is None or child == {}:
            yield below


def compare(old: Any, new: Any, node: Node) -> Comparison:
    """What an update did.

    Raises:
        MalformedObject: see there.
    """
    added: set[Path] = set()
    modified: set[Path] = set()
    removed: set[Path] = set()

    def one_sided(before: Any, path: Path) -> None:
        (added if before is _ABSENT else removed).add(path)

    def walk(before: Any, after: Any, node: Node, path: Path) -> None:
        before, after = _null_as_empty(before, after), _null_as_empty(after, before)
        absent = before is _ABSENT or after is _ABSENT
        present = after if before is _ABSENT else before
        both_empty = before in (_ABSENT, {}, []) and after in (_ABSENT, {}, [])
        other_kind = not absent and type(before) is not type(after)
        if _is_leaf(present, node) or both_empty or other_kind:
            if absent:
                one_sided(before, path)
            elif before != after:
                modified.add(path)
            return
        left, right = dict(children(before, node)), dict(children(after, node))
        for element in {**left, **right}:
            below = (left.get(element, _ABSENT), right.get(element, _ABSENT))
            walk(*below, node.child(element), (*path, element))
        if absent:
            one_sided(before, path)

    walk(old, new, node, ())
    return Comparison(frozenset(added), frozenset(modified), frozenset(removed))


def _null_as_empty(value: Any, other: Any) -> Any:
    return type(other)() if value is None and isinstance(other, (dict, list)) else value


def missing_keys(value: Any, node: Node, path: str = "") -> Iterator[str]:
    """Where an item of a list lacks a key that has no default but emptiness, e.g. ``env[0].name``.

    Such an object merges, and is refused afterwards.
    """
    if isinstance(value, dict) and not node.atomic:
        for name, child in value.items():
            below = f"{path}.{name}" if path else name
            yield from missing_keys(child, node.child(f"f:{name}"), below)
    elif isinstance(value, list) and node.keys:
        for number, item in enumerate(value):
            for key in node.keys:
                if not (item.get(key) or node.key_defaults.get(key)):
                    yield f"{path}[{number}].{key}"
            yield from missing_keys(item, node.items or PLAIN, f"{path}[{number}]")


def merge(live: Any, applied: Any, node: Node) -> Any:
    """The live object with what was applied to it.

    Raises:
        MalformedObject: see there.
    """
    if _is_leaf(applied, node) or type(live) is not type(applied):
        return applied
    if isinstance(applied, dict):
        merged = dict(live)
        for name, value in applied.items():
            known = name in live and value is not None
            merged[name] = merge(live[name], value, node.child(f"f:{name}")) if known else value
        return merged
    return _merge_lists(dict(children(live, node)), dict(children(applied, node)), node)


def _merge_lists(live: dict[str, Any], applied: dict[str, Any], node: Node) -> list[Any]:
    """Items in the order of the applied list; those of others stay near to where they were."""
    merged: list[Any] = []
    shared = [element for element in applied if element in live]
    left, right, done = list(live), list(applied), set[str]()

    def take(element: str) -> None:
        known, child = element in live, node.child(element)
        value = applied[element]
        merged.append(merge(live[element], value, child) if known else value)
        done.add(element)
        if shared and shared[0] == element:
            shared.pop(0)

    while left or right:
        if left and right and left[0] == right[0]:
            left.pop(0)
            take(right.pop(0))
        elif left and right and left[0] in applied and shared and shared[0] != left[0]:
            left.pop(0)
        elif left and left[0] not in applied:
            merged.append(live[left.pop(0)])
        else:
            if left and left[0] in done:
                left.pop(0)
            if right:
                take(right.pop(0))
    return merged


def remove_items(value: Any, fields: FieldSet, node: Node) -> Any:
    """The object without some fields.

    What is left of an object or list all of whose contents go, while it itself does not, is
    ``None``; so it is in the API server, too.
    """
    below = list(children(value, node))
    if not below:
        return None if isinstance(value, list) and value else value
    kept = [
        (element, remove_items(child, inner, node.child(element)) if inner else child)
        for element, child in below
        if (element,) not in fields
        for inner in [frozenset(p[1:] for p in fields if p[0] == element and len(p) > 1)]
    ]
    if isinstance(value, list):
        return [item for _, item in kept] or None
    return {element[2:]: item for element, item in kept} or None


def ensure_named_fields(fields: FieldSet, node: Node) -> FieldSet:
    """The set with every field of a schema that has some of its fields in it."""
    named = set(fields)
    for path in fields:
        below = node
        for depth, element in enumerate(path, start=1):
            if element.startswith("f:") and not below.is_map:
                named.add(path[:depth])
            below = below.child(element)
    return frozenset(named)


def _is_leaf(value: Any, node: Node) -> bool:
    if isinstance(value, dict):
        return node.atomic
    return not (isinstance(value, list) and node.is_list)


def children(value: Any, node: Node) -> Iterator[tuple[str, Any]]:
    """What a value is merged by, with the path element of each; nothing for a leaf.

    Raises:
        MalformedObject: see there.
    """
    if _is_leaf(value, node):
        return
    if isinstance(value, dict):
        yield from ((f"f:{name}", child) for name, child in value.items())
        return
    seen = set()
    for item in value:
        element = _element(item, node)
        if element in seen:
            raise MalformedObject(f"duplicate entries for key {element[2:]}")
        seen.add(element)
        yield element, item


def _element(item: Any, node: Node) -> str:
    if node.is_set:
        return f"v:{_json(item)}"
    keys = {}
    for key in sorted(node.keys):
        if key in item:
            keys[key] = item[key]
        elif key in node.key_defaults:
            keys[key] = node.key_defaults[key]
        else:
            raise MalformedObject(f'an item omits key field "{key}" (and has no default value)')
    return f"k:{_json(keys)}"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def in_words(path: Path) -> str:
    """As messages spell a path, e.g. ``.spec.containers[name="x"].image``."""
    return "".join(_in_words(element[:1], element[2:]) for element in path)


def _in_words(kind: str, text: str) -> str:
    if kind == "f":
        return f".{text}"
    if kind == "v":
        return f"[={text}]"
    keys = ",".join(f"{name}={_json(value)}" for name, value in json.loads(text).items())
    return f"[{keys}]"


# --- fieldsV1 ------------------------------------------------------------------------------------


def encode(fields: FieldSet) -> dict[str, Any]:
    """As ``fieldsV1`` spells a set."""
    tree: dict[str, Any] = {}
    for path in sorted(fields):
        at = tree
        for element in path:
            at = at.setdefault(element, {})
        at["."] = {}
    return _without_dots_of_leaves(tree)


def _without_dots_of_leaves(tree: dict[str, Any]) -> dict[str, Any]:
    if tree.keys() == {"."}:
        return {}
    return {name: below if name == "." else _without_dots_of_leaves(below)
            for name, below in tree.items()}  # fmt: skip


def decode(tree: Mapping[str, Any], path: Path = ()) -> FieldSet:
    """The set that a ``fieldsV1`` is."""
    return frozenset(_decoded(tree, path))


def _decoded(tree: Mapping[str, Any], path: Path) -> Iterable[Path]:
    if "." in tree or (path and not tree):
        yield path
    for element, below in tree.items():
        if element != ".":
            yield from _decoded(below, (*path, element))
