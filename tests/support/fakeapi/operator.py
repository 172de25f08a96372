# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The reconciler with everything it stands on, around an API in memory.

Put together as ``llamastack_operator.assembly`` does it, but caches are fed without informers, and
what is asked of registries and servers is answered by what a test puts in.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from configs.distributions import Distributions
from controller.llamastack.event_handlers import handlers
from controller.llamastack.objects.kinds import CONFIG_MAP, SECRET
from controller.llamastack.planning.image_configs import ImageConfigs, NoImageConfigs
from controller.llamastack.planning.image_planner import ImageAwarePlanner
from controller.llamastack.planning.planner import Planner
from controller.llamastack.reconciler import LlamaStackReconciler
from controller.llamastack.references.config_maps import ConfigMapResolver, Reach
from controller.llamastack.references.override import Overrides
from controller.llamastack.references.resolver import ReferenceResolver
from controller.llamastack.references.secrets import SecretResolver
from controller.llamastack.references.storage_secret import StorageSecrets
from controller.llamastack.references.trust import TrustResolver
from controller.llamastack.render.inputs import Options
from controller.llamastack.server.probe_port import NoProber, ServerProber
from controller.llamastack.server.status import OperatorFacts
from controller.llamastack.watches import OPTIONAL_WATCHES, WATCHES
from controller.runtime.consistency import ConsistencyTracker
from controller.runtime.result import Result
from informers.ports import Object, ObjectKey, key_of
from tests.support.fakeapi.caches import FakeCaches
from tests.support.fakeapi.client import FakeClient
from workqueue import RateLimitingQueue


class Event(NamedTuple):
    """A reported transition."""

    about: ObjectKey
    type: str
    reason: str
    note: str


@dataclass
class Events:
    """Implements ``controller.runtime.ports.EventRecorder``: keeps them."""

    seen: list[Event] = field(default_factory=list)

    def event(
        self,
        regarding: Object,
        *,
        type: Literal["Normal", "Warning"],
        reason: str,
        action: str,
        note: str,
    ) -> None:
        """See :meth:`controller.runtime.ports.EventRecorder.event`."""
        del action
        self.seen.append(Event(key_of(regarding), type, reason, note))


class MemoryOperator:
    """One that just started, and knows nothing but what its caches show.

    Args:
        client: of the API in memory.
        reach: which namespaces may be read.
        options: what shapes children.
        images: what images say of themselves.
        prober: what running servers report.
        public: the certificates of public authorities.
    """

    def __init__(
        self,
        client: FakeClient,
        *,
        reach: Reach | None = None,
        options: Options | None = None,
        images: ImageConfigs | None = None,
        prober: ServerProber | None = None,
        public: str = "",
    ) -> None:
        api = client.api
        self.client = client
        self.events = Events()
        there = [watch for watch in OPTIONAL_WATCHES if watch.resource in api.clusters]
        self.caches = caches = FakeCaches(api, (*WATCHES, *there))
        self.queue = RateLimitingQueue[ObjectKey](name="test")
        self.consistency = ConsistencyTracker(clock=_loop_time)
        self.secrets = SecretResolver(caches.secrets, client)
        self.config_maps = ConfigMapResolver(caches.config_map, client, reach or Reach())
        self.trust = TrustResolver(caches, self.config_maps, public, api.now)
        self.storage = StorageSecrets(caches, client, self.secrets)
        self.references = ReferenceResolver(
            self.secrets, self.config_maps, self.trust, self.storage
        )
        self.overrides = Overrides(caches, client)
        self.planner = Planner(Distributions.load())
        self.reconciler = LlamaStackReconciler(
            caches=caches,
            writer=client,
            recorder=self.events,
            planner=ImageAwarePlanner(self.planner, images or NoImageConfigs(), caches),
            references=self.references,
            storage=self.storage,
            consistency=self.consistency,
            now=api.timestamp,
            prober=prober or NoProber(),
            operator_facts=lambda: OperatorFacts("test", self.planner.images),
            options=lambda: options or Options(merge_image="registry.example/operator:1"),
        )
        for key, handler in handlers(
            queue=self.queue,
            consistency=self.consistency,
            caches=caches,
            read_caches={SECRET: self.secrets, CONFIG_MAP: self.config_maps},
            reconciler=self.reconciler,
        ):
            if key in caches.rows:
                caches.rows[key].add_handler(handler)

    async def reconcile(self, key: ObjectKey) -> Result:
        """One reconcile, after the handlers heard of all that happened."""
        self.caches.catch_up()
        return await self.reconciler.reconcile(key)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
