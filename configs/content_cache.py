# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What follows from data alone, remembered by the data's content.

Most of a generated config is its base's, the same for thousands of resources, and each step hands
out copies, so nothing can be remembered by identity. Equality will not do either: ``1``, ``1.0``
and ``True`` are equal and not the same in a config.
"""

from __future__ import annotations

import functools
import marshal
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

T = TypeVar("T")

_FORMAT: Final = 2  # of marshal; later ones also tell apart who shares a string with whom
_LARGEST: Final = 4096  # bytes; what is larger is some user's own, and would not be met again


def by_content(compute: Callable[..., T], *, size: int = 512) -> Callable[..., T]:
    """A pure function of JSON data, and of whatever else it takes, that remembers its last results.

    Args:
        compute: the function; what it returns is shared and must not be changed. What it raises
            is not remembered.
        size: results that are remembered.
    """

    @functools.lru_cache(maxsize=size)
    def remembered(content: bytes, *more: Hashable) -> T:
        return compute(marshal.loads(content), *more)  # noqa: S302 -- of our own making

    def computed(data: Any, *more: Hashable) -> T:
        try:
            content = marshal.dumps(data, _FORMAT)
        except ValueError:
            return compute(data, *more)  # of a type that is not JSON's own
        return compute(data, *more) if len(content) > _LARGEST else remembered(content, *more)

    return computed
