# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""JSON patches (RFC 6902) and merge patches (RFC 7386). Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any


class CannotPatch(Exception):
    """A path that is not there, or a test that fails."""


def json_patched(obj: Any, operations: Iterable[Mapping[str, Any]]) -> Any:
    """A copy with the operations carried out.

    Raises:
        CannotPatch: see there.
    """
    patched = copy.deepcopy(obj)
    for operation in operations:
        name, path = operation["op"], operation["path"]
        if name == "test":
            if _found(patched, path) != operation["value"]:
                raise CannotPatch(f"testing path {path}: test failed")
        elif name == "remove":
            _remove(patched, path)
        elif name in {"add", "replace"}:
            _put(patched, path, operation["value"], replace=name == "replace")
        else:
            raise NotImplementedError(f"JSON patch: {name}")
    return patched


def merge_patched(obj: Any, patch: Any) -> Any:
    """A copy with the patch merged into it; null removes."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(obj) if isinstance(obj, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patched(merged.get(name), value)
    return merged


def _parent(obj: Any, path: str) -> tuple[Any, str]:
    *above, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    for part in above:
        obj = _child(obj, part, path)
    return obj, last


def _child(obj: Any, part: str, path: str) -> Any:
    try:
        return obj[int(part)] if isinstance(obj, list) else obj[part]
    except (LookupError, TypeError, ValueError):
        raise CannotPatch(f"path {path} does not exist: missing value") from None


def _found(obj: Any, path: str) -> Any:
    parent, last = _parent(obj, path)
    return _child(parent, last, path)


def _remove(obj: Any, path: str) -> None:
    _found(obj, path)
    parent, last = _parent(obj, path)
    del parent[int(last) if isinstance(parent, list) else last]


def _put(obj: Any, path: str, value: Any, *, replace: bool) -> None:
    parent, last = _parent(obj, path)
    if isinstance(parent, dict):
        parent[last] = value  # also where there is nothing to replace: the API server is so kind
    elif replace:
        _child(parent, last, path)
        parent[int(last)] = value
    else:
        parent.insert(len(parent) if last == "-" else int(last), value)
