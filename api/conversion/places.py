# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Places in JSON data, and changes at places: pure, and the data is never changed.

A place is a sequence of steps. A step is a key of an object, or an identity: an object with the
fields that tell an item of a list from the others (``{"id": "vllm", "provider": "remote::vllm"}``).
An identity also stands for the only item where one may be written without its list, so a change
for one provider is never made to another one that took its place. A provider without an id has its
type for one, so whoever writes that id out, as a second provider demands, still means the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

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
    """Whether two values are the same JSON. Unlike ``==``, 1 is neither true nor 1.0.

    However deep they are: what somebody nests must not end in an error.
    """
    pairs = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if one is other:  # what a conversion only moves
            continue
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            if one.keys() != other.keys():
                return False
            pairs.extend((value, other[key]) for key, value in one.items())
        elif _is_list(one) and _is_list(other):
            if len(one) != len(other):
                return False
            pairs.extend(zip(one, other, strict=True))
        elif type(one) is not type(other) or one != other:
            return False
    return True


def identity(item: Any) -> dict[str, str]:
    """The fields that tell an item from the others of its list, as written; empty if none do."""
    if not isinstance(item, Mapping):
        return {}
    return {key: item[key] for key in IDENTIFYING if isinstance(item.get(key), str)}


_Name: TypeAlias = tuple[str | None, ...]

_NAMELESS: Final = (None,) * len(IDENTIFYING)


def _name(item: Any) -> _Name:
    """The identity as a key of dictionaries: the same whether a default id is written or not."""
    given = identity(item)
    if "provider" in given:
        given.setdefault("id", given["provider"])
    return tuple(given.get(key) for key in IDENTIFYING)


def _is_called(item: Any, step: Mapping[str, str]) -> bool:
    """Whether a step that is an identity is that of an item."""
    return identity(step) == step and _name(item) == _name(step)


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
    known = Counter(_name(item) for item in left)
    if any(_name(item) != _name(other) for item, other in pairs):
        return None
    unlike = (_name(item) for item, other in pairs if not same(item, other))
    if any(name == _NAMELESS or known[name] > 1 for name in unlike):
        return None
    return pairs


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
    copy = _Copy(node)
    for change in changes:
        copy.make(change)
    return copy.root[0]


def unmade(node: Any, changes: Iterable[Change]) -> Iterator[Change]:
    """Those changes that would not leave a value as it is."""
    indexes = _Indexes()
    for change in changes:
        if not _is_made(node, change, indexes):
            yield change


def _is_made(node: Any, change: Change, indexes: _Indexes) -> bool:
    for step in change.place:
        if isinstance(step, str):
            if not isinstance(node, Mapping):
                return False
            if step not in node:
                return change.value is ABSENT
            node = node[step]
        elif isinstance(node, Mapping):
            if not _is_called(node, step):
                return False
        else:
            try:
                node = node[indexes.find(node, step)]
            except NoSuchPlace:
                return False
    return change.value is not ABSENT and same(node, change.value)


class _Copy:
    """A value that is being changed. Each object or list of it is copied once, when first needed.

    Attributes:
        root: a list with the value.
    """

    def __init__(self, node: Any) -> None:
        self.root = [node]
        self._own: dict[int, Any] = {}  # the copies by their ids, which keeps them alive
        self._indexes = _Indexes()

    def make(self, change: Change) -> None:
        """Make one change."""
        holder: Any = self.root
        key: Any = 0
        items: tuple[list[Any], int] | None = None  # the list and the index of the item that is in
        for number, step in enumerate(change.place, start=1):
            node = self._owned(holder, key)
            if isinstance(step, str):
                if not isinstance(node, Mapping):
                    raise NoSuchPlace
                rest = change.place[number:]
                if rest and step not in node:
                    if change.value is ABSENT:
                        return
                    node = cast("dict[str, Any]", node)
                    node[step] = {} if isinstance(rest[0], str) else None
                holder, key = node, step
            elif isinstance(node, Mapping):
                if not _is_called(node, step):
                    raise NoSuchPlace
            else:
                holder, key = node, self._indexes.find(node, step)
                items = holder, key
        if change.value is not ABSENT:
            holder[key] = change.value
        elif isinstance(holder, dict) and change.place and key == change.place[-1]:
            holder.pop(key, None)
        else:
            raise NoSuchPlace
        if items is not None:
            self._indexes.renew(*items)

    def _owned(self, holder: Any, key: Any) -> Any:
        node = holder[key]
        if id(node) in self._own:
            return node
        if not isinstance(node, Mapping) and not _is_list(node):
            return node
        copy = dict(node) if isinstance(node, Mapping) else list(node)
        self._own[id(copy)] = copy
        holder[key] = copy
        return copy


class _Indexes:
    """Finds the items of lists by their identities; a list is searched once."""

    def __init__(self) -> None:
        self._of: dict[int, tuple[list[_Name], dict[_Name, set[int]]]] = {}

    def find(self, node: Any, step: Mapping[str, str]) -> int:
        """Where the only item with an identity is.

        Raises:
            NoSuchPlace: there is none, or more than one, or no list.
        """
        if not _is_list(node):
            raise NoSuchPlace
        found = self._index(node)[1].get(_name(step), ())
        if len(found) != 1 or identity(step) != step:
            raise NoSuchPlace
        return next(iter(found))

    def renew(self, node: list[Any], position: int) -> None:
        """An item is another one now, or has another identity."""
        names, positions = self._index(node)
        name = _name(node[position])
        if name != names[position]:
            positions[names[position]].discard(position)
            positions.setdefault(name, set()).add(position)
            names[position] = name

    def _index(self, node: Any) -> tuple[list[_Name], dict[_Name, set[int]]]:
        if id(node) not in self._of:
            names = [_name(item) for item in node]
            positions: dict[_Name, set[int]] = {}
            for position, name in enumerate(names):
                positions.setdefault(name, set()).add(position)
            self._of[id(node)] = names, positions
        return self._of[id(node)]


def _is_list(node: Any) -> bool:
    return isinstance(node, list | tuple)
