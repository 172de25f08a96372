# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What one version cannot say travels in an annotation, and comes back (R-D15).

An object is converted as far as the other version goes. What converting back would lose is written
into an annotation, as a list of changes::

    llamastack.io/v1alpha2-fields: '[{"path": ["spec", "networking", "expose"],
                                      "value": {"hostname": "llama.example.com"}}]'

On the way back the changes are made again, each on one condition: **what the object shows stays as
it is**. Fields always beat the annotation. So it does not matter whether somebody edited the object
meanwhile, or the annotation: a change that contradicts the fields, that belongs to a provider which
is gone, or that cannot be read, is dropped, and all others are made. The result depends on the
object alone.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import orjson

from api.conversion.places import (
    ABSENT,
    Change,
    NoSuchPlace,
    Place,
    Shape,
    changed,
    differences,
    get,
    same,
)
from api.conversion.spec import SHARED
from api.json_text import deep_json
from api.model import Json

Convert: TypeAlias = Callable[[Json], Json]
"""Converts a body: the spec and the status of an object."""

MAX_TRIES: Final = 64
"""How many groups of changes are tried when not all of them fit. Each costs a conversion, and a
forged annotation may hold thousands that do not."""

MAX_WORK: Final = 2_000_000
"""Bytes of JSON that are converted for all tries together: large objects get fewer of them. About
a second; the API server waits for ten."""

LONGEST_PATH: Final = 64
"""Steps of a path that is read. Ours have ten: what is deeper goes over as a whole."""

_PARTS: Final = ("spec", "status")
_IN_SECTION: Final = 2  # steps from ``providers`` to what a section holds


def dumps(changes: Iterable[Change]) -> str:
    """The text of an annotation."""
    entries = []
    for change in changes:
        entry: Json = {"path": list(change.place)}
        if change.value is not ABSENT:
            entry["value"] = change.value
        entries.append(entry)
    try:
        return json.dumps(entries, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    except RecursionError:
        return deep_json(entries)


def loads(text: object) -> list[Change]:
    """The changes of an annotation; whatever in it is none is left out.

    Read as strictly as reviews are: half of a surrogate pair, a number that is none, or one that
    no other reader knows, would be in the way of writing the object again.
    """
    return [change for change in map(_change, _entries(text) or ()) if change is not None]


def is_readable(text: object) -> bool:
    """Whether all of an annotation is changes."""
    entries = _entries(text)
    return entries is not None and all(_change(entry) is not None for entry in entries)


def _entries(text: object) -> list[Any] | None:
    try:
        entries = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        return None
    return entries if isinstance(entries, list) else None


def _change(entry: object) -> Change | None:
    path = entry.get("path") if isinstance(entry, dict) else None
    if not isinstance(path, list) or not 0 < len(path) <= LONGEST_PATH:
        return None
    if path[0] not in _PARTS:
        return None
    if not all(isinstance(step, str) or _is_identity(step) for step in path):
        return None
    return Change(tuple(path), entry.get("value", ABSENT) if isinstance(entry, dict) else ABSENT)


def _is_identity(step: object) -> bool:
    return isinstance(step, dict) and bool(step) and all(isinstance(v, str) for v in step.values())


def restore(visible: Json, changes: Sequence[Change], back: Convert) -> Json:
    """Make all changes that do not alter what converting back shows.

    Args:
        visible: the body that the fields of the object give.
        changes: from the annotation.
        back: converts a body to the version that the object was written in.
    """
    if not changes:
        return visible
    return _Restoring(back(visible), changes, back).restored(visible, changes)


def _text(body: Json) -> bytes | str:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:  # deeper than it goes
        return deep_json(body)


class _Restoring:
    """One restoration, with what it may still take."""

    def __init__(self, shown: Json, changes: Sequence[Change], back: Convert) -> None:
        self._shown = shown
        self._changes = changes
        self._back = back
        self._tries = MAX_TRIES
        self._work = MAX_WORK

    @functools.cached_property
    def _size(self) -> int:
        """Bytes that one try converts; nobody asks where the first one succeeds, as nearly all."""
        values = [change.value for change in self._changes if change.value is not ABSENT]
        return len(_text(self._shown)) + sum(len(_text({"": value})) for value in values)

    def restored(self, body: Json, changes: Sequence[Change]) -> Json:
        """Try all of them together, then halves: most edits spoil one or two."""
        if not self._tries or self._work <= 0:
            return body
        self._tries -= 1
        try:
            result: Json = changed(body, changes)
        except NoSuchPlace:
            pass
        else:
            if same(self._back(result), self._shown):
                return result
        self._work -= self._size
        if len(changes) == 1:
            return body
        middle = len(changes) // 2
        return self.restored(self.restored(body, changes[:middle]), changes[middle:])


def lost(body: Json, result: Json, back: Convert) -> list[Change]:
    """What converting back would lose: the changes that make it whole again.

    Args:
        body: the body as it was.
        result: the same in the other version.
        back: converts a body from that version.
    """
    return list(differences(back(result), body, _SHAPE))


def _is_keyed(place: Place) -> bool:
    """Providers and models have identities; all other lists have one form in both versions."""
    keys = place[1:] if place[:1] == ("spec",) else ()
    if keys[:1] == ("server",):
        keys = keys[1:]
    return keys == ("resources", "models") or (len(keys) == _IN_SECTION and keys[0] == "providers")


def _is_shared(place: Place) -> bool:
    return all(isinstance(step, str) for step in place) and place in SHARED


_SHAPE: Final = Shape(_is_keyed, _is_shared)


def has_room(metadata: object) -> bool:
    """Whether metadata can get an annotation: what has another type stays as it is."""
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    return all(part is None or isinstance(part, Mapping) for part in (metadata, annotations))


def annotated(metadata: Any, drop: Iterable[str], name: str, changes: list[Change]) -> Any:
    """The metadata of an object with its annotations put right.

    Args:
        metadata: of the object; not changed. Returned as it is if it has no room for annotations.
        drop: annotations that mean nothing in the new version.
        name: of the annotation that holds the changes.
        changes: if there are none, there is no annotation.
    """
    if not has_room(metadata):
        return metadata
    given = get(metadata, ("annotations",))
    kept = {} if given is ABSENT else {k: v for k, v in given.items() if k not in drop}
    if changes:
        kept[name] = dumps(changes)
    elif given is ABSENT or len(kept) == len(given):
        return metadata
    rest = {key: value for key, value in (metadata or {}).items() if key != "annotations"}
    return {**rest, "annotations": kept} if kept else rest
