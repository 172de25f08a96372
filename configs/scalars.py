# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a bare YAML scalar means: the reading that kubectl gives it.

kubectl (sigs.k8s.io/yaml) reads YAML 1.1 with two deviations, both kept here: dates and sexagesimal
numbers stay strings, and `y` and `n` alone are strings too. Infinity and NaN have no form in JSON,
so they are refused instead of read.
"""

from __future__ import annotations

import re

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
_LONGEST_NUMBER = 100  # characters; far beyond 64 bits, far below what int() refuses to convert


class ScalarError(ValueError):
    """The scalar reads as a number that JSON cannot carry."""


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a scalar written without quotes or tag.

    Raises:
        ScalarError: Infinite, not a number, or too long a number.
    """
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if not text[0].isdigit() and text[0] not in "+-.":
        return text
    if _NOT_FINITE.fullmatch(text):
        msg = f"{text} has no form in JSON"
        raise ScalarError(msg)
    if _INT.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _decimal(text)
    return text


def _integer(text: str) -> int | str:
    if len(text) > _LONGEST_NUMBER:
        raise ScalarError("the number is too long")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").replace("_", "")
    if digits == "0":
        return 0
    if digits.startswith("0") and digits[1] not in "box":
        return sign * int(digits, 8)
    if digits in {"0b", "0o", "0x"}:
        return text  # underscores alone are no digits
    return sign * int(digits, 0)


def _decimal(text: str) -> float | str:
    if len(text) > _LONGEST_NUMBER:
        raise ScalarError("the number is too long")
    value = float(text.replace("_", ""))
    if value in {float("inf"), float("-inf")}:
        msg = f"{text} is beyond the range of a number in JSON"
        raise ScalarError(msg)
    return value
