# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What an API server would say of an object by a structural schema alone, CEL left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: Mapping[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
}


def complaints(schema: Mapping[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """What breaks the schema, and fields that it would prune, each with its path.

    Metadata is passed over: the API server checks it by itself.
    """
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, int | str):
            yield f"{path}: neither integer nor string"
        elif isinstance(value, str):
            yield from _string(schema, value, path)
        return
    kind = schema.get("type")
    if kind is None:
        return
    is_number = kind == "integer" and isinstance(value, bool)
    if not isinstance(value, _TYPES[kind]) or is_number:
        yield f"{path}: no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: not one of {schema['enum']}"
    if kind == "string":
        yield from _string(schema, value, path)
    elif kind == "integer":
        if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            yield f"{path}: out of bounds"
    elif kind == "array":
        yield from _array(schema, value, path)
    elif kind == "object":
        yield from _object(schema, value, path)


def _string(schema: Mapping[str, Any], value: str, path: str) -> Iterator[str]:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{path}: has another length"
    if "pattern" in schema and not re.search(schema["pattern"].removesuffix("$") + r"\Z", value):
        yield f"{path}: does not match"


def _array(schema: Mapping[str, Any], value: list[Any], path: str) -> Iterator[str]:
    if len(value) > schema.get("maxItems", len(value)):
        yield f"{path}: too many items"
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys", ())
    if kind == "set" and len(value) != len(set(map(repr, value))):
        yield f"{path}: duplicates"
    if kind == "map":
        names = [tuple(item.get(key) for key in keys) for item in value if isinstance(item, dict)]
        if len(names) != len(set(names)):
            yield f"{path}: duplicates"
    for index, item in enumerate(value):
        yield from complaints(schema["items"], item, f"{path}[{index}]")


def _object(schema: Mapping[str, Any], value: dict[str, Any], path: str) -> Iterator[str]:
    properties, values = schema.get("properties", {}), schema.get("additionalProperties")
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or path == ".metadata"
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name}: is required"
    for name, item in value.items():
        if name in properties:
            yield from complaints(properties[name], item, f"{path}.{name}")
        elif values is not None:
            yield from complaints(values, item, f"{path}.{name}")
        elif not is_open:
            yield f"{path}.{name}: is not known"
