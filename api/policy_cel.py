# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Pieces of CEL that the rules of the policy are put together from.

An error while evaluating refuses the request with words that help nobody, so each piece asks for
the type of a value before it looks inside.
"""

from __future__ import annotations

import string
from typing import Final

SEPARATOR: Final = "; "
"""Between two messages."""


def quote(text: str) -> str:
    """A text as CEL writes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def has(value: str, field: str) -> str:
    """A field that is there; an explicit null is not."""
    return f"(has({value}.{field}) && {value}.{field} != null)"


def is_a(value: str, field: str, kind: str) -> str:
    """A field that is there and has the type."""
    return f"(has({value}.{field}) && type({value}.{field}) == {kind})"


def message(path: str, text: str) -> str:
    """A message at a path below the item ``x``."""
    return f"x.path + {quote(f'{path}: {text}')}"


def filled(text: str, **values: str) -> str:
    """A message of several parts, with CEL expressions for its placeholders."""
    parts = []
    for literal, field, _, _ in string.Formatter().parse(text):
        parts.append(quote(literal))
        if field is not None:
            parts.append(values[field])
    return " + ".join(parts)


def each(items: str, *checks: tuple[str, str]) -> str:
    """All messages about the items ``x`` of nested lists: pairs of condition and message."""
    found = " + ".join(f"({wrong} ? [{message}] : [])" for wrong, message in checks)
    return (
        f"{items}.map(l, l.map(x, ({found}).join('{SEPARATOR}'))"
        f".filter(m, m != '').join('{SEPARATOR}'))"
        f".filter(m, m != '').join('{SEPARATOR}')"
    )


def wrong_type(field: str, kind: str, text: str) -> tuple[str, str]:
    """The check that a field of a provider has a type, if it is there."""
    wrong = f"{has('x.value', field)} && type(x.value.{field}) != {kind}"
    return wrong, message(f".{field}", text)


def not_a_secret(value: str) -> str:
    """Whether a value is not ``{secretKeyRef: {name, key}}``."""
    selector = f"{value}.secretKeyRef"
    return (
        f"!(type({value}) == map && {is_a(value, 'secretKeyRef', 'map')} && "
        f"{is_a(selector, 'name', 'string')} && {is_a(selector, 'key', 'string')})"
    )
