# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Coming again when the API server asks for it, for callers without a work queue.

The server answers 429 or 5xx with ``Retry-After`` where a request was not wrong but early: it is
overloaded, or it just builds a custom resource's storage anew because its definition was written
("apiserver is shutting down", k8s.io/apiserver ``filters/waitgroup.go``). client-go waits and
repeats any such request (``rest/with_retry.go``), and so do commands, which have nobody behind them
who would try again. A reconcile goes back to its queue instead, which keeps the worker free.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from informers.errors import ServerError, TooManyRequests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

COMMAND_PATIENCE_S: Final = 10.0
"""client-go repeats a request ten times; the server nearly always asks for one second."""

_SHORTEST_PAUSE_S: Final = 0.2  # whatever the server asks for


async def patiently(request: Callable[[], Awaitable[T]], patience_s: float) -> T:
    """The answer to a request, which is repeated while the server asks for it.

    Args:
        request: sends it; every call sends it again.
        patience_s: how long the pauses may last altogether; 0 for a single try.

    Raises:
        ApiError: of the last try.
    """
    left = patience_s
    while True:
        try:
            return await request()
        except (TooManyRequests, ServerError) as error:
            if error.retry_after is None:
                raise
            pause_s = max(error.retry_after, _SHORTEST_PAUSE_S)
            if pause_s > left:
                raise
        left -= pause_s
        await asyncio.sleep(pause_s)
