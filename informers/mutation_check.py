# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Proves that nobody changes cached objects (B8); for tests, like client-go's mutation detector.

Objects in a store are shared by all readers and are plain dictionaries, because copies or deep
read-only views would cost more than the rest of the cache. What the type checker cannot see, a
write through ``Any``, this finds: each object is serialised when it enters the store and
compared from time to time, and once more when it leaves.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from informers.ports import Object, ObjectKey
from informers.store import Store


class CacheMutated(AssertionError):
    """Somebody changed an object of a store; names the object and the fields."""


class MutationDetector:
    """Watches over one store.

    Args:
        period_s: between two checks of everything, in seconds.
    """

    def __init__(self, *, period_s: float = 1.0) -> None:
        self.period_s = period_s
        self._entered: dict[ObjectKey, tuple[Object, bytes]] = {}

    def moved(self, store: Store, keys: Iterable[ObjectKey]) -> None:
        """These keys of the store may hold other objects now, or none.

        Raises:
            CacheMutated: an object that left had been changed.
        """
        for key in keys:
            obj = store.get(key)
            before = self._entered.get(key)
            if before is not None and before[0] is obj:
                continue
            if before is not None:
                _compare(key, *before)
                del self._entered[key]
            if obj is not None:
                self._entered[key] = (obj, _serialised(obj))

    def check(self) -> None:
        """Compare everything.

        Raises:
            CacheMutated: an object has been changed.
        """
        for key, (obj, entered_as) in self._entered.items():
            _compare(key, obj, entered_as)

    @property
    def known(self) -> tuple[ObjectKey, ...]:
        """The keys that are watched over."""
        return tuple(self._entered)


def _compare(key: ObjectKey, obj: Object, entered_as: bytes) -> None:
    if _serialised(obj) == entered_as:
        return
    # Names of fields only: the values may be secret.
    fields = ", ".join(sorted(_differences(orjson.loads(entered_as), obj, "")))
    raise CacheMutated(f"the cached object {key} was changed in place: {fields}")


def _serialised(obj: Object) -> bytes:
    return orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)


def _differences(before: object, after: object, path: str) -> set[str]:
    if before == after:
        return set()
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return {path}
    return {
        difference
        for name in before.keys() | after.keys()
        for difference in _differences(
            before.get(name), after.get(name), f"{path}.{name}" if path else str(name)
        )
    }
