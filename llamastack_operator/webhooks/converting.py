# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One conversion review, from its body to its answer.

The API server converts object by object where it reads its storage, but a review may hold a list of
any length, and that must not keep the lease from being renewed. So the loop gets its turn after
every slice of work.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from llamastack_operator.webhooks.review import (
    CannotConvert,
    conversion_answer,
    conversion_failure,
    conversions,
    read_conversion,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

SLICE_S: Final = 0.01
"""How long the event loop is held at a time, as when an informer hands out a list."""


async def answer_conversion(body: bytes) -> bytes:
    """The answer to a ConversionReview.

    Raises:
        MalformedReview: the body is none.
    """
    clock = asyncio.get_running_loop().time
    request = read_conversion(body)
    converted: list[Mapping[str, Any]] = []
    ends = clock() + SLICE_S
    try:
        for obj in conversions(request):
            converted.append(obj)
            if clock() >= ends:
                await asyncio.sleep(0)
                ends = clock() + SLICE_S
    except CannotConvert as error:
        return conversion_failure(request.uid, str(error))
    return conversion_answer(request.uid, converted)
