# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Builds everything, starts it in order, stops it in the reverse order.

Start: health and metrics → webhooks → preflight → informers, synced → the operator's ConfigMap,
right or absent → leadership → workers. Probes answer first, so that a slow start shows as "not
ready" and not as "dead"; webhooks before informers, because the API server needs the conversion to
list resources that it stores in another version; a standby's caches are warm, so that it takes over
at once.

Stop: workers finished → informers → Events flushed → lease released → webhooks → HTTP. The lease
goes after the last write, because whoever gets it may write from that moment on. Webhooks are
served by every replica for as long as it lives: they need no lease.

One task group holds all tasks: if one of them dies, the rest is cancelled and the process ends
with an error. There is no half-alive operator (D8).
"""

from __future__ import annotations

import asyncio
import gc
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import structlog

from controller.llamastack.objects.kinds import FIELD_MANAGER
from llamastack_operator.assembly import Operator
from llamastack_operator.capabilities import detect_capabilities
from llamastack_operator.election.core import Timings
from llamastack_operator.election.elector import Elector, new_identity
from llamastack_operator.election.lease import KubeLeaseStore
from llamastack_operator.events.recorder import Recorder
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client
from llamastack_operator.leader_guarded_writer import GuardedWriter
from llamastack_operator.observability.health import Checks, HttpServer, health_app, metrics_app
from llamastack_operator.observability.metrics import Metrics
from llamastack_operator.observability.watchdog import Watchdog, raise_stalled
from llamastack_operator.probing.permission import may_probe
from llamastack_operator.storage_migration import StorageMigration
from llamastack_operator.version import USER_AGENT, VERSION
from llamastack_operator.webhooks.serving import Webhooks

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from configs.distributions import Distributions
    from llamastack_operator.kube.config import Connection
    from llamastack_operator.kube.rest import ClientMetrics
    from llamastack_operator.settings import Settings

log = structlog.get_logger(__name__)


class ClientFactory(Protocol):
    """Makes a client of a cluster."""

    def __call__(
        self, connection: Connection, *, user_agent: str, metrics: ClientMetrics
    ) -> Client:
        """One with connections of its own."""
        ...


LEASE_NAME = "54e06e98.llamastack.io"
"""The Go operator's: in one namespace the two never work at the same time."""

SYNC_DEADLINE_S = 120.0  # controller-runtime's CacheSyncTimeout
DRAIN_S = 20.0  # of the 30 s that Kubernetes gives a pod to stop
SERVING_DEADLINE_S = 20.0  # the rest of the operator works without webhooks
FLUSH_S = 3.0  # Events that are not sent by then are lost; the status has the facts


