# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One resource in a cluster in memory, with an operator that just started, on virtual time."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable
from typing import Final

from api.conditions import condition
from controller.llamastack.objects.kinds import (
    AUTOSCALER,
    DEPLOYMENT,
    INGRESS,
    LLAMA_STACK,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    POD_DISRUPTION_BUDGET,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
)
from controller.llamastack.planning.image_configs import ImageConfigs
from controller.llamastack.references.config_maps import Reach
from controller.llamastack.render.inputs import Options
from controller.llamastack.server.probe_port import ServerProber
from controller.runtime.result import Result
from informers.errors import ApiError
from informers.ports import ObjectKey, Resource
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.fakeapi.objects import Json, encoded
from tests.support.fakeapi.operator import MemoryOperator
from tests.support.fakeapi.server import FakeApi

KEY: Final = ObjectKey("n", "demo")
CREDENTIALS: Final = ObjectKey("n", "creds")

LEAST: Final[Json] = {"distribution": {"name": "starter"}}
"""A spec that asks for nothing: ServiceAccount, Deployment, Service."""

WITH_SECRET: Final[Json] = {
    **LEAST,
    "providers": {
        "inference": {
            "provider": "vllm",
            "endpoint": "http://v:8000",
            "apiKey": {"secretKeyRef": {"name": CREDENTIALS.name, "key": "key"}},
        }
    },
}
WITH_VOLUME: Final[Json] = {**LEAST, "workload": {"storage": {"size": "10Gi"}}}
EVERYTHING: Final[Json] = {
    **WITH_SECRET,
    "networking": {"expose": {}},
    "workload": {
        "storage": {"size": "10Gi", "accessModes": ["ReadWriteMany"]},
        "autoscaling": {"minReplicas": 1, "maxReplicas": 3},
    },
}
"""Every child of which a cluster has the kind, with `POLICIES`."""

POLICIES: Final = Options(network_policies=True, operator_namespace="system")

CHILDREN: Final = {
    SERVICE_ACCOUNT: "demo-sa",
    PERSISTENT_VOLUME_CLAIM: "demo-pvc",
    NETWORK_POLICY: "demo-network-policy",
    DEPLOYMENT: "demo",
    SERVICE: "demo-service",
    POD_DISRUPTION_BUDGET: "demo-pdb",
    AUTOSCALER: "demo-hpa",
    INGRESS: "demo-ingress",
}
"""Names of the children with a fixed one, by kind."""


def child_key(resource: Resource) -> ObjectKey:
    """The child of a kind."""
    return ObjectKey(KEY.namespace, CHILDREN[resource])


