# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""An object whose fields are taken one by one, so that none is forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from api.conversion.places import ABSENT
from api.errors import FieldWarning
from api.model import Json, kind_of

NOT_KNOWN: Final = "is not known here, so nothing is made of it"
NO_OBJECT: Final = "must be an object, got {kind}, so nothing is made of it"
NO_LIST: Final = "must be a list, got {kind}, so nothing is made of it"

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Part:
    """An object inside an OGXServer.

    Taking a field removes it from what is left, never from the object itself. Null is absent, as
    the API server has it. What is left at the end is named in a warning.

    Attributes:
        path: where the object is.
    """

    __slots__ = ("_found", "_left", "_parts", "path")

    def __init__(
        self, node: Mapping[Any, Any], path: str = "", found: list[FieldWarning] | None = None
    ) -> None:
        """The fields that are there, all of them left.

        Args:
            node: the object.
            path: where it is.
            found: receives warnings; a list of its own for the whole object.
        """
        self.path = path
        self._left = {str(key): value for key, value in node.items() if value is not None}
        self._parts: dict[str, Part] = {}
        self._found: list[FieldWarning] = [] if found is None else found

    @property
    def warnings(self) -> tuple[FieldWarning, ...]:
        """What was found so far in the whole object, without repetitions."""
        return tuple(dict.fromkeys(self._found))

    def names(self) -> tuple[str, ...]:
        """The fields that are left."""
        return tuple(self._left)

    def take(self, name: str) -> Any:
        """The value of a field; :data:`ABSENT` if there is none, or it is taken."""
        return self._left.pop(name, ABSENT)

    def peek(self, name: str) -> Any:
        """The value of a field, which stays."""
        return self._left.get(name, ABSENT)

    def taken(self, names: Iterable[str]) -> Json:
        """The fields of some names that are there, taken."""
        pairs = ((name, self.take(name)) for name in names)
        return {name: value for name, value in pairs if value is not ABSENT}

    def part(self, *names: str) -> Part:
        """An object further down, the same one every time; empty if there is none.

        Its fields can only be taken from it.
        """
        if not names:
            return self
        first, *rest = names
        if first not in self._parts:
            self._parts[first] = self._part(first)
        return self._parts[first].part(*rest)

    def _part(self, name: str) -> Part:
        return self.inner(self.take(name), self.at(name))

    def inner(self, value: Any, path: str) -> Part:
        """An object that was taken already, to be finished by whoever took it."""
        if not isinstance(value, Mapping):
            if value is not ABSENT:
                self.say(path, NO_OBJECT.format(kind=kind_of(value)))
            value = {}
        return Part(value, path, self._found)

    def items(self, name: str) -> Iterator[tuple[Any, str]]:
        """The items of a list and their paths; a single object is a list of one."""
        value, path = self.take(name), self.at(name)
        if isinstance(value, Mapping):
            yield value, path
        elif isinstance(value, list | tuple):
            for index, item in enumerate(value):
                yield item, f"{path}[{index}]"
        elif value is not ABSENT:
            self.say(path, NO_LIST.format(kind=kind_of(value)))

    def at(self, name: str) -> str:
        """The path of a field."""
        if _IDENTIFIER.fullmatch(name) is None:
            return f"{self.path}[{name}]"
        return f"{self.path}.{name}" if self.path else name

    def warn(self, name: str, message: str, hint: str = "") -> None:
        """Warn about a field."""
        self.say(self.at(name), message, hint)

    def say(self, path: str, message: str, hint: str = "") -> None:
        """Warn about a path."""
        self._found.append(FieldWarning(path, message, hint))

    def finish(self) -> None:
        """Name what is left, here and further down."""
        for part in self._parts.values():
            part.finish()
        for name in self.names():
            self.take(name)
            self.warn(name, NOT_KNOWN)
