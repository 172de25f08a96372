# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is dropped from objects before they are stored (B9).

``managedFields`` and ``kubectl``'s last-applied annotation are nearly half of a typical object
and nobody reads them from a cache; code that migrates managed fields reads the live object.
Transforms run on freshly decoded JSON that nobody else holds, so they may change it in place.
They are idempotent, and return ``None`` for "this object is invisible to us".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from informers.ports import Object

Transform: TypeAlias = Callable[[dict[str, Any]], Object | None]
"""From a decoded object, which it may change, to what is stored; ``None`` hides the object."""

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def drop_noise(obj: dict[str, Any]) -> Object:
    """Without ``metadata.managedFields`` and the last-applied annotation."""
    metadata = obj["metadata"]
    metadata.pop("managedFields", None)
    annotations = metadata.get("annotations")
    if annotations and annotations.pop(LAST_APPLIED, None) is not None and not annotations:
        del metadata["annotations"]
    return obj


def keep_metadata(obj: dict[str, Any]) -> Object:
    """Only apiVersion, kind and metadata, without the noise.

    For metadata-only informers: the API server sends nothing else, but an object that was read
    live and then offered to the informer carries everything, a Secret's data included.
    """
    return drop_noise(
        {part: obj[part] for part in ("apiVersion", "kind", "metadata") if part in obj}
    )


def compose(*transforms: Callable[[dict[str, Any]], Object | None]) -> Transform:
    """One after the other; stops at the first that hides the object."""

    def composed(obj: dict[str, Any]) -> Object | None:
        current: Object | None = obj
        for transform in transforms:
            if current is None:
                return None
            current = transform(current if isinstance(current, dict) else dict(current))
        return current

    return composed
