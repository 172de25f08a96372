# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How large a spec may be that anybody looks at (R-D30)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MOST_VALUES: Final = 10_000
"""Values in a spec: fields, items and what they hold. Two hundred providers with twenty settings
each have half of it; judging so many takes a second, and everybody waits for it."""


def is_oversized(spec: Any) -> bool:
    """Whether a spec has more than :data:`MOST_VALUES`; takes no longer for one with a million."""
    left, stack = MOST_VALUES, [spec]
    while stack:
        node = stack.pop()
        if isinstance(node, Mapping):
            items = list(node.values())
        elif isinstance(node, list | tuple):
            items = list(node)
        else:
            continue
        left -= len(items)
        if left < 0:
            return True
        stack += items
    return False
