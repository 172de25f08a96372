# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Named indices over the objects of a store (B7).

An index function is pure: an object in, the values out under which it is filed. The values are
remembered per key, so that removing an object does not call the function again, which might
answer differently or fail. A function that fails for one object leaves that object out of that
index and nothing else: the object itself must not be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from informers.ports import Object, ObjectKey

IndexFunc: TypeAlias = Callable[[Object], Iterable[str]]
"""The values under which an object is found; none, one or several, in any order."""


class Indices:
    """All indices of one store.

    Args:
        functions: by name of the index.
        on_error: told of each failure of a function: index, key, exception.
    """

    def __init__(
        self,
        functions: Mapping[str, IndexFunc],
        on_error: Callable[[str, ObjectKey, Exception], None],
    ) -> None:
        self._functions = dict(functions)
        self._on_error = on_error
        # Dictionaries instead of sets: iteration in insertion order makes runs repeatable.
        self._keys: dict[str, dict[str, dict[ObjectKey, None]]] = {n: {} for n in functions}
        self._values: dict[str, dict[ObjectKey, tuple[str, ...]]] = {n: {} for n in functions}

    def put(self, key: ObjectKey, obj: Object) -> None:
        """File an object, in place of what was filed under its key."""
        for name, function in self._functions.items():
            try:
                values = tuple(dict.fromkeys(function(obj)))
            except Exception as error:  # noqa: BLE001 -- handed on; one bad object must not end the informer
                self._on_error(name, key, error)
                values = ()
            before = self._values[name].get(key, ())
            if values != before:
                if before:
                    self._unfile(name, key)
                self._file(name, key, values)

    def remove(self, key: ObjectKey) -> None:
        """Forget an object; unknown keys are fine."""
        for name in self._functions:
            self._unfile(name, key)

    def keys(self, index: str, value: str) -> tuple[ObjectKey, ...]:
        """The keys filed under a value.

        Raises:
            KeyError: no such index; a programming error.
        """
        return tuple(self._keys[index].get(value, ()))

    def snapshot(self) -> dict[str, dict[str, frozenset[ObjectKey]]]:
        """Everything, for comparison with a recomputation."""
        return {
            name: {value: frozenset(keys) for value, keys in by_value.items()}
            for name, by_value in self._keys.items()
        }

    def _file(self, name: str, key: ObjectKey, values: tuple[str, ...]) -> None:
        if values:
            self._values[name][key] = values
        for value in values:
            self._keys[name].setdefault(value, {})[key] = None

    def _unfile(self, name: str, key: ObjectKey) -> None:
        for value in self._values[name].pop(key, ()):
            filed = self._keys[name][value]
            del filed[key]
            if not filed:  # else values that never come back would pile up
                del self._keys[name][value]
