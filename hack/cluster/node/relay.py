# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Makes the API server, which listens on loopback, reachable at another address of this machine.

    python -m hack.cluster.node.relay LISTEN_ADDRESS LISTEN_PORT PORT_ON_LOOPBACK

It copies bytes both ways and looks at none. A connection ends for both sides when one of them ends
it: the halves of a TLS connection are not closed one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from functools import partial

_BLOCK = 1 << 16
_CONNECT_S = 5.0


async def serve(address: str, port: int, target: int) -> None:
    """Listen, until cancelled."""
    server = await asyncio.start_server(partial(_relay, target), address, port)
    async with server:
        await server.serve_forever()


async def _relay(target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, TimeoutError), contextlib.closing(writer):
        async with asyncio.timeout(_CONNECT_S):
            behind, beyond = await asyncio.open_connection("127.0.0.1", target)
        with contextlib.closing(beyond):
            there = asyncio.create_task(_copy(reader, beyond), name="to the server")
            back = asyncio.create_task(_copy(behind, writer), name="to the client")
            try:
                await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            finally:
                there.cancel()
                back.cancel()
                await asyncio.gather(there, back, return_exceptions=True)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while block := await source.read(_BLOCK):
            sink.write(block)
            await sink.drain()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