class OneResource:
    """The resource ``n/demo`` and all that a test wants of it.

    Args:
        spec: of the resource; ``None`` if there is none yet.
        credentials: whether the Secret is there that `WITH_SECRET` names.
        served: kinds beside the usual ones.
        reach: see `MemoryOperator`; so are the rest.
    """

    def __init__(
        self,
        spec: Json | None = LEAST,
        *,
        credentials: bool = True,
        latency_s: float = 0.0,
        served: Iterable[Resource] = (),
        reach: Reach | None = None,
        options: Options | None = None,
        images: ImageConfigs | None = None,
        prober: ServerProber | None = None,
    ) -> None:
        self.api = FakeApi(*served)
        self.client = FakeClient(self.api, latency_s=latency_s)
        if credentials:
            self.put_credentials()
        if spec is not None:
            self.edit(spec)
        self.start = functools.partial(
            MemoryOperator, reach=reach, options=options, images=images, prober=prober
        )
        self.operator = self.start(self.client)

    def restart(self) -> None:
        """Another operator, which remembers nothing, takes over."""
        self.operator = self.start(self.client)

    # --- what users and controllers do -------------------------------------------------------

    def put_credentials(self, **data: str) -> None:
        """The Secret that `WITH_SECRET` names, with the key unless others are given."""
        self.api.put(SECRET, CREDENTIALS, data=encoded(**(data or {"key": "value"})))

    def edit(self, spec: Json) -> None:
        """Create the resource, or give it another spec."""
        self.api.put(LLAMA_STACK, KEY, spec=spec)

    def roll_out(self) -> None:
        """Every pod that the Deployment wants serves."""
        live = self.deployment
        count = live["spec"]["replicas"]
        numbers = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), count)
        self.api.put_status(
            DEPLOYMENT,
            KEY,
            observedGeneration=live["metadata"]["generation"],
            conditions=[{"type": "Available", "status": "True"}],
            **numbers,
        )

    def bind(self) -> None:
        """The claim gets a volume."""
        key = child_key(PERSISTENT_VOLUME_CLAIM)
        live = self.api.get(PERSISTENT_VOLUME_CLAIM, key)
        self.api.put(PERSISTENT_VOLUME_CLAIM, key, spec={**live["spec"], "volumeName": "pv-1"})
        size = live["spec"]["resources"]["requests"]
        self.api.put_status(PERSISTENT_VOLUME_CLAIM, key, phase="Bound", capacity=size)

    # --- what the operator does --------------------------------------------------------------

    async def reconcile(self) -> Result:
        """One reconcile; from now on only its calls are listed."""
        self.client.calls.clear()
        return await self.operator.reconcile(KEY)

    async def reconcile_failing(self, fault: Fault) -> ApiError | Result:
        """One reconcile in which something goes wrong: what it raised, or returned."""
        self.client.faults = [fault]
        try:
            return await self.reconcile()
        except ApiError as error:
            return error
        finally:
            self.client.faults = []

    async def settle(self) -> None:
        """Reconcile until there is nothing to do, and nobody is in the queue.

        Raises:
            AssertionError: it does not end.
        """
        for _ in range(5):
            await self.reconcile()
            if not self.client.calls:
                await self.woken()
                return
        raise AssertionError(self.client.verbs())

    async def woken(self, within_s: float = 600.0) -> dict[ObjectKey, float]:
        """Empty the queue: every key with the seconds until it was handed out.

        Args:
            within_s: for how long keys are waited for.
        """
        self.operator.caches.catch_up()
        queue, loop = self.operator.queue, asyncio.get_running_loop()
        start, found = loop.time(), dict[ObjectKey, float]()
        try:
            async with asyncio.timeout(within_s):
                while True:
                    item = await queue.get()
                    found[item.key] = round(loop.time() - start, 3)
                    queue.done(item.key)
        except TimeoutError:
            return found

    # --- what there is -----------------------------------------------------------------------

    def verbs(self, *verbs: str) -> list[str]:
        """The calls of the last reconcile, without the resource's namespace."""
        return [call.replace(f"{KEY.namespace}/", "") for call in self.client.verbs(*verbs)]

    def written(self) -> list[str]:
        """The calls that may have changed something."""
        writes = ("create", "update", "apply", "json-patch", "merge-patch", "delete")
        return self.verbs(*writes)

    @property
    def deployment(self) -> Json:
        """Of the resource, live."""
        return self.api.get(DEPLOYMENT, KEY)

    @property
    def status(self) -> Json:
        """Of the resource."""
        found: Json = self.api.get(LLAMA_STACK, KEY).get("status") or {}
        return found

    def said(self, kind: str) -> tuple[str, str]:
        """Status and reason of a condition."""
        found = condition({"status": self.status}, kind)
        return str(found.get("status", "")), str(found.get("reason", ""))

    def message(self, kind: str) -> str:
        """Message of a condition."""
        return str(condition({"status": self.status}, kind).get("message", ""))

    def there(self, resources: Iterable[Resource] = CHILDREN) -> set[str]:
        """Names of the objects of some kinds."""
        return {obj["metadata"]["name"] for r in resources for obj in self.api.all(r)}

    def events(self) -> list[str]:
        """Reasons of the Events so far; forgets them."""
        seen = [event.reason for event in self.operator.events.seen]
        self.operator.events.seen.clear()
        return seen
