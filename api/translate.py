# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Pydantic's errors in the words and at the paths of whoever wrote the YAML.

Two translations. The path: pydantic counts in the normalised object (``inference[0]``), the user
may have written a single object (``inference``), so the path is walked along the raw object. The
message: no "Input should be", no Python types, always what was found instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from api.errors import FieldError
from api.model import kind_of

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

_EXPECTED: Final = {
    "string_type": "a string",
    "int_type": "an integer",
    "bool_type": "a boolean",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}

_WORDS: Final = {
    "missing": "is required",
    "string_unicode": "must be valid Unicode",
}

_LIMITS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "greater_than_equal": lambda ctx: f"must be at least {ctx['ge']}",
    "less_than_equal": lambda ctx: f"must be at most {ctx['le']}",
    "string_too_long": lambda ctx: f"must have at most {ctx['max_length']} characters",
    "string_pattern_mismatch": lambda ctx: f"must match {ctx['pattern']}",
    "too_long": lambda ctx: f"must have at most {ctx['max_length']} items",
    "literal_error": lambda ctx: f"must be one of {_choices(ctx['expected'])}",
    "enum": lambda ctx: f"must be one of {_choices(ctx['expected'])}",
}


def field_errors(error: ValidationError, obj: object) -> tuple[FieldError, ...]:
    """Every error, at the field as it is written in the object."""
    details = error.errors(include_url=False)
    return tuple(FieldError(path_of(item["loc"], obj), message_of(item)) for item in details)


def path_of(location: Sequence[int | str], obj: object) -> str:
    """The path of a location, e.g. ``spec.providers.inference[1].id``.

    Args:
        location: keys and indices in the normalised object.
        obj: the raw object.
    """
    path = ""
    node: object = obj
    for step in location:
        if isinstance(step, int):
            if isinstance(node, Mapping):
                continue  # one object instead of a list of one
            path += f"[{step}]"
            node = node[step] if isinstance(node, list | tuple) and step < len(node) else None
        elif step != "[key]" and not isinstance(node, str):  # a text is the short form of an object
            separator = "." if path else ""
            path += f"{separator}{step}" if _IDENTIFIER.fullmatch(step) else f"[{step}]"
            node = node.get(step) if isinstance(node, Mapping) else None
    return path or "(object)"


def message_of(item: ErrorDetails) -> str:
    """What is wrong, to be read after the path."""
    kind, context = item["type"], item.get("ctx", {})
    if kind in _WORDS:
        return _WORDS[kind]
    if kind in _EXPECTED:
        return f"must be {_EXPECTED[kind]}, got {kind_of(item['input'])}"
    if kind in ("string_too_short", "too_short") and context["min_length"] == 1:
        return "must not be empty"
    if kind in _LIMITS:
        return _LIMITS[kind](context)
    return item["msg"]


def _choices(expected: str) -> str:
    return expected.replace("'", "").replace(" or ", ", ")
