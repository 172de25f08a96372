# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A pair that somebody else keeps, in a folder: cert-manager's Secret as a volume, or one's own.

The files are looked at every few seconds; both are read again when one has changed, and what does
not fit together is not served (H4). Notifications of the file system are no help: the kubelet
exchanges a link, and other mounts send none.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog

from llamastack_operator.webhooks.certificates.pair import Pair, leaf_of
from llamastack_operator.webhooks.certificates.state import CERTIFICATE, KEY
from llamastack_operator.webhooks.tls import BadPair

if TYPE_CHECKING:
    from llamastack_operator.webhooks.metrics import CertificateMetrics
    from llamastack_operator.webhooks.tls import ServingContext

log = structlog.get_logger(__name__)

PERIOD_S: Final = 5.0

_Stamp: TypeAlias = "tuple[tuple[int, int, int], ...] | None"


class FileKeeper:
    """Serves what is in a folder.

    Args:
        folder: with ``tls.crt`` and ``tls.key``.
        serving: what new connections get.
        metrics: counts reads.
    """

    def __init__(self, folder: Path, serving: ServingContext, metrics: CertificateMetrics) -> None:
        self._paths = (folder / CERTIFICATE, folder / KEY)
        self._serving = serving
        self._metrics = metrics
        self._seen: _Stamp = None
        self._problem = ""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(PERIOD_S)

    def look(self) -> None:
        """Serve what is there, if it is new and good."""
        stamp = self._stamp()
        if stamp == self._seen and (stamp is not None or self._problem):
            return
        problem = self._load()
        if problem and problem != self._problem:
            log.error("Failed to load the webhooks' certificate", problem=problem)
        self._problem = problem
        # A stamp from before the read: what was written meanwhile is read again.
        self._seen = stamp

    def _load(self) -> str:
        """What is wrong; empty if the pair is served now."""
        try:
            certificate, key = (path.read_bytes() for path in self._paths)
        except OSError as error:
            return self._failed(f"{error.filename}: {error.strerror}")
        pair = Pair(certificate, key)
        leaf = leaf_of(pair)
        if leaf is None:
            return self._failed("{} and {} are no certificate with its key".format(*self._paths))
        try:
            self._serving.use(pair)
        except BadPair as error:
            return f"{self._paths[0]}: {error}"
        log.info("Served a certificate", valid_until=leaf.not_valid_after_utc.isoformat())
        return ""

    def _failed(self, problem: str) -> str:
        self._metrics.certificate_read()
        self._metrics.certificate_failed()
        return problem

    def _stamp(self) -> _Stamp:
        try:
            stats = [path.stat() for path in self._paths]
        except OSError:
            return None
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in stats)
