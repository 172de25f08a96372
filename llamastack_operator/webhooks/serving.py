# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The webhooks of one process, as the manager starts and stops them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from controller.llamastack.objects.kinds import SECRET
from controller.llamastack.references.config_maps import Reach
from controller.llamastack.watches import Right
from informers.errors import ApiError
from informers.ports import ObjectKey
from llamastack_operator.kube.preflight import rules_in
from llamastack_operator.observability.bind import BindAddress
from llamastack_operator.times import utc_now
from llamastack_operator.webhooks import names
from llamastack_operator.webhooks.certificates.ca_bundle import Address
from llamastack_operator.webhooks.certificates.files import FileKeeper
from llamastack_operator.webhooks.certificates.keeper import Keeper
from llamastack_operator.webhooks.certificates.pair import is_valid_at, leaf_of
from llamastack_operator.webhooks.certificates.targets import TARGETS, Target
from llamastack_operator.webhooks.certificates.vault import MemoryVault, SecretVault
from llamastack_operator.webhooks.converting import answer_conversion
from llamastack_operator.webhooks.references import ReferenceChecker
from llamastack_operator.webhooks.server import WebhookServer
from llamastack_operator.webhooks.tls import ServingContext
from llamastack_operator.webhooks.validating import Validator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from configs.distributions import Distributions
    from llamastack_operator.kube.preflight import Rules
    from llamastack_operator.kube.rest import Client
    from llamastack_operator.observability.metrics import Metrics
    from llamastack_operator.settings import Settings

log = structlog.get_logger(__name__)

SECRET_RIGHTS: Final = (
    Right("create", SECRET),
    Right("list", SECRET, name=names.SECRET),
    Right("watch", SECRET, name=names.SECRET),
    Right("patch", SECRET, name=names.SECRET),
)
"""In the operator's namespace, if the operator makes the certificate."""

TARGET_RIGHTS: Final = tuple(
    Right(verb, resource, name=name)
    for resource, name in TARGETS
    for verb in ("list", "watch", "patch")
)
"""Likewise in the cluster. Without them somebody else has to say whom the API server trusts."""

_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


class _Upkeep(Protocol):
    """Keeps the certificate."""

    async def run(self) -> None:
        """Until cancelled."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process is called.

    Attributes:
        bind: where it listens.
        address: how it is called.
        hosts: that its certificate is for.
    """

    bind: BindAddress
    address: Address
    hosts: tuple[str, ...]


def place_of(settings: Settings) -> Place:
    """Where a process with these settings is called."""
    namespace, host = settings.leader_elect_namespace, settings.webhook_host
    hosts = list(names.service_hosts(namespace)) if namespace else []
    if host:
        hosts.append(host)
    elif not namespace:
        hosts += _LOCAL
    address = Address(namespace, names.SERVICE, frozenset(hosts))
    # A loopback address is nobody else's business.
    local = host if host in _LOCAL else ""
    return Place(BindAddress(local, settings.webhook_port or 0), address, tuple(hosts))


class Webhooks:
    """The server, and its certificate.

    Args:
        client: for references, and for the certificate.
        settings: from flags and environment.
        metrics: all of them.
        distributions: what ``distribution.name`` means now; ``None`` while that is not known.
        utc: the wall clock.
    """

    def __init__(
        self,
        client: Client,
        settings: Settings,
        metrics: Metrics,
        distributions: Callable[[], Distributions | None],
        *,
        utc: Callable[[], datetime] = utc_now,
    ) -> None:
        self._client = client
        self._settings = settings
        self._metrics = metrics
        self._utc = utc
        self._place = place_of(settings)
        observer = metrics.webhooks(names.CONVERT, names.VALIDATE)
        self._observer = observer
        self._serving = ServingContext(observer)
        self._problem = "there is no certificate yet"
        namespaces = frozenset(settings.namespaces)
        validator = Validator(
            ReferenceChecker(client, Reach(settings.allow_cross_namespace_config, namespaces)),
            distributions,
            missing_references=settings.missing_references,
            namespaces=namespaces,
        )
        self.server = WebhookServer(
            "--webhook-port",
            self._place.bind,
            self._serving,
            {names.CONVERT: _convert, names.VALIDATE: validator.answer},
            observer,
        )

    async def start(self) -> None:
        """Listen; handshakes succeed as soon as there is a certificate.

        Raises:
            BindError: nothing can listen there.
        """
        await self.server.start()

    async def stop(self) -> None:
        """Take no more requests, and finish what is in work."""
        await self.server.stop()

    async def run(self) -> None:
        """Keep the certificate until cancelled."""
        await (await self._upkeep()).run()

    async def wait_serving(self, *, within_s: float) -> None:
        """Until there is a certificate, or so much time has passed."""
        try:
            async with asyncio.timeout(within_s):
                await self._serving.wait()
        except TimeoutError:
            log.warning("Went on without the webhooks", problem=self.problem())

    def problem(self) -> str | None:
        """Why requests are not answered; ``None`` if they are."""
        if self._serving.pair is None:
            return self._problem
        leaf = leaf_of(self._serving.pair)
        if leaf is None or not is_valid_at(leaf, self._utc()):
            return "the certificate is not valid now"
        return None

    async def _upkeep(self) -> _Upkeep:
        if self._settings.webhook_cert_dir:
            self._problem = f"there is no certificate in {self._settings.webhook_cert_dir}"
            folder = Path(self._settings.webhook_cert_dir)
            return FileKeeper(folder, self._serving, self._observer)
        changed = asyncio.Event()
        namespace = self._settings.leader_elect_namespace
        rules = await self._rules(namespace)
        vault: SecretVault | MemoryVault
        if namespace:
            self._tell_missing(rules)
            key = ObjectKey(namespace, names.SECRET)
            vault = SecretVault(self._client, key, changed.set, metrics=self._metrics)
        else:
            vault = MemoryVault(changed.set)
        return Keeper(
            vault,
            self._targets(rules, changed.set),
            self._serving,
            self._place.hosts,
            utc=self._utc,
            changed=changed,
        )

    async def _rules(self, namespace: str) -> Rules | None:
        """What we may do, if that can be found out."""
        try:
            return await rules_in(self._client, (namespace,) if namespace else ())
        except ApiError as error:
            log.warning("Failed to ask for rights", error=str(error))
            return None

    def _tell_missing(self, rules: Rules | None) -> None:
        missing = [] if rules is None else rules.missing(SECRET_RIGHTS)
        if missing:
            self._problem = f"there is no certificate, because rights are missing: {missing[0]}"
            log.error("Cannot keep the webhooks' certificate", missing_rights=missing)

    def _targets(self, rules: Rules | None, changed: Callable[[], None]) -> Sequence[Target]:
        """The objects that we may correct."""
        clock = asyncio.get_running_loop().time
        targets = []
        for resource, name in TARGETS:
            rights = [right for right in TARGET_RIGHTS if right.resource == resource]
            missing = [] if rules is None else [r for r in rights if not rules.allow(r)]
            if missing:
                log.warning(
                    "Left the CA bundle to others, because rights are missing",
                    object=f"{resource.kind} {name}",
                    missing_verbs=[right.verb for right in missing],
                )
                continue
            targets.append(
                Target(
                    self._client,
                    resource,
                    name,
                    self._place.address,
                    changed,
                    clock=clock,
                    metrics=self._metrics,
                )
            )
        return targets


async def _convert(body: bytes, *, deadline: float) -> bytes:
    """The server ends it if it takes too long; nothing in it waits."""
    del deadline
    return await answer_conversion(body)
