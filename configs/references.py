# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Environment references inside a config, read as the server reads them.

``${env.NAME}``, ``${env.NAME:=default}``, ``${env.NAME:+value if set}``, anywhere in a string
value, with NAME in ``[A-Z0-9_]+``. An empty variable counts as unset, a default ends at the first
``}``, results are not expanded again. A list entry whose provider_id comes out as nothing is
skipped; that is how a base config has a provider that is on only when its variable is set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

MARK: Final = "${env."
"""How every reference begins."""

DISABLED: Final = "__disabled__"
"""A provider_id that the server skips."""

_REFERENCE = re.compile(r"\$\{env\.([A-Z0-9_]+)(?::([=+])([^}]*))?\}")


def expand(text: str, names: Collection[str]) -> str:
    """A string as far as it can be told without the values of the variables.

    Args:
        text: from a config.
        names: variables that are set.

    Returns:
        The text with defaults and conditional values put in. What depends on the value of a
        variable that is set stays a reference.
    """
    return _replaced(text, lambda match: _expansion(match, names))


def _replaced(text: str, by: Callable[[re.Match[str]], str]) -> str:
    """Each reference put as something else.

    Behind the last ``}`` there is none, and nothing is looked for: each of many beginnings without
    an end would be followed to the end of the text.
    """
    end = text.rfind("}") + 1
    return _REFERENCE.sub(by, text[:end]) + text[end:]


def _expansion(match: re.Match[str], names: Collection[str]) -> str:
    name, operator, operand = match.groups()
    if operator == "+":
        return operand if name in names else ""
    if operator == "=" and name not in names:
        return operand
    return match.group()


def active(provider_id: str, names: Collection[str]) -> str | None:
    """The id under which the server has a provider; None if it skips the entry."""
    found = expand(provider_id, names)
    return None if found in {"", DISABLED} else found


def nominal(provider_id: str) -> str:
    """The id that a provider has when its variable is set."""
    return _replaced(provider_id, lambda match: match.group(3) or "")


def condition(provider_id: str) -> str | None:
    """The variable that switches a provider on; None for one that is always on."""
    match = _REFERENCE.fullmatch(provider_id)
    return match.group(1) if match and match.group(2) == "+" else None


def required(text: str) -> Iterator[str]:
    """Variables that must be set for the server to start."""
    for match in _REFERENCE.finditer(text, 0, text.rfind("}") + 1):
        if match.group(2) is None:
            yield match.group(1)


def names(text: str) -> Iterator[str]:
    """Every variable that a string refers to."""
    for match in _REFERENCE.finditer(text, 0, text.rfind("}") + 1):
        yield match.group(1)


def unreadable(text: str) -> bool:
    """Whether something looks like a reference and is none: the server would use the text as is."""
    return MARK in _replaced(text, lambda _: "")


def marked(value: Any) -> list[tuple[str, str]]:
    """Every string value in JSON data that may refer to a variable, with its path.

    Paths are spelled from the inside out, for what is found alone: most data refers to nothing.
    """
    if isinstance(value, str):
        return [("", value)] if MARK in value else []
    if isinstance(value, Mapping):
        parts = ((str(key), item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        parts = ((f"[{index}]", item) for index, item in enumerate(value))
    else:
        return []
    return [(_below(part, inner), text) for part, item in parts for inner, text in marked(item)]


def _below(part: str, inner: str) -> str:
    return f"{part}.{inner}" if inner and not inner.startswith("[") else f"{part}{inner}"
