# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Places in JSON data, and changes at places: pure, and the data is never changed.

A place is a sequence of steps. A step is a key of an object, or an identity: an object with the
fields that tell an item of a list from the others (``{"id": "vllm", "provider": "remote::vllm"}``).
An identity also stands for the only item where one may be written without its list, so a change
for one provider is never made to another one that took its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from api.model import Json

Step: TypeAlias = str | Mapping[str, str]
Place: TypeAlias = tuple[Step, ...]


class _Absent:
    """That nothing is there; null is something."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()

IDENTIFYING: Final = ("id", "provider", "name")
"""Fields that identify a provider or a model."""


class NoSuchPlace(Exception):
    """A step leads nowhere, or into something that has no such steps."""


@dataclass(frozen=True, slots=True)
class Change:
    """A value at a place.

    Attributes:
        place: where.
        value: what is there; :data:`ABSENT` if nothing is.
    """

    place: Place
    value: Any


def get(node: Any, keys: Sequence[str]) -> Any:
    """What is at some keys; :data:`ABSENT` if nothing or null is."""
    for key in keys:
        if not isinstance(node, Mapping) or key not in node:
            return ABSENT
        node = node[key]
    return ABSENT if node is None else node


def put(node: Json, keys: Sequence[str], value: Any) -> None:
    """Set what is at some keys of an object that is being made; missing objects are added."""
    for key in keys[:-1]:
        node = node.setdefault(key, {})
    node[keys[-1]] = value


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same JSON. Unlike ``==``, 1 is neither true nor 1.0."""
    if left is right:  # what a conversion only moves, however deep it is
        return True
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)


def identity(item: Any) -> dict[str, str]:
    """The fields that tell an item from the others of its list; empty if it has none."""
    if not isinstance(item, Mapping):
        return {}
    return {key: item[key] for key in IDENTIFYING if isinstance(item.get(key), str)}


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of places.

    Attributes:
        is_keyed: whether the items there have identities, and may be written without a list.
        is_shared: whether other changes may be made below the place, so that a new object there is
            told field by field.
    """

    is_keyed: Callable[[Place], bool]
    is_shared: Callable[[Place], bool]


def differences(base: Any, wanted: Any, shape: Shape, place: Place = ()) -> Iterator[Change]:
    """The changes that make one value of another.

    Args:
        base: what there is.
        wanted: what there should be.
        shape: what is known of the places in both.
        place: of both.
    """
    if same(base, wanted):
        return
    if shape.is_keyed(place) and (pairs := _paired(base, wanted)) is not None:
        for item, other in pairs:
            yield from differences(item, other, shape, (*place, identity(item)))
    elif isinstance(base, Mapping) and isinstance(wanted, Mapping):
        for key in wanted:
            value, there = base.get(key, ABSENT), (*place, key)
            if value is ABSENT and wanted[key] and shape.is_shared(there):
                value = {}
            if value is ABSENT:
                yield Change(there, wanted[key])
            else:
                yield from differences(value, wanted[key], shape, there)
        for key in base:
            if key not in wanted:
                yield Change((*place, key), ABSENT)
    else:
        yield Change(place, wanted)


def _paired(base: Any, wanted: Any) -> list[tuple[Any, Any]] | None:
    """The items of both, if each has its counterpart and cannot be taken for another."""
    one = isinstance(base, Mapping) and isinstance(wanted, Mapping)
    left, right = ([base], [wanted]) if one else (base, wanted)
    if not isinstance(left, list | tuple) or not isinstance(right, list | tuple):
        return None
    if len(left) != len(right):
        return None
    pairs = list(zip(left, right, strict=True))
    unlike = [identity(item) for item, other in pairs if not same(item, other)]
    known = [identity(item) for item in left]
    if any(identity(item) != identity(other) for item, other in pairs):
        return None
    if any(not name or known.count(name) > 1 for name in unlike):
        return None
    return pairs


def is_made(node: Any, change: Change) -> bool:
    """Whether making a change would leave a value as it is."""
    try:
        return same(changed(node, (change,)), node)
    except NoSuchPlace:
        return False


def path_of(place: Place) -> str:
    """A place in the words of error messages, e.g. ``spec.providers.inference[vllm].endpoint``."""
    path = ""
    for step in place:
        if isinstance(step, str):
            path += f".{step}" if path else step
        else:
            path += f"[{step.get('id') or step.get('name') or step.get('provider')}]"
    return path


def changed(node: Any, changes: Iterable[Change]) -> Any:
    """A copy with some changes.

    Raises:
        NoSuchPlace: one cannot be made.
    """
    for change in changes:
        node = _changed(node, change.place, change.value)
    return node


def _changed(node: Any, place: Place, value: Any) -> Any:
    if not place:
        return value
    step, rest = place[0], place[1:]
    if isinstance(step, str):
        return _in_object(node, step, rest, value)
    if isinstance(node, Mapping):
        if identity(node) != step:
            raise NoSuchPlace
        return _changed(node, rest, value)
    found = [i for i, item in enumerate(node) if identity(item) == step] if _is_list(node) else []
    if len(found) != 1:
        raise NoSuchPlace
    copy = list(node)
    copy[found[0]] = _changed(copy[found[0]], rest, value)
    return copy


def _in_object(node: Any, key: str, rest: Place, value: Any) -> Json:
    if not isinstance(node, Mapping):
        raise NoSuchPlace
    copy = dict(node)
    if rest:
        if value is ABSENT and key not in node:
            return copy
        copy[key] = _changed(node.get(key, {} if isinstance(rest[0], str) else None), rest, value)
    elif value is ABSENT:
        copy.pop(key, None)
    else:
        copy[key] = value
    return copy


def _is_list(node: Any) -> bool:
    return isinstance(node, list | tuple)
