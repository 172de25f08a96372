# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How one version of a CRD differs from another, path by path.

What means the same is written in one way before it is compared: a list type that is left out is
atomic, the greatest int32 is no limit beside the format, and an integer or a string is one type.
Where only the second schema is open, or has a field at all, that is one difference: nothing is said
of what is below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

ABSENT: Final = None
"""For a keyword that a schema does not have."""

OPEN: Final = "x-kubernetes-preserve-unknown-fields"
FIELD: Final = "field"
"""The keyword of a difference that is a whole field."""

_MAX_INT32: Final = 2**31 - 1
_KEYWORDS: Final = (
    "type",
    "format",
    "default",
    "enum",
    "required",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "nullable",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
    OPEN,
)

Difference: TypeAlias = tuple[str, str, Any, Any]
"""Path, keyword, what the first schema says, what the second one says."""


def differences(first: Schema, second: Schema, path: str = "") -> Iterator[Difference]:
    """All differences, in the order of the second schema."""
    ours, theirs = _plain(second), _plain(first)
    for keyword in _KEYWORDS:
        if theirs.get(keyword) != ours.get(keyword):
            yield path, keyword, theirs.get(keyword), ours.get(keyword)
    is_opened = bool(ours.get(OPEN)) and not theirs.get(OPEN)
    yield from _fields(first.get("properties", {}), second.get("properties", {}), path, is_opened)
    for keyword, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if (keyword in first) != (keyword in second):
            yield f"{path}{mark}", FIELD, keyword in first or None, keyword in second or None
        elif keyword in first:
            yield from differences(first[keyword], second[keyword], f"{path}{mark}")


def _fields(first: Schema, second: Schema, path: str, is_opened: bool) -> Iterator[Difference]:
    for name, node in second.items():
        if name in first:
            yield from differences(first[name], node, f"{path}.{name}")
        else:
            yield f"{path}.{name}", FIELD, ABSENT, True
    if not is_opened:
        for name in first:
            if name not in second:
                yield f"{path}.{name}", FIELD, True, ABSENT


def _plain(node: Schema) -> dict[str, Any]:
    """The keywords of a node, written in one way."""
    found = {keyword: node[keyword] for keyword in _KEYWORDS if keyword in node}
    if found.get("type") == "array":
        found.setdefault("x-kubernetes-list-type", "atomic")
    if found.get("format") == "int32" and found.get("maximum") == _MAX_INT32:
        del found["maximum"]
    for keyword in ("required", "enum"):
        if keyword in found:
            found[keyword] = tuple(sorted(found[keyword]))
    if rules := found.get("x-kubernetes-validations"):
        found["x-kubernetes-validations"] = tuple(rule["rule"] for rule in rules)
    return found
