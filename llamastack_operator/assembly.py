# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The controller of LlamaStackDistribution with everything it stands on, put together."""

from __future__ import annotations

import asyncio
import functools
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import certifi

from configs.distributions import Distributions
from controller.llamastack.cache.readers import Caches
from controller.llamastack.cache.reference_index import (
    REFERENCE_INDEX,
    Referenced,
    is_always_kept,
    reference,
)
from controller.llamastack.event_handlers import handlers
from controller.llamastack.objects.kinds import CONFIG_MAP, LLAMA_STACK, SECRET
from controller.llamastack.operator_config.live import LiveConfig
from controller.llamastack.planning.image_planner import ImageAwarePlanner
from controller.llamastack.planning.planner import Planner
from controller.llamastack.reconciler import LlamaStackReconciler
from controller.llamastack.references.config_maps import ConfigMapResolver, Reach
from controller.llamastack.references.resolver import ReferenceResolver
from controller.llamastack.references.secrets import SecretResolver
from controller.llamastack.references.storage_secret import StorageSecrets
from controller.llamastack.references.trust import TrustResolver
from controller.llamastack.server.status import OperatorFacts
from controller.llamastack.watches import WATCHES
from controller.runtime.consistency import ConsistencyTracker
from controller.runtime.controller import Controller
from controller.runtime.handlers import wake_consistent
from informers.ports import ObjectKey, key_of
from llamastack_operator.informer_set import InformerSet
from llamastack_operator.oci.http import Http
from llamastack_operator.oci.resolver import ImageConfigResolver
from llamastack_operator.oci.secrets import PullSecrets
from llamastack_operator.operator_config_watch import OperatorConfigWatch
from llamastack_operator.probing.probe_client import ProbeClient
from llamastack_operator.probing.prober import Prober
from llamastack_operator.probing.routes import route_of
from llamastack_operator.version import USER_AGENT, VERSION
from workqueue.queue import RateLimitingQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.runtime.ports import EventRecorder, Writer
    from informers.ports import Object, Resource
    from llamastack_operator.capabilities import Capabilities
    from llamastack_operator.kube.rest import Client
    from llamastack_operator.observability.metrics import Metrics
    from llamastack_operator.settings import Settings

CONTROLLER_NAME = "llamastackdistribution"


class Operator:
    """Informers, queue, reconciler and workers of one process.

    Args:
        client: for lists and watches.
        writer: for everything else; may hold writes back.
        recorder: Events.
        settings: from flags and environment.
        metrics: all of them.
        capabilities: the cluster.
        may_write: whether a reconcile may start; false while leadership is in doubt.
    """

    resource = LLAMA_STACK

    def __init__(
        self,
        client: Client,
        writer: Writer,
        recorder: EventRecorder,
        settings: Settings,
        metrics: Metrics,
        *,
        capabilities: Capabilities,
        may_write: Callable[[], bool],
    ) -> None:
        clock = asyncio.get_running_loop().time  # monotonic
        self.informers = InformerSet(
            client,
            (*WATCHES, *capabilities.watches),
            namespaces=settings.namespaces,
            referenced=self._is_referenced,
            metrics=metrics,
            resync_period_s=settings.resync_s,
        )
        readers = self.informers.readers
        self._resources = readers[LLAMA_STACK]
        caches = Caches(readers)
        self.queue = RateLimitingQueue[ObjectKey](
            name=CONTROLLER_NAME, metrics=metrics.queue(CONTROLLER_NAME)
        )
        observer = metrics.controller(CONTROLLER_NAME)
        consistency = ConsistencyTracker(clock=clock, metrics=observer)
        secrets = SecretResolver(caches.secrets, writer)
        reach = Reach(settings.allow_cross_namespace_config, frozenset(settings.namespaces))
        config_maps = ConfigMapResolver(caches.config_map, writer, reach)
        storage = StorageSecrets(caches, writer, secrets)
        self.image_configs = ImageConfigResolver(
            Http(
                tls=_trusted(settings.registry_ca_file),
                plain_http=settings.registry_plain_http,
                user_agent=USER_AGENT,
            ),
            PullSecrets(writer),
            wake=self.queue.add,
            clock=clock,
            timeout_s=settings.registry_timeout_s,
        )
        self._planner = planner = Planner(_distributions(settings.distributions_file))
        live = LiveConfig(
            planner=planner,
            queue=self.queue,
            resources=self._resources.values,
            recorder=recorder,
            options=capabilities.options,
        )
        self.config = OperatorConfigWatch(
            client, settings.leader_elect_namespace, live, metrics=metrics
        )
        self.prober = Prober(
            ProbeClient(
                route_of(settings.probe_servers, client.connection),
                timeout_s=settings.probe_timeout_s,
                user_agent=USER_AGENT,
            ),
            wake=self.queue.add,
            clock=clock,
        )
        reconciler = LlamaStackReconciler(
            caches=caches,
            writer=writer,
            recorder=recorder,
            planner=ImageAwarePlanner(planner, self.image_configs, caches),
            references=ReferenceResolver(
                secrets,
                config_maps,
                TrustResolver(caches, config_maps, certifi.contents(), _utc),
                storage,
            ),
            storage=storage,
            consistency=consistency,
            now=_now,
            prober=self.prober,
            operator_facts=lambda: OperatorFacts(VERSION, planner.images),
            options=lambda: live.options,
        )
        self.controller = Controller(
            name=CONTROLLER_NAME,
            reconciler=reconciler,
            queue=self.queue,
            workers=settings.workers,
            timeout_s=settings.reconcile_timeout_s,
            metrics=observer,
            guard=may_write,
            consistency=consistency,
        )
        for key, handler in handlers(
            queue=self.queue,
            consistency=consistency,
            caches=caches,
            read_caches={SECRET: secrets, CONFIG_MAP: config_maps},
            reconciler=reconciler,
        ):
            # Children come up with their resource: one look at each every ten hours is enough.
            self.informers.add_handler(key, handler, resync=key is LLAMA_STACK)
        for key in readers:
            if isinstance(key, Referenced):
                continue  # we never write what users made, so nobody waits to see it
            self.informers.add_progress_listener(
                key, functools.partial(wake_consistent, self.queue, consistency, key)
            )

    @property
    def distributions(self) -> Distributions | None:
        """What ``distribution.name`` means; ``None`` while the ConfigMap about it is not known."""
        return None if self.config.problem else self._planner.distributions

    def _is_referenced(self, resource: Resource, obj: Object) -> bool:
        key = key_of(obj)
        return is_always_kept(resource, key) or any(
            self._resources.by_index(REFERENCE_INDEX, reference(resource, key))
        )


def _distributions(file: str) -> Distributions:
    return Distributions.read(Path(file).read_bytes()) if file else Distributions.load()


def _trusted(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def _utc() -> datetime:
    return datetime.now(UTC)


def _now() -> str:
    return _utc().strftime("%Y-%m-%dT%H:%M:%SZ")
