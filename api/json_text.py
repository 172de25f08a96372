# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""JSON of values that are nested deeper than the usual encoders and decoders go.

Objects come from whoever may write them, and the API server admits thousands of levels in a field
whose content is anybody's. Code that raises would take every list of resources along.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final


def deep_json(value: Any) -> str:
    """JSON with sorted keys, however deep the value is. Slower than the usual encoders."""
    pieces: list[str] = []
    stack: list[Iterator[tuple[str, Any]]] = [iter([("", value)])]
    closing = [""]
    while stack:
        for before, item in stack[-1]:
            pieces.append(before)
            if isinstance(item, Mapping):
                pieces.append("{")
                closing.append("}")
                stack.append(_members(item))
                break
            if isinstance(item, list | tuple):
                pieces.append("[")
                closing.append("]")
                stack.append(("," if i else "", each) for i, each in enumerate(item))
                break
            pieces.append(json.dumps(item, ensure_ascii=False))
        else:
            stack.pop()
            pieces.append(closing.pop())
    return "".join(pieces)


def _members(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for i, key in enumerate(sorted(node)):
        yield f"{',' if i else ''}{json.dumps(key, ensure_ascii=False)}:", node[key]


_TOKEN: Final = re.compile(
    r"""[ \t\r\n]*+(?:(?P<mark>[][{}:,])|(?P<scalar>"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^][{}:,"\s]++))"""
)


def deep_loads(text: bytes) -> Any:
    """The value of a JSON text, however deep it is. Slower than the usual decoders.

    Raises:
        ValueError: it is no JSON, or not one in UTF-8.
    """
    return _Loading(text.decode("utf-8")).value()


class _Loading:
    """One reading of a text, with a stack of what is open."""

    def __init__(self, text: str) -> None:
        self._tokens = self._split(text)
        self._next = next(self._tokens, "")

    @staticmethod
    def _split(text: str) -> Iterator[str]:
        place = 0
        end = len(text.rstrip(" \t\r\n"))
        while place < end:
            match = _TOKEN.match(text, place)
            if match is None:
                raise ValueError(f"no JSON at character {place}")
            place = match.end()
            yield match.group("mark") or match.group("scalar")

    def _take(self) -> str:
        token, self._next = self._next, next(self._tokens, "")
        return token

    def value(self) -> Any:
        """The only value of the text."""
        top: list[Any] = []
        open_nodes: list[list[Any] | dict[str, Any]] = [top]
        self._begin(open_nodes, "")
        while len(open_nodes) > 1:
            self._go_on(open_nodes)
        if self._next:
            raise ValueError("there is more than one value")
        return top[0]

    def _begin(self, open_nodes: list[list[Any] | dict[str, Any]], key: str) -> None:
        """Put the next value into the innermost node; one that holds others is open then."""
        word = self._take()
        made: list[Any] | dict[str, Any] | None = None
        if word in {"[", "{"}:
            made = [] if word == "[" else {}
        value: Any = json.loads(word) if made is None else made
        parent = open_nodes[-1]
        if isinstance(parent, list):
            parent.append(value)
        else:
            parent[key] = value
        if made is not None:
            open_nodes.append(made)

    def _go_on(self, open_nodes: list[list[Any] | dict[str, Any]]) -> None:
        """One member of the innermost node, or its end."""
        node = open_nodes[-1]
        if self._next == ("]" if isinstance(node, list) else "}"):
            self._take()
            open_nodes.pop()
            return
        if node and self._take() != ",":
            raise ValueError("a comma is missing")
        key = "" if isinstance(node, list) else self._key()
        self._begin(open_nodes, key)

    def _key(self) -> str:
        key = json.loads(self._take())
        if not isinstance(key, str) or self._take() != ":":
            raise ValueError("a key is missing")
        return key
