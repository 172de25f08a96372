# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Plain JSON data to YAML text: the same bytes every time, read the same by everybody.

Why an emitter of our own: the hash of a generated config decides whether a pod restarts, so its
bytes may depend on nothing but the data (NFR-001): no library release, no Unicode database, no
dict order. And it is written for every resource on every reconcile;
``tests/bench/bench_configs.py`` measures it against ruamel's pure Python emitter.

Why so careful with quotes: the server reads with a YAML 1.1 parser, people and tools with 1.1 or
1.2, and the two disagree on ``no``, ``on``, ``1:30``, ``0777``, ``1_000``, ``2024-01-01`` and more.
So a string is written bare only when it cannot be anything but a string in any of them: it starts
with a letter, ``/`` or ``_`` and goes on with harmless characters. Everything else is double-quoted
ASCII.

The output is the block style that Llama Stack's own files use: two spaces a level, list dashes in
the column of their key, no anchors, no folded lines. Text of several lines becomes a literal
block where that is exact, so that a ConfigMap with a config.yaml inside stays readable.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import TypeAlias, TypeGuard

from configs.content_cache import by_content

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

MAX_DEPTH = 100
"""Levels of nesting written: far beyond any real config, far below what ends a reader's stack."""

MAX_KEY = 1000
"""Characters of a written key: YAML readers give up on an implicit key at 1024."""

MAX_DIGITS = 100
"""Digits of a written integer: what ``configs.yaml_reader`` reads. Python, which the server is,
holds any; beyond 64 bits other readers round."""

_FIRST_TOO_LONG = 10**MAX_DIGITS
_BARE = re.compile(r"[A-Za-z/_][A-Za-z0-9_./@+-]*(?::+[A-Za-z0-9_./@+-]+)*")
# Words that some reader takes for a boolean, a null or a number.
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan"})
# A line of a literal block: empty, or printable ASCII that does not end in a space.
_BLOCK_LINE = re.compile(r"(?:[\x20-\x7e]*[\x21-\x7e])?")
_NO_LISTS = frozenset({dict, str, int, float, bool, type(None)})
_SHORT = 100  # characters; what is remembered stays small
_PROVIDER = 4  # level of the entries of providers.<api> and of registered_resources.<kind>
_SURROGATES = ("\ud800", "\udfff")
_LAST_OF_PLANE_0 = "\uffff"


class EmitError(ValueError):
    """The value is not plain JSON data, or nested deeper or keyed longer than YAML readers bear."""


def document(data: Json, *, sort_keys: bool) -> str:
    """Writes one YAML document, in ASCII, ending in a newline, without a document marker.

    Args:
        data: mappings with string keys, sequences, strings, numbers, booleans, None.
        sort_keys: True orders keys by code point at every level; False keeps each mapping's order.

    Raises:
        EmitError: a key is not a string or too long, a number is not finite or too long, a
            type is foreign to JSON, the nesting exceeds ``MAX_DEPTH``, or a string holds half of a
            surrogate pair.
    """
    writer = _Writer(sort_keys=sort_keys)
    if not writer.block(data, indent="", hanging=False, depth=1):
        writer.out.append(_flat(data))
        writer.out.append("\n")
    return "".join(writer.out)


class _Writer:
    """Collects the text of one document."""

    def __init__(self, *, sort_keys: bool) -> None:
        self.out: list[str] = []
        self._sort_keys = sort_keys

    def block(self, data: Json, *, indent: str, hanging: bool, depth: int) -> bool:
        """Writes a container that is not empty; anything else is left to the caller.

        Args:
            data: what to write.
            indent: spaces before each of its lines.
            hanging: the first line stands behind a dash, so its indent is there already.
            depth: levels above and including this one.

        Returns:
            Whether it was written.

        Raises:
            EmitError: as in ``document``.
        """
        if not data or isinstance(data, str | bool | int | float):
            return False
        if depth > MAX_DEPTH:
            msg = f"data is nested deeper than {MAX_DEPTH} levels"
            raise EmitError(msg)
        if isinstance(data, Mapping):
            self._mapping(data, indent=indent, hanging=hanging, depth=depth)
            return True
        if _is_list(data):
            self._list(data, indent=indent, hanging=hanging, depth=depth)
            return True
        return False

    def _mapping(self, data: Mapping[str, Json], *, indent: str, hanging: bool, depth: int) -> None:
        lead = "" if hanging else indent
        deeper = indent + "  "
        for key, name in _keys(data, sort_keys=self._sort_keys):
            value = data[key]
            mark = len(self.out)
            self.out.append(f"{lead}{name}:\n")
            lead = indent
            # Lists stay in the column of their key, mappings go in by two.
            inner = indent if _is_list(value) else deeper
            if not self.block(value, indent=inner, hanging=False, depth=depth + 1):
                self.out[mark] = f"{self.out[mark][:-1]} {_text(value, deeper)}\n"

    def _list(self, data: Sequence[Json], *, indent: str, hanging: bool, depth: int) -> None:
        lead = "" if hanging else indent
        deeper = indent + "  "
        for item in data:
            self.out.append(f"{lead}- ")
            lead = indent
            if depth < _PROVIDER and isinstance(item, dict):
                self.out.append(_item(item, deeper, depth + 1, self._sort_keys))
            else:
                self.item(item, indent=deeper, depth=depth + 1)

    def item(self, data: Json, *, indent: str, depth: int) -> None:
        """Writes what stands behind a dash."""
        if not self.block(data, indent=indent, hanging=True, depth=depth):
            self.out.append(f"{_text(data, indent)}\n")


