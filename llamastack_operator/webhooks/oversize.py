# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Converted objects whose annotations would be more than the API server takes. Pure.

It refuses a conversion with more, and with it every list that the object is in. So what does not
fit is left out, and what that means depends on the direction:

- **The view in v1alpha1** of a stored object lacks fields that must not be lost when it is written
  back. It has a label that says so, for which there is always room, and is written and deleted in
  the other version, as kubectl, namespaces and owner references do. The API server converts it back
  for every write, a deletion with finalizers included, and shows no conversion what it is for.
- **What is stored** lacks what its author's version could say and the hub cannot, all of which is
  without effect: variables that a later one of the same name replaces, and wrong values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api import ANNOTATIONS, OLD_VERSION, TOO_LARGE, VERSION

MOST_OF_ANNOTATIONS: Final = 256 << 10
"""Bytes of the annotations of an object, names and values; the API server's own limit, which it
also applies to what a conversion answers."""

LABEL: Final = ANNOTATIONS[VERSION]
"""On a view that cannot be written: the name of the annotation that it lacks."""

UNWRITABLE: Final = (
    "what this version has no fields for is too large for an annotation, so the object can be read "
    "but not written in it; write it in the other version"
)


def fitted(obj: dict[str, Any], version: str) -> dict[str, Any]:
    """An object that the API server takes.

    Args:
        obj: converted; not changed.
        version: that it is converted to.
    """
    annotations = _mapping(obj, "annotations")
    size = sum(len(str(part).encode()) for item in annotations.items() for part in item)
    ours = annotations.keys() & set(ANNOTATIONS.values())
    metadata = obj.get("metadata")
    if not isinstance(metadata, Mapping):
        return obj
    if size <= MOST_OF_ANNOTATIONS or not ours:
        return obj
    kept = {key: value for key, value in annotations.items() if key not in ours}
    metadata = {**metadata, "annotations": kept}
    if version == OLD_VERSION:
        metadata["labels"] = {**_mapping(obj, "labels"), LABEL: TOO_LARGE}
    return {**obj, "metadata": metadata}


def is_unwritable(obj: Mapping[str, Any]) -> bool:
    """Whether an object is a view that lacks fields of the other version."""
    return bool(_mapping(obj, "labels").get(LABEL) == TOO_LARGE)


def _mapping(obj: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    metadata = obj.get("metadata")
    found = metadata.get(part) if isinstance(metadata, Mapping) else None
    return found if isinstance(found, Mapping) else {}
