# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The objects in the documents of a file, each with its place.

``kubectl get -o yaml`` writes a List, a client may write a list of one kind, whose items need not
say what they are, and whoever puts several of them together makes lists of lists. All are unpacked;
what is in them and is no object is an error, because leaving it out would lose it in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import api
from api.model import kind_of

_OF_ONE_KIND: Final = {f"{kind}List": kind for kind in (api.KIND, api.OGX_KIND)}
_LISTS: Final = ("List", *_OF_ONE_KIND)


class NoObject(ValueError):
    """Something is no Kubernetes object; the message names its place."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object in a file.

    Attributes:
        place: where it is, e.g. ``document 2, items[0]``; empty if it is all that the file holds.
        obj: the object. It has a kind; anything else may be wrong with it.
    """

    place: str
    obj: dict[str, Any]

    @property
    def group(self) -> str:
        """API group; empty for that of the core, and for nonsense."""
        version = self.obj.get("apiVersion")
        return version.rpartition("/")[0] if isinstance(version, str) else ""

    @property
    def name(self) -> str:
        """As it is written; empty if it has none."""
        metadata = self.obj.get("metadata")
        return str(metadata.get("name") or "") if isinstance(metadata, Mapping) else ""

    @property
    def prefix(self) -> str:
        """What tells it from the others of its file, before a message; empty if there are none."""
        name = f" ({self.name})" if self.name else ""
        return f"{self.place}{name}: " if self.place else ""


def objects_in(documents: Sequence[Any], *, strays: bool = False) -> list[Found]:
    """The objects in some documents, lists unpacked.

    Args:
        documents: of one file.
        strays: whether a document may be something else, which is left out: in a folder there are
            also files of other tools.

    Raises:
        NoObject: a document, or an item of a list, is none.
    """
    found = []
    for number, document in enumerate(documents, start=1):
        if strays and not (isinstance(document, dict) and document.get("kind")):
            continue
        title = f"document {number}"
        for path, obj in _unpacked(document, title, "", {}):
            among_others = (title, path) if len(documents) > 1 else (path,)
            found.append(Found(", ".join(filter(None, among_others)), obj))
    return found


def _unpacked(
    node: Any, title: str, path: str, inherited: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of one node, with their paths in the document."""
    place = f"{title}, {path}" if path else title
    if not isinstance(node, dict):
        raise NoObject(f"{place} is no Kubernetes object: got {kind_of(node)}")
    missing = {key: value for key, value in inherited.items() if not node.get(key)}
    obj = {**node, **missing} if missing else node
    kind = obj.get("kind")
    if not kind:
        raise NoObject(f"{place} is no Kubernetes object: it has no kind")
    if kind not in _LISTS:
        yield path, obj
        return
    items = obj.get("items")
    if items is not None and not isinstance(items, list):
        raise NoObject(f"{place} is no list: items must be a list, got {kind_of(items)}")
    said = {"apiVersion": obj.get("apiVersion"), "kind": _OF_ONE_KIND.get(kind)}
    for index, item in enumerate(items or ()):
        below = f"{path}.items[{index}]" if path else f"items[{index}]"
        yield from _unpacked(item, title, below, said if kind in _OF_ONE_KIND else {})
