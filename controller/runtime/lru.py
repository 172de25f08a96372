# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A memory with a limit: what was used last stays."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """Keeps values as long as there is room.

    Args:
        room: sum of what the values may take; one that takes more stays alone.
        most: values at most, however small; no limit if it is left out.
    """

    def __init__(self, room: int, *, most: int | None = None) -> None:
        self._room = room
        self._most = room if most is None else most
        self._used = 0
        self._values: dict[K, tuple[int, V]] = {}  # oldest use first

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def get(self, key: K) -> V | None:
        """The value, if it is still there."""
        found = self._values.pop(key, None)
        if found is None:
            return None
        self._values[key] = found
        return found[1]

    def put(self, key: K, value: V, size: int = 1) -> None:
        """Keep a value, at the cost of those that were not used for longest.

        Args:
            key: names it.
            value: to keep.
            size: what it takes, in the unit of the room.
        """
        if key in self._values:
            self._used -= self._values.pop(key)[0]
        self._values[key] = (size, value)
        self._used += size
        while len(self._values) > 1 and (self._used > self._room or len(self._values) > self._most):
            self._used -= self._values.pop(next(iter(self._values)))[0]
