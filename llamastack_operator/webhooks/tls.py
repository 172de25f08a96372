# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The certificate that new connections get, exchanged while the server runs (H4).

Every handshake asks for the context of the day (OpenSSL's callback for server names, which is also
called where the client names none). A pair is loaded into a context of its own, whole, before any
handshake sees it; what cannot be loaded changes nothing. Connections that are open go on.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llamastack_operator.webhooks.certificates.pair import Pair
    from llamastack_operator.webhooks.metrics import CertificateMetrics


class BadPair(Exception):
    """TLS cannot be served with a certificate and key; the message says why, and no more."""


class ServingContext:
    """What a TLS server listens with.

    Args:
        metrics: counts certificates.
    """

    def __init__(self, metrics: CertificateMetrics) -> None:
        self._metrics = metrics
        self._current: ssl.SSLContext | None = None
        self._pair: Pair | None = None
        self._there = asyncio.Event()
        self.listening = _context()
        """For the listening socket. Without a pair, handshakes are refused."""
        self.listening.sni_callback = self._choose

    @property
    def pair(self) -> Pair | None:
        """What new connections get; ``None`` as long as there is nothing."""
        return self._pair

    def use(self, pair: Pair) -> None:
        """Serve new connections with a pair from now on.

        Raises:
            BadPair: it cannot be served; what was served before still is.
        """
        self._metrics.certificate_read()
        context = _context()
        try:
            with _as_file(pair.certificate + b"\n" + pair.key) as path:
                context.load_cert_chain(path)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self._metrics.certificate_failed()
            reason = getattr(error, "reason", None) or type(error).__name__
            raise BadPair(f"the certificate and its key cannot be loaded: {reason}") from None
        self._current, self._pair = context, pair
        self._there.set()

    async def wait(self) -> None:
        """Until there is a pair. Waits without a limit of its own: the caller bounds it."""
        await self._there.wait()

    def _choose(
        self, connection: ssl.SSLObject, name: str, listening: ssl.SSLContext
    ) -> int | None:
        if self._current is None:
            return int(ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR)
        connection.context = self._current
        return None


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """The path of a file, which is what :mod:`ssl` insists on; it never is on a disk on Linux.

    The container's own file system is read-only, and a key has no business on a disk.
    """
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile() as file:  # only its owner may read it
            file.write(content)
            file.flush()
            yield file.name
        return
    descriptor = os.memfd_create("webhook-certificate")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