class Manager:
    """One operator process.

    Args:
        settings: from flags and environment.
        new_client: makes a client of a cluster; the real one by default.
    """

    def __init__(self, settings: Settings, *, new_client: ClientFactory = Client) -> None:
        self._settings = settings
        self._new_client = new_client
        self._metrics = Metrics(version=VERSION)
        self._healthz = Checks()
        self._readyz = Checks()
        # Before anything else, because an answer without a check says "ready".
        self._readyz.add("informers", self._cache_problem)
        self._operator: Operator | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to stop.

        Raises:
            KubeConfigError: no cluster to talk to.
            AddressInUse: a port is taken.
            BaseExceptionGroup: the reason why the process cannot start or go on.
        """
        settings = self._settings
        log.info("Started the operator", version=VERSION, python_pid=os.getpid())
        connection = await connect(Source.find(settings.kubeconfig, settings.context, os.environ))
        async with AsyncExitStack() as stack:
            await self._serve(stack)
            client = await stack.enter_async_context(self._client(connection))
            # A connection pool of its own: renewals never wait behind anything (E12).
            lease_client = await stack.enter_async_context(self._client(connection))
            webhooks = await self._serve_webhooks(stack, client)
            elector = self._elector(lease_client) if settings.leader_elect else None
            may_write = elector.may_write if elector else _always
            writer = GuardedWriter(client, may_write)
            recorder = Recorder(
                client,
                controller=FIELD_MANAGER,
                instance=self._identity(),
                metrics=self._metrics.events(),
            )
            self._operator = operator = Operator(
                client,
                writer,
                recorder,
                settings,
                self._metrics,
                capabilities=await detect_capabilities(
                    client, settings, pod_name=os.environ.get("POD_NAME", "")
                ),
                may_write=may_write,
            )
            self._add_checks(operator, elector)
            async with asyncio.TaskGroup() as group:
                run = _Run(
                    group=group,
                    stop=stop,
                    operator=operator,
                    recorder=recorder,
                    elector=elector,
                    metrics=self._metrics,
                    webhooks=webhooks,
                    # Who works in some namespaces only knows nothing of the objects in others.
                    migration=None if settings.namespaces else StorageMigration(client),
                )
                group.create_task(run.main(client, settings), name="manager")
        log.info("Stopped the operator")

    def _client(self, connection: Connection) -> Client:
        return self._new_client(
            connection,
            user_agent=USER_AGENT,
            metrics=self._metrics.client(urlsplit(connection.server).netloc),
        )

    def _identity(self) -> str:
        return os.environ.get("POD_NAME") or os.uname().nodename

    def _elector(self, client: Client) -> Elector:
        store = KubeLeaseStore(client, self._settings.leader_elect_namespace, LEASE_NAME)
        return Elector(
            store,
            identity=new_identity(os.environ.get("POD_NAME", "")),
            metrics=self._metrics.leader(LEASE_NAME),
        )

    async def _serve(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        servers = (
            HttpServer(
                "--health-probe-bind-address",
                settings.health_probe_bind_address,
                health_app(healthz=self._healthz, readyz=self._readyz),
            ),
            HttpServer(
                "--metrics-bind-address",
                settings.metrics_bind_address,
                metrics_app(self._metrics),
            ),
        )
        for server in servers:
            await server.start()
            stack.push_async_callback(server.stop)

    async def _serve_webhooks(self, stack: AsyncExitStack, client: Client) -> Webhooks | None:
        if self._settings.webhook_port is None:
            return None
        webhooks = Webhooks(client, self._settings, self._metrics, self._distributions)
        self._readyz.add("webhooks", webhooks.problem)
        await webhooks.start()
        stack.push_async_callback(webhooks.stop)
        return webhooks

    def _distributions(self) -> Distributions | None:
        return self._operator.distributions if self._operator is not None else None

    def _add_checks(self, operator: Operator, elector: Elector | None) -> None:
        if elector is not None:
            self._healthz.add(
                "leader-election",
                lambda: None if elector.healthy() else "the lease ran out and was not given up",
            )
        self._readyz.add("operator-config", lambda: operator.config.problem or None)

    def _cache_problem(self) -> str | None:
        if self._operator is None:
            return "the cluster was not looked at yet"
        return None if self._operator.informers.has_synced() else "caches are filling"


class _Run:
    """The life of one process, in order."""

    def __init__(
        self,
        *,
        group: asyncio.TaskGroup,
        stop: asyncio.Event,
        operator: Operator,
        recorder: Recorder,
        elector: Elector | None,
        metrics: Metrics,
        webhooks: Webhooks | None,
        migration: StorageMigration | None,
    ) -> None:
        self._group = group
        self._stop = stop
        self._operator = operator
        self._recorder = recorder
        self._elector = elector
        self._metrics = metrics
        self._webhooks = webhooks
        self._migration = migration
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    async def main(self, client: Client, settings: Settings) -> None:
        """Start, wait to be stopped, stop."""
        if not await may_probe(client, settings):
            self._operator.prober.switch_off()
        self._start("watchdog", self._watchdog().run())
        self._start("events", self._recorder.run())
        if await self._stopped_before_webhooks():
            await self._shut_down()
            return
        self._start("informers", self._operator.informers.run())
        self._start("operator-config", self._operator.config.run())
        self._start(
            "sync-deadline", self._operator.informers.wait_synced(deadline_s=SYNC_DEADLINE_S)
        )
        if not await self._stopped_before("sync-deadline"):
            # What was decoded so far lives long: the collector need not look at it ever again.
            gc.collect()
            gc.freeze()
            log.info("Filled the caches")
            self._start("configured", self._operator.config.wait_usable())
            if not await self._stopped_before("configured"):
                await self._lead()
        await self._shut_down()

    async def _stopped_before_webhooks(self) -> bool:
        """Wait until webhooks are served, but not for ever; whether the signal to stop came."""
        if self._webhooks is None:
            return False
        self._start("webhooks", self._webhooks.run())
        self._start("webhooks-serving", self._webhooks.wait_serving(within_s=SERVING_DEADLINE_S))
        return await self._stopped_before("webhooks-serving")

    def _watchdog(self) -> Watchdog:
        """A loop that stood still for a whole renew deadline has lost the lease (E10)."""
        return Watchdog(
            self._metrics.loop(),
            critical_s=Timings().renew_deadline_s,
            on_stall=raise_stalled if self._elector else _tolerate,
        )

    async def _lead(self) -> None:
        if self._elector is not None:
            self._start("election", self._elector.run())
            self._start("elected", self._elector.wait_elected())
            if await self._stopped_before("elected"):
                return
        self._start("image-configs", self._operator.image_configs.run())
        self._start("prober", self._operator.prober.run())
        if self._migration is not None:
            self._start("storage-migration", self._migration.run())
        log.info("Started workers")
        self._start("controller", self._operator.controller.run())
        await self._stop.wait()
        # A backlog is left to whoever comes next, who looks at everything anyway; working it off
        # would only keep the lease from them.
        self._operator.queue.shut_down(drain=False)
        await self._operator.controller.stop(deadline_s=DRAIN_S)

    async def _shut_down(self) -> None:
        await self._end(
            "storage-migration",
            "image-configs",
            "prober",
            "informers",
            "operator-config",
            "sync-deadline",
            "configured",
            "elected",
        )
        await self._recorder.flush(FLUSH_S)
        if self._elector is not None and "election" in self._tasks:
            await self._elector.release()
        await self._end(*self._tasks)

    def _start(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        self._tasks[name] = self._group.create_task(work, name=name)

    async def _stopped_before(self, name: str) -> bool:
        """Wait for a task or for the signal to stop; whether the signal came first."""
        self._start("stop-signal", self._stop.wait())
        both = (self._tasks[name], self._tasks["stop-signal"])
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        await self._end("stop-signal")
        return self._stop.is_set()

    async def _end(self, *names: str) -> None:
        """Cancel tasks and wait for their end; failures come out of the group."""
        tasks = [self._tasks.pop(name) for name in names if name in self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _always() -> bool:
    """Nobody else works here."""
    return True


def _tolerate(lag_s: float) -> None:
    """Alone, there is nobody who could have taken over meanwhile, e.g. while a laptop slept."""
    log.warning("The event loop stood still", seconds=round(lag_s, 1))
