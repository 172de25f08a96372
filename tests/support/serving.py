# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A webhook server on loopback, with certificates of a private authority, and a client of it."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from llamastack_operator.observability.bind import BindAddress
from llamastack_operator.webhooks.certificates.pair import Pair
from llamastack_operator.webhooks.server import Handler, WebhookServer
from llamastack_operator.webhooks.tls import ServingContext
from tests.support.authority import Authority


@dataclass
class Counts:
    """Implements both protocols of ``llamastack_operator.webhooks.metrics``."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    in_flight: int = 0
    panics: int = 0
    reads: int = 0
    failed_reads: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, true: Callable[[], bool]) -> None:
        """Until something about requests is so."""
        async with asyncio.timeout(10):
            while not true():
                self.changed.clear()
                await self.changed.wait()

    def webhook_began(self, webhook: str) -> None:
        """See there."""
        self.in_flight += 1
        self.changed.set()

    def webhook_ended(self, webhook: str, code: int, seconds: float) -> None:
        """See there."""
        self.in_flight -= 1
        self.answers[webhook, code] += 1
        self.changed.set()

    def webhook_panicked(self) -> None:
        """See there."""
        self.panics += 1

    def certificate_read(self) -> None:
        """See there."""
        self.reads += 1

    def certificate_failed(self) -> None:
        """See there."""
        self.failed_reads += 1


def pair_of(authority: Authority) -> Pair:
    """A certificate for 127.0.0.1."""
    certificate, key = authority.issue()
    return Pair(certificate.encode(), key.encode())


class Served:
    """A running server.

    Attributes:
        server: itself.
        context: what connections get.
        counts: what it counted.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self.counts = Counts()
        self.context = ServingContext(self.counts)
        self.server = WebhookServer(
            "--webhook-port", BindAddress("127.0.0.1", 0), self.context, handlers, self.counts
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        port = self.server.port
        assert port is not None
        return port

    async def open(self, authority: Authority) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to write anything into, from somebody who trusts an authority."""
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=trusting(authority))

    async def post(
        self, path: str, body: bytes, authority: Authority, *, session: aiohttp.ClientSession
    ) -> tuple[int, bytes]:
        """Status and body of an answer."""
        url = f"https://127.0.0.1:{self.port}{path}"
        headers = {"Content-Type": "application/json"}
        async with session.post(
            url, data=body, headers=headers, ssl=trusting(authority)
        ) as response:
            return response.status, await response.read()


def trusting(*authorities: Authority) -> ssl.SSLContext:
    """What a client connects with that trusts nobody else."""
    return ssl.create_default_context(cadata="".join(each.pem for each in authorities))


@asynccontextmanager
async def served(handlers: Mapping[str, Handler], pair: Pair | None) -> AsyncIterator[Served]:
    """A server that runs."""
    made = Served(handlers)
    if pair is not None:
        made.context.use(pair)
    await made.server.start()
    try:
        yield made
    finally:
        await made.server.stop()
