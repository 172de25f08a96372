# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Requests side by side, of which none is left running when another fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

T = TypeVar("T")


async def gather_settled(*steps: Awaitable[T]) -> list[T | BaseException]:
    """Run all until they end, well or not; what each came to, in order."""
    return await asyncio.gather(*steps, return_exceptions=True)


def unwrap(result: T | BaseException) -> T:
    """What a step came to; raises what it failed with."""
    if isinstance(result, BaseException):
        raise result
    return result