def _item_text(data: Json, indent: str, depth: int, sort_keys: bool) -> str:
    writer = _Writer(sort_keys=sort_keys)
    writer.item(data, indent=indent, depth=depth)
    return "".join(writer.out)


_item = by_content(_item_text)
"""Nearly all providers in a config are those of its base."""


def _is_list(value: object) -> TypeGuard[Sequence[Json]]:
    kind = type(value)
    if kind is list or kind in _NO_LISTS:
        return kind is list  # nearly all values: ten times as quick as asking an abstract class
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def _keys(data: Mapping[str, Json], *, sort_keys: bool) -> list[tuple[str, str]]:
    """The keys in order, each with its written form."""
    for key in data:
        if not isinstance(key, str):
            msg = f"the key {key!r} is a {type(key).__name__}, not a string"
            raise EmitError(msg)
    pairs = [(key, _string(key)) for key in (sorted(data) if sort_keys else data)]
    for key, name in pairs:
        if len(name) > MAX_KEY:
            msg = f"the key that starts with {key[:40]!r} is longer than {MAX_KEY} characters"
            raise EmitError(msg)
    return pairs


def _text(value: Json, indent: str) -> str:
    """A scalar or an empty container, as it stands behind a key or a dash."""
    if isinstance(value, str) and "\n" in value:
        return _literal(value, indent) or _string(value)
    return _flat(value)


def _flat(value: Json) -> str:
    """A scalar or an empty container on one line."""
    if isinstance(value, str):
        return _string(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if abs(value) >= _FIRST_TOO_LONG:
            msg = f"an integer has more than {MAX_DIGITS} digits"
            raise EmitError(msg)
        return str(int(value))
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Mapping):
        return "{}"
    if _is_list(value):
        return "[]"
    msg = f"a {type(value).__name__} is not JSON data"
    raise EmitError(msg)


def _float(value: float) -> str:
    if not math.isfinite(value):
        msg = f"{value} is not a JSON number"
        raise EmitError(msg)
    text = repr(float(value))
    mantissa, mark, exponent = text.partition("e")
    # YAML 1.1 takes 1e+16 for a string: its floats have a point and a signed exponent.
    return f"{mantissa}.0e{exponent}" if mark and "." not in mantissa else text


def _string(value: str) -> str:
    return _remembered(value) if len(value) <= _SHORT else _written(value)


def _written(value: str) -> str:
    if _BARE.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if value.isascii():
        return encode_basestring_ascii(value)  # JSON's escapes are YAML's too
    return '"' + "".join(map(_escaped, value)) + '"'


_remembered = functools.lru_cache(maxsize=4096)(_written)
"""Most keys and many values are the same in every document."""


def _escaped(char: str) -> str:
    if char.isascii():
        return encode_basestring_ascii(char)[1:-1]
    if _SURROGATES[0] <= char <= _SURROGATES[1]:
        raise EmitError("a string holds half of a surrogate pair")
    # JSON's pair of \u escapes for a character of the other planes would be two in YAML.
    return f"\\u{ord(char):04x}" if char <= _LAST_OF_PLANE_0 else f"\\U{ord(char):08x}"


def _literal(value: str, indent: str) -> str | None:
    """The literal block of a text, or None when a block could not carry it exactly.

    A block is exact when no line ends in a space, no character needs an escape, the first line
    tells the indent, and the text ends in one newline or none.
    """
    kept = value.removesuffix("\n")
    lines = kept.split("\n")
    if not lines[0] or lines[0].startswith(" ") or not lines[-1]:
        return None
    if not all(_BLOCK_LINE.fullmatch(line) for line in lines):
        return None
    mark = "|" if value.endswith("\n") else "|-"
    return "\n".join([mark, *(f"{indent}{line}" if line else "" for line in lines)])
