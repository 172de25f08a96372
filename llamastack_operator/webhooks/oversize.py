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

from api import ANNOTATIONS, OLD_VERSION, TOO_LARGE
from api.conversion import PARTIAL_LABEL
from api.conversion.places import get

MOST_OF_ANNOTATIONS: Final = 256 << 10
"""Bytes of the annotations of an object, names and values; the API server's own limit, which it
also applies to what a conversion answers."""

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
    annotations = get(obj, ("metadata", "annotations"))
    if not isinstance(annotations, Mapping):
        return obj
    kept = {key: value for key, value in annotations.items() if key not in _OURS}
    if len(kept) == len(annotations) or _size(annotations) <= MOST_OF_ANNOTATIONS:
        return obj
    metadata = {**obj["metadata"], "annotations": kept}
    if version == OLD_VERSION:
        labels = get(obj, ("metadata", "labels"))
        others = labels if isinstance(labels, Mapping) else {}
        metadata["labels"] = {**others, PARTIAL_LABEL: TOO_LARGE}
    return {**obj, "metadata": metadata}


_OURS: Final = frozenset(ANNOTATIONS.values())


def _size(annotations: Mapping[str, Any]) -> int:
    return sum(len(str(part).encode()) for item in annotations.items() for part in item)
