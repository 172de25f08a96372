# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Fields of typed vendors as the server's configuration has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic.alias_generators import to_snake

from api.model import Json

_DEPTH: Final = 16
"""Levels whose names are changed; the deepest field of the CRD is on the fifth."""

_AS_THEY_ARE: Final = frozenset({"headers"})
"""Fields whose keys are the user's own words."""

_NUMBERS: Final = frozenset({"rrfImpactFactor", "weightedSearchAlpha", "temperature"})
"""Numbers that a CRD has to write as text."""

_DECIMAL: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")

_INDEXES: Final = {"hnsw": "HNSW", "ivfFlat": "IVFFlat"}
"""Field of ``vectorIndex`` → the type that the server tells them apart by."""

_INDEX_FIELDS: Final = {"nlist": "lists", "nprobe": "probes"}
"""Field of an index → the server's name of it."""


def settings(fields: Mapping[str, Any]) -> Json:
    """Fields in the server's spelling; two that would become one stay two.

    Args:
        fields: of a provider, without those that have a field in v1alpha2.
    """
    result: Json = {}
    plain = {name for name in fields if to_snake(name) == name}
    for name, value in fields.items():
        key = to_snake(name)
        if name not in plain and (key in plain or key in result):
            key = name
        result[key] = _index(value) if name == "vectorIndex" else _value(name, value, _DEPTH)
    return result


def _value(name: str, value: Any, depth: int) -> Any:
    if name in _NUMBERS and isinstance(value, str) and _DECIMAL.fullmatch(value):
        return float(value)
    if name in _AS_THEY_ARE or depth == 0:
        return value
    if isinstance(value, Mapping):
        return _object(value, depth - 1)
    if isinstance(value, list | tuple):
        return [_value("", item, depth - 1) for item in value]
    return value


def _object(node: Mapping[str, Any], depth: int) -> Json:
    names = {to_snake(str(name)) for name in node}
    if len(names) < len(node):
        return dict(node)
    return {to_snake(str(name)): _value(str(name), value, depth) for name, value in node.items()}


def _index(value: Any) -> Any:
    """The index of pgvector: there a field names its type, here a field of it does."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return _value("", value, _DEPTH)
    (item,) = value.items()
    name, index = str(item[0]), item[1]
    if name not in _INDEXES or not isinstance(index, Mapping) or "type" in index:
        return _value("", value, _DEPTH)
    renamed = {_INDEX_FIELDS.get(str(key), str(key)): item for key, item in index.items()}
    if len(renamed) < len(index):
        return _value("", value, _DEPTH)
    return {"type": _INDEXES[name], **_object(renamed, _DEPTH)}
