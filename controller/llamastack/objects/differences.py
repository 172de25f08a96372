# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""In what a live object differs from what we want, and how that is put right. Pure.

Under server-side apply we send what we want, and the API server takes it by force. Two things an
apply cannot do: take away a field that another manager owns, and send one half of what excludes
each other while the other half is there. The object could never be written again then, whatever a
user does to the spec. So what we do not send, but must not be there beside what we send, is a
difference, too, and one that only a patch puts right. Fields of others that stand in nobody's way
are none of our business (G10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from controller.llamastack.objects.guard import guarded
from controller.llamastack.objects.quantities import same_quantity
from controller.llamastack.objects.shapes import UNKNOWN, Form, Shape, shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controller.runtime.ports import Manifest
    from informers.ports import Object

_At: TypeAlias = "tuple[_At, str | int] | None"
_EMPTY: tuple[object, ...] = ("", [])
_END = "-"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as we want it.

    Attributes:
        path: where, by names of fields and indices of the live object's lists; ``-`` is the end of
            a list that lacks an entry.
        wanted: what should be there.
        removed: whether nothing should be.
        in_the_way: whether an apply would leave it as it is, or be refused for it.
    """

    path: tuple[str | int, ...]
    wanted: Any = None
    removed: bool = False
    in_the_way: bool = False

    @property
    def place(self) -> str:
        """The path as people write it, such as ``spec.ports[0].port``; no value is in it."""
        parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path]
        return "".join(part for part in parts if part != f".{_END}").removeprefix(".")

    def operation(self) -> dict[str, Any]:
        """Of a JSON patch; those of one object have to be done in their order."""
        pointer = "".join(f"/{_escaped(part)}" for part in self.path)
        if self.removed:
            return {"op": "remove", "path": pointer}
        name = "replace" if isinstance(self.path[-1], int) else "add"
        return {"op": name, "path": pointer, "value": self.wanted}


def differences(wanted: Manifest, live: Object) -> list[Difference]:
    """Everything in which the live object is not what the manifest asks for.

    Args:
        wanted: the manifest.
        live: the object as it is.
    """
    found: list[Difference] = []
    _struct(wanted, live, shape_of(wanted.get("kind", "")), None, found)
    return found


def patch_of(found: Iterable[Difference], live: Object) -> list[dict[str, Any]]:
    """JSON patch that puts differences right, all in one write.

    Args:
        found: differences of the object.
        live: the object; a write to it in between makes the patch a conflict.
    """
    return guarded(live, (difference.operation() for difference in found))


def _value(wanted: Any, live: Any, shape: Shape, at: _At, found: list[Difference]) -> None:
    """Adds the differences of one value that is not simply equal.

    Both are plain JSON data, so exact types are asked for: this runs for every child in every
    reconcile, and the abstract base classes would cost ten times as much.
    """
    kind = type(wanted)
    if kind is not type(live) or shape.atomic or kind not in _NESTED:
        if not _same(wanted, live, shape):
            found.append(Difference(_path(at), wanted))
    elif kind is dict:
        if shape.form is Form.MAP:
            _map(wanted, live, shape, at, found)
        else:
            _struct(wanted, live, shape, at, found)
    elif shape.form is Form.ENTRIES:
        _entries(wanted, live, shape, at, found)
    elif shape.form is Form.SET:
        if any(member not in live for member in wanted):
            merged = [*live, *(member for member in wanted if member not in live)]
            found.append(Difference(_path(at), merged))
    elif not _same(wanted, live, shape):
        found.append(Difference(_path(at), wanted))


_NESTED = frozenset({dict, list})


def _struct(
    wanted: Mapping[str, Any],
    live: Mapping[str, Any],
    shape: Shape,
    at: _At,
    found: list[Difference],
) -> None:
    fields, groups = shape.fields, shape.groups
    for name, value in wanted.items():
        other = live.get(name)
        if other == value:
            continue
        if other is None and _counts_when_empty(name, value, shape):
            found.append(Difference(_path((at, name)), value))
        else:
            _value(value, other, fields.get(name, UNKNOWN), (at, name), found)
    if groups:
        _groups(wanted, live, shape, at, found)
    if not shape.disjoint:
        return
    for ours, theirs in shape.disjoint.items():
        shared = [key for key in wanted.get(ours) or () if key in (live.get(theirs) or ())]
        found += [_removal(((at, theirs), key)) for key in shared]


def _counts_when_empty(name: str, value: Any, shape: Shape) -> bool:
    """Whether a field that is missing has to be there, although it is empty."""
    # An empty member of a union says which one it is, as in `emptyDir: {}`.
    return value is False if name in shape.explicit else value == {} and name in shape.groups


def _groups(
    wanted: Mapping[str, Any],
    live: Mapping[str, Any],
    shape: Shape,
    at: _At,
    found: list[Difference],
) -> None:
    """Of what is decided together, what we leave out must not be there."""
    for name, value in live.items():
        if name in wanted or name not in shape.groups or shape.groups[name].isdisjoint(wanted):
            continue
        if not _reads_as_absent(name, value, shape):
            found.append(_removal((at, name)))


def _map(
    wanted: Mapping[str, Any],
    live: Mapping[str, Any],
    shape: Shape,
    at: _At,
    found: list[Difference],
) -> None:
    """Of keys that users choose: an empty value is a value."""
    for name, value in wanted.items():
        if name not in live or not _same(value, live[name], shape.items or UNKNOWN):
            found.append(Difference(_path((at, name)), value))


def _entries(
    wanted: list[Any], live: list[Any], shape: Shape, at: _At, found: list[Difference]
) -> None:
    """Of a list whose entries have keys; those of others may be in between."""
    items = shape.items or UNKNOWN
    index = {_key(entry, shape): position for position, entry in enumerate(live)}
    missing = []
    for entry in wanted:
        position = index.pop(_key(entry, shape), None)
        if position is None:
            missing.append(entry)
        elif live[position] != entry:
            _value(entry, live[position], items, (at, position), found)
    stale = _stale(wanted, live, index.values(), shape)
    for entry in missing:
        taken = next((one for one in stale if _may_become(live[one], entry, shape)), None)
        if taken is not None:
            stale.remove(taken)
        where = _END if taken is None else taken
        found.append(Difference(_path((at, where)), entry, in_the_way=taken is not None))
    found += [_removal((at, position)) for position in reversed(stale)]


def _stale(wanted: list[Any], live: list[Any], others: Iterable[int], shape: Shape) -> list[int]:
    """Positions of entries that are none of ours and must not be beside them."""
    if shape.closed:
        return sorted(others)
    if not shape.unique:
        return []
    values = {entry.get(shape.unique) for entry in wanted} - {None}
    return sorted(one for one in others if live[one].get(shape.unique) in values)


def _may_become(other: Any, entry: Any, shape: Shape) -> bool:
    return shape.closed or bool(other[shape.unique] == entry.get(shape.unique))


def _key(entry: Any, shape: Shape) -> tuple[Any, ...]:
    defaults = shape.items.defaults if shape.items else {}
    return tuple(entry.get(key, defaults.get(key)) for key in shape.keys)


def _same(wanted: Any, live: Any, shape: Shape) -> bool:
    """Whether two values are one, with nothing more in either, as an atomic value is compared."""
    if wanted == live:
        return True
    if shape.form is Form.QUANTITY:
        return same_quantity(wanted, live)
    kind = type(wanted)
    if kind is not type(live):
        # The server leaves out zero values of optional fields: "", 0 and false read as absent.
        return live is None and not wanted
    if kind is list:
        items = shape.items or UNKNOWN
        return len(wanted) == len(live) and all(
            _same(a, b, items) for a, b in zip(wanted, live, strict=True)
        )
    return kind is dict and _same_fields(wanted, live, shape)


def _same_fields(wanted: Mapping[str, Any], live: Mapping[str, Any], shape: Shape) -> bool:
    if shape.form is Form.MAP:
        items = shape.items or UNKNOWN
        return wanted.keys() == live.keys() and all(
            _same(value, live[name], items) for name, value in wanted.items()
        )
    for name, value in wanted.items():
        if not _same(value, live.get(name), shape.fields.get(name, UNKNOWN)):
            return False
    more = live.keys() - wanted.keys()
    return all(_reads_as_absent(name, live[name], shape) for name in more)


def _reads_as_absent(name: str, value: Any, shape: Shape) -> bool:
    """Whether a field that we do not send means the same as one that is not there."""
    return value is None or value is False or value in _EMPTY or value == shape.defaults.get(name)


def _removal(at: _At) -> Difference:
    return Difference(_path(at), removed=True, in_the_way=True)


def _path(at: _At) -> tuple[str | int, ...]:
    parts: list[str | int] = []
    while at is not None:
        at, part = at
        parts.append(part)
    return tuple(reversed(parts))


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
