# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a bare YAML scalar means: the reading that kubectl gives it, and the server's.

kubectl (sigs.k8s.io/yaml) reads YAML 1.1 with deviations that are kept in ``resolve``: dates and
sexagesimal numbers stay strings, ``y`` and ``n`` alone are strings too, and an integer of more than
64 bits is a floating-point number, or its text if it is not decimal. Resources are read so.

The server reads its config with PyYAML, which is YAML 1.1 to the letter, and not all of it:
``1:30`` is ninety, ``1e3`` and ``0o17`` are strings. A base config was written for that reader, so
it is read by ``resolve_as_server``: what comes out again means to the server what it meant before.
Dates stay their text, because JSON has none.

Infinity and NaN have no form in JSON, so they are refused instead of read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")
_BOOLS = {
    form: value
    for words, value in ((_TRUE, True), (_FALSE, False))
    for word in words
    for form in (word, word.capitalize(), word.upper())
}
_INT = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*|0)")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?"
)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_DECIMAL = re.compile(r"[-+]?[1-9][0-9_]*")
_LEAST, _MOST = -(2**63), 2**64 - 1
_LONGEST_NUMBER = 100  # characters; far beyond 64 bits, far below what int() refuses to convert


# As yaml/resolver.py of PyYAML has them.
_SERVER_INT = re.compile(
    r"[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(?::[0-5]?[0-9])+)"
)
_SERVER_FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*"
)
Scalar: TypeAlias = "str | int | float | bool | None"
Resolver: TypeAlias = Callable[[str], Scalar]


class ScalarError(ValueError):
    """The scalar reads as a number that JSON cannot carry."""


def resolve(text: str) -> Scalar:
    """The value of a scalar written without quotes or tag, as kubectl reads it.

    Raises:
        ScalarError: infinite, not a number, or too long a number.
    """
    value = _resolved(text, _INT, _FLOAT)
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        return float(value) if _DECIMAL.fullmatch(text) else text
    return value


def resolve_as_server(text: str) -> Scalar:
    """The value of a scalar written without quotes or tag, as the server reads it.

    Raises:
        ScalarError: infinite, not a number, or too long a number.
    """
    return _resolved(text, _SERVER_INT, _SERVER_FLOAT)


def _resolved(text: str, integers: re.Pattern[str], decimals: re.Pattern[str]) -> Scalar:
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if not text[0].isdigit() and text[0] not in "+-.":
        return text
    if _NOT_FINITE.fullmatch(text):
        msg = f"{text} has no form in JSON"
        raise ScalarError(msg)
    if integers.fullmatch(text):
        return _integer(text)
    if decimals.fullmatch(text):
        return _decimal(text)
    return text


def _sexagesimal(text: str) -> int | float:
    """Minutes and seconds: each colon stands for a factor of sixty."""
    value: int | float = 0
    for part in text.lstrip("+-").split(":"):
        value = value * 60 + (float(part) if "." in part else int(part))
    return -value if text.startswith("-") else value


def _integer(text: str) -> int | float | str:
    if len(text) > _LONGEST_NUMBER:
        raise ScalarError("the number is too long")
    if ":" in text:
        return _sexagesimal(text.replace("_", ""))
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").replace("_", "")
    if digits == "0":
        return 0
    if digits.startswith("0") and digits[1] not in "box":
        return sign * int(digits, 8)
    if digits in {"0b", "0o", "0x"}:
        return text  # underscores alone are no digits
    return sign * int(digits, 0)


def _decimal(text: str) -> float:
    if len(text) > _LONGEST_NUMBER:
        raise ScalarError("the number is too long")
    plain = text.replace("_", "")
    value = _sexagesimal(plain) if ":" in plain else float(plain)
    if value in {float("inf"), float("-inf")}:
        msg = f"{text} is beyond the range of a number in JSON"
        raise ScalarError(msg)
    return value
