# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What follows from data alone, remembered by the data's content.

Most of a generated config is its base's, the same for thousands of resources, and each step hands
out copies, so nothing can be remembered by identity. Equality will not do either: ``1``, ``1.0``
and ``True`` are equal and not the same in a config.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Hashable
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

_FORMAT: Final = 2  # of marshal; later ones also tell apart who shares a string with whom
_LARGEST: Final = 4096  # bytes; what is larger is some user's own, and would not be met again


class ByContent(Generic[T]):
    """A pure function of JSON data that remembers its last results.

    Args:
        compute: the function; what it returns is shared and must not be changed.
        size: results that are remembered.
    """

    def __init__(self, compute: Callable[..., T], *, size: int = 512) -> None:
        self._compute = compute
        self._size = size
        self._results: dict[Hashable, T] = {}  # the one used longest ago first

    def __call__(self, data: Any, *more: Hashable) -> T:
        """The function's result for the data and for whatever else it takes.

        Raises:
            Exception: what the function raises, which is not remembered.
        """
        try:
            content = marshal.dumps(data, _FORMAT)
        except ValueError:
            return self._compute(data, *more)  # of a type that is not JSON's own
        if len(content) > _LARGEST:
            return self._compute(data, *more)
        key = (content, *more)
        try:
            result = self._results.pop(key)
        except KeyError:
            result = self._compute(data, *more)
            if len(self._results) >= self._size:
                del self._results[next(iter(self._results))]
        self._results[key] = result
        return result
