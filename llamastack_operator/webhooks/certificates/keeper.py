# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Keeps what is stored, what is served and who is trusted right, one step after the other.

A step looks at everything, like a reconcile, and is taken when something changed or is due. What it
cannot do now it tries again later; meanwhile what was served before still is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from informers.errors import AlreadyExists, ApiError, Conflict, Invalid, NotFound
from llamastack_operator.webhooks.certificates.issuing import renewed
from llamastack_operator.webhooks.certificates.pair import is_valid_at, leaf_of, pem_of
from llamastack_operator.webhooks.certificates.state import Need, assess
from llamastack_operator.webhooks.tls import BadPair

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from cryptography import x509

    from llamastack_operator.webhooks.certificates.pair import Pair
    from llamastack_operator.webhooks.certificates.state import Assessment
    from llamastack_operator.webhooks.certificates.targets import Target
    from llamastack_operator.webhooks.certificates.vault import Vault
    from llamastack_operator.webhooks.tls import ServingContext

log = structlog.get_logger(__name__)

SETTLE_S: Final = 2.0
"""From "the API server was told of an authority" to serving a certificate of it: it passes that on
to itself, and to its replicas."""

PATIENCE_S: Final = 60.0
"""How long a new certificate waits for that at most."""

LOOK_AGAIN_S: Final = 3600.0
"""At the latest, because a clock may be set."""

SHORTEST_WAIT_S: Final = 0.1
FIRST_RETRY_S: Final = 0.5
LAST_RETRY_S: Final = 60.0


class Keeper:
    """One replica's care for its certificate.

    Args:
        vault: where the pair is.
        targets: objects that tell whom to trust.
        serving: what new connections get.
        hosts: that the certificate has to be for.
        utc: the wall clock.
        changed: set whenever the vault or a target changed.
    """

    def __init__(
        self,
        vault: Vault,
        targets: Sequence[Target],
        serving: ServingContext,
        hosts: Sequence[str],
        *,
        utc: Callable[[], datetime],
        changed: asyncio.Event,
    ) -> None:
        self._vault = vault
        self._targets = targets
        self._serving = serving
        self._hosts = hosts
        self._utc = utc
        self._changed = changed
        self._issuer: x509.Certificate | None = None  # of what is served
        self._trusted_since: float | None = None
        self._waits_since: float | None = None
        self._retry_s = FIRST_RETRY_S
        self._tried: Mapping[str, bytes] | None = None  # what the last write was to replace
        self._try_again_at = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._vault.run(), name="webhook-vault")
            for number, target in enumerate(self._targets):
                group.create_task(target.run(), name=f"webhook-target-{number}")
            group.create_task(self._keep(), name="webhook-keeper")

    async def _keep(self) -> None:
        while True:
            self._changed.clear()
            pause_s = await self.step() if self._vault.is_known() else None
            try:
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def step(self) -> float:
        """Do what is to be done now; seconds until there will be more, if nothing changes."""
        now = self._utc()
        found = assess(self._vault.read(), self._hosts, now)
        waits = [LOOK_AGAIN_S]
        if found.need is Need.NOTHING:
            self._retry_s = FIRST_RETRY_S
            waits.append(max((found.again - now).total_seconds(), 0.0) + 1.0)
        else:
            waits.append(await self._renew(found, now))
        if found.need < Need.CERTIFICATE:
            waits += [wait for each in self._targets if (wait := await self._correct(each, found))]
        if found.pair is not None:
            waits.append(self._serve(found, now))
        return max(min(waits), SHORTEST_WAIT_S)

    async def _renew(self, found: Assessment, now: datetime) -> float:
        """Store something better; it comes back as a change. Seconds until another try."""
        stored, clock = self._vault.read(), asyncio.get_running_loop().time
        if stored == self._tried and clock() < self._try_again_at:
            return self._try_again_at - clock()  # what was written is not seen yet
        also = () if self._issuer is None else (self._issuer,)
        data = renewed(stored, found, now, also_trusted=also)
        wait_s, self._retry_s = self._retry_s, min(2 * self._retry_s, LAST_RETRY_S)
        self._tried, self._try_again_at = stored, clock() + wait_s
        try:
            await self._vault.write(data)
        except ApiError as error:
            await self._tell(error, stored)
        else:
            log.info("Renewed the webhooks' certificate", what=found.need.name, reason=found.why)
        return wait_s

    async def _tell(self, error: ApiError, stored: Mapping[str, bytes]) -> None:
        """Losing a race is no failure; a Secret that nobody may change is one."""
        lost = isinstance(error, (AlreadyExists, Conflict, Invalid, NotFound))
        try:
            if lost and (not await self._vault.is_current() or self._vault.read() != stored):
                log.debug("Another replica renewed the webhooks' certificate")
                return
        except ApiError as another:
            error = another
        log.warning("Failed to renew the webhooks' certificate", error=str(error))

    async def _correct(self, target: Target, found: Assessment) -> float | None:
        if not target.is_known():
            return None
        return await target.correct(found.bundle, self._vault.is_current)

    def _serve(self, found: Assessment, now: datetime) -> float:
        """Serve what is stored, if it is not served yet and will be accepted."""
        pair, issuer = found.pair, found.issuer
        if pair is None or issuer is None or pair == self._serving.pair:
            self._waits_since = self._trusted_since = None
            return LOOK_AGAIN_S
        wait_s = self._wait_for_trust(issuer, now)
        if wait_s > 0:
            return wait_s
        try:
            self._serving.use(pair)
        except BadPair as error:
            log.warning("Failed to serve the webhooks' certificate", error=str(error))
            return LAST_RETRY_S
        self._issuer = issuer
        self._waits_since = self._trusted_since = None
        leaf = leaf_of(pair)
        until = leaf.not_valid_after_utc.isoformat() if leaf else ""
        log.info("Served a certificate", valid_until=until)
        return LOOK_AGAIN_S

    def _wait_for_trust(self, issuer: x509.Certificate, now: datetime) -> float:
        """Seconds until a certificate of an authority may take the place of what is served."""
        if issuer == self._issuer or not _is_good(self._serving.pair, now):
            return 0.0
        clock = asyncio.get_running_loop().time()
        if self._waits_since is None:
            self._waits_since = clock
        authority = pem_of([issuer])
        if not all(target.trusts(authority) for target in self._targets):
            self._trusted_since = None
            return self._waits_since + PATIENCE_S - clock
        if self._trusted_since is None:
            self._trusted_since = clock
        return min(self._trusted_since + SETTLE_S, self._waits_since + PATIENCE_S) - clock


def _is_good(pair: Pair | None, now: datetime) -> bool:
    leaf = leaf_of(pair) if pair is not None else None
    return leaf is not None and is_valid_at(leaf, now)
