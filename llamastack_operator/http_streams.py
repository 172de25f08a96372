# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How a stream of an HTTP answer ends that the server has not ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp


def hang_up(response: aiohttp.ClientResponse) -> None:
    """Drop the connection.

    aiohttp would close TLS politely, wait for the peer in the background, and leave a socket open
    that outlives the client; nobody needs the rest of a watch, or of an answer that is too long.
    """
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
