# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Replicas that keep the webhooks' certificate, with an API server in memory and virtual time."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from controller.llamastack.objects.kinds import SECRET
from informers.metrics import NO_METRICS
from informers.ports import ObjectKey
from llamastack_operator.kube.kinds import CRD, WEBHOOK
from llamastack_operator.webhooks import names
from llamastack_operator.webhooks.certificates.ca_bundle import Address
from llamastack_operator.webhooks.certificates.keeper import Keeper
from llamastack_operator.webhooks.certificates.pair import (
    is_issued_by,
    is_valid_at,
    leaf_of,
    read_certificates,
)
from llamastack_operator.webhooks.certificates.state import AUTHORITIES, CERTIFICATE, KEY
from llamastack_operator.webhooks.certificates.targets import TARGETS, Target
from llamastack_operator.webhooks.certificates.vault import SecretVault
from llamastack_operator.webhooks.tls import ServingContext
from tests.support.fakeapi.client import FakeClient
from tests.support.fakeapi.server import FakeApi, loop_clock
from tests.support.serving import Counts

NAMESPACE = "system"
HOSTS = names.service_hosts(NAMESPACE)
ADDRESS = Address(NAMESPACE, names.SERVICE, frozenset(HOSTS))
SECRET_KEY = ObjectKey(NAMESPACE, names.SECRET)
DEFINITION_KEY = ObjectKey("", names.DEFINITION)
CONFIGURATION_KEY = ObjectKey("", names.CONFIGURATION)
_SERVICE = {"service": {"namespace": NAMESPACE, "name": names.SERVICE, "path": "/x"}}


class Replica:
    """One process, as far as its certificate goes."""

    def __init__(self, world: World, targets: Any = TARGETS) -> None:
        self.client = FakeClient(world.api, latency_s=0.002)
        self.serving = ServingContext(Counts())
        changed = asyncio.Event()
        self.keeper = Keeper(
            SecretVault(self.client, SECRET_KEY, changed.set, metrics=NO_METRICS),
            [
                Target(
                    self.client,
                    resource,
                    name,
                    ADDRESS,
                    changed.set,
                    clock=asyncio.get_running_loop().time,
                    metrics=NO_METRICS,
                )
                for resource, name in targets
            ],
            self.serving,
            HOSTS,
            utc=world.utc,
            changed=changed,
        )

    def is_accepted(self, bundle: bytes, now: datetime) -> bool:
        """Whether an API server with a bundle takes what is served."""
        leaf = leaf_of(self.serving.pair) if self.serving.pair else None
        return (
            leaf is not None
            and is_valid_at(leaf, now)
            and any(is_issued_by(leaf, each) for each in read_certificates(bundle))
        )


class World:
    """A cluster in which the webhooks are installed, and replicas."""

    def __init__(self) -> None:
        self.api = FakeApi(CRD, WEBHOOK)
        self.offset = timedelta()
        self.replicas: list[Replica] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.api.create(
            CRD,
            {
                "metadata": {"name": names.DEFINITION},
                "spec": {
                    "conversion": {"strategy": "Webhook", "webhook": {"clientConfig": _SERVICE}}
                },
            },
        )
        self.api.create(
            WEBHOOK,
            {
                "metadata": {"name": names.CONFIGURATION},
                "webhooks": [{"name": names.CONFIGURATION, "clientConfig": _SERVICE}],
            },
        )

    def utc(self) -> datetime:
        """The wall clock of everybody."""
        return loop_clock() + self.offset

    def add(self, targets: Any = TARGETS) -> Replica:
        """Start a replica."""
        replica = Replica(self, targets)
        self.replicas.append(replica)
        name = f"replica-{len(self.replicas)}"
        self._tasks.append(asyncio.create_task(replica.keeper.run(), name=name))
        return replica

    async def remove(self, number: int) -> None:
        """Kill a replica."""
        self.replicas.pop(number)
        task = self._tasks.pop(number)
        task.cancel()
        await asyncio.wait([task])

    # --- what is there -----------------------------------------------------------------------

    def stored(self) -> dict[str, bytes]:
        """What is in the Secret; empty if there is none."""
        found = self.api.find(SECRET, SECRET_KEY)
        data = (found or {}).get("data") or {}
        return {name: base64.b64decode(value) for name, value in data.items()}

    def bundles(self) -> list[bytes]:
        """Of both objects that name the webhooks."""
        definition = self.api.get(CRD, DEFINITION_KEY)
        configuration = self.api.get(WEBHOOK, CONFIGURATION_KEY)
        configs = (
            definition["spec"]["conversion"]["webhook"]["clientConfig"],
            configuration["webhooks"][0]["clientConfig"],
        )
        return [base64.b64decode(config.get("caBundle") or "") for config in configs]

    def is_right(self) -> bool:
        """All replicas serve what is stored, everybody who calls them trusts it, and no other."""
        data = self.stored()
        pair = (data.get(CERTIFICATE), data.get(KEY))
        now = self.utc()
        return bool(data) and all(
            replica.serving.pair is not None
            and (replica.serving.pair.certificate, replica.serving.pair.key) == pair
            and all(replica.is_accepted(bundle, now) for bundle in self.bundles())
            and self.bundles() == [data.get(AUTHORITIES)] * 2
            for replica in self.replicas
        )

    async def until(
        self, true: Callable[[], bool], within_s: float = 300.0, *, every_s: float = 0.01
    ) -> float:
        """Until something is so; how long that took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(within_s):
            while not true():
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(every_s)
        return loop.time() - began

    # --- what somebody does ------------------------------------------------------------------

    def damage(self, **data: bytes | None) -> None:
        """Change keys of the Secret; ``None`` removes one."""
        live = self.api.find(SECRET, SECRET_KEY)
        if live is None:
            return
        kept = dict(live.get("data") or {})
        for name, value in data.items():
            key = name.replace("_", ".")
            if value is None:
                kept.pop(key, None)
            else:
                kept[key] = base64.b64encode(value).decode()
        self.api.replace(SECRET, {**live, "data": kept})

    def delete_secret(self) -> None:
        """As an administrator does who wants a new one."""
        if self.api.find(SECRET, SECRET_KEY) is not None:
            self.api.delete(SECRET, SECRET_KEY)

    def set_bundle(self, value: str | None) -> None:
        """Overwrite it in both objects; ``None`` removes it."""
        config = dict(_SERVICE) if value is None else {**_SERVICE, "caBundle": value}
        definition = self.api.get(CRD, DEFINITION_KEY)
        conversion = {"strategy": "Webhook", "webhook": {"clientConfig": config}}
        self.api.replace(CRD, {**definition, "spec": {"conversion": conversion}})
        configuration = self.api.get(WEBHOOK, CONFIGURATION_KEY)
        hooks = [{"name": names.CONFIGURATION, "clientConfig": config}]
        self.api.replace(WEBHOOK, {**configuration, "webhooks": hooks})

    async def end(self) -> None:
        """Kill everybody."""
        while self.replicas:
            await self.remove(0)


@asynccontextmanager
async def world(*, replicas: int) -> AsyncIterator[World]:
    """With so many replicas, which are killed in the end."""
    made = World()
    for _ in range(replicas):
        made.add()
    try:
        yield made
    finally:
        await made.end()
