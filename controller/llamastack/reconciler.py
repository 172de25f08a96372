# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One reconcile of one LlamaStackDistribution.

Level-triggered: it starts from a key, looks at the whole cached world, and does what is missing; it
never asks what happened. Over an unchanged world it writes nothing. When a step fails the ones
behind it are left out, what already runs stays untouched (FR-097), and the status, written at the
end of every reconcile that changed it, says why.

Each step makes one frozen value out of those before it, once: observed → plan → references →
configuration → inputs → outcome of the writes → facts → status.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from controller.llamastack.cache.observed import observe
from controller.llamastack.cache.own_writes import OwnWrites
from controller.llamastack.objects import leaving
from controller.llamastack.references.installable import installable
from controller.llamastack.references.override import Overrides
from controller.llamastack.render.init_containers import preflight_note
from controller.llamastack.render.inputs import Inputs, Options
from controller.llamastack.server.observation import observe_server, ready_write_delay_s
from controller.llamastack.status import claim
from controller.llamastack.status.compute import waits_for_pods
from controller.llamastack.status.endpoints import UNKNOWN, endpoints_of
from controller.llamastack.status.facts import facts_of, facts_of_deletion
from controller.llamastack.status.outcome import Outcome
from controller.llamastack.steps.children import ChildrenStep
from controller.llamastack.steps.status import StatusStep
from controller.runtime.result import Result
from informers.ports import key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.llamastack.cache.observed import Observed
    from controller.llamastack.cache.readers import Caches
    from controller.llamastack.planning.image_planner import ImageAwarePlanner
    from controller.llamastack.planning.plan import Plan
    from controller.llamastack.references.configuration import Configuration
    from controller.llamastack.references.resolution import Resolution
    from controller.llamastack.references.resolver import ReferenceResolver
    from controller.llamastack.references.storage_secret import StorageSecrets
    from controller.llamastack.server.probe_port import ServerProber, ServerReport
    from controller.llamastack.server.status import OperatorFacts
    from controller.llamastack.status.endpoints import Endpoints
    from controller.llamastack.status.facts import Facts
    from controller.runtime.consistency import ConsistencyTracker
    from controller.runtime.ports import EventRecorder, WallClock, Writer
    from informers.ports import Object, ObjectKey


class LlamaStackReconciler:
    """Implements ``controller.runtime.controller.Reconciler``.

    Args:
        caches: the cached world.
        writer: live calls.
        recorder: Events.
        planner: turns specs into plans.
        references: looks at what users made.
        storage: keeps the Secrets of databases.
        consistency: is told of every write.
        now: wall clock for status.
        prober: knows what running servers reported.
        operator_facts: what every status says of the operator itself; asked in each reconcile.
        options: what shapes children besides their resource; asked in each reconcile.
    """

    def __init__(
        self,
        *,
        caches: Caches,
        writer: Writer,
        recorder: EventRecorder,
        planner: ImageAwarePlanner,
        references: ReferenceResolver,
        storage: StorageSecrets,
        consistency: ConsistencyTracker,
        now: WallClock,
        prober: ServerProber,
        operator_facts: Callable[[], OperatorFacts],
        options: Callable[[], Options] = Options,
    ) -> None:
        self._caches = caches
        self._planner = planner
        self._references = references
        self._storage = storage
        self._consistency = consistency
        self._now = now
        self._prober = prober
        self._operator_facts = operator_facts
        self._options = options
        self._overrides = Overrides(caches, writer)
        own_writes = OwnWrites(consistency, caches)
        self._children = ChildrenStep(caches, writer, references, storage, own_writes)
        self._status = StatusStep(writer, recorder, own_writes)

    async def reconcile(self, key: ObjectKey) -> Result:
        """Bring the children of one resource in line with its spec, and its status with both.

        Raises:
            ApiError: a request failed in a way that a retry may fix.
        """
        cr = self._caches.resources.get(key)
        if cr is None:  # its children go with their owner references
            self._consistency.forget(key)
            return Result.done()
        observed = observe(self._caches, cr, self._now())
        cr = observed.cr
        if observed.deleting:
            await self._status.write(facts_of_deletion(observed, self._operator_facts()))
            return Result.done()
        plan = await self._plan(observed)
        references = await self._resolve_references(observed, plan)
        options = self._options()
        found = await self._overrides.configuration(cr, plan, references)
        configuration = installable(cr, plan, found, options)
        inputs = _inputs(observed, plan, references, configuration, options)
        if inputs is None or references is None:
            outcome = Outcome(observed.deployment)
        else:
            outcome = await self._children.write(observed, inputs, references, configuration)
        written = inputs if outcome.is_written else None
        facts = facts_of(
            observed,
            plan,
            references,
            configuration,
            outcome,
            operator_facts=self._operator_facts(),
            endpoints=self._endpoints(written, outcome),
            server_report=self._server_report(written, outcome),
            install_note=preflight_note(inputs) if inputs else "",
        )
        if delay_s := self._ready_write_delay_s(cr, outcome):
            return Result.after(delay_s)
        await self._status.write(facts, deployment_changed=outcome.deployment_changed)
        return _result(plan, outcome, facts)

    def forget(self, cr: Object) -> None:
        """A resource is gone: drop what was remembered of it."""
        self._planner.forget(cr["metadata"]["uid"])
        self._prober.forget(cr["metadata"]["uid"])
        self._storage.forget(cr)

    def forget_child(self, child: Object) -> None:
        """Likewise for a child."""
        self._children.forget(child)
        self._references.forget_child(child)

    async def _plan(self, observed: Observed) -> Plan:
        """What the spec asks for; its Secrets are asked for first, so that they come meanwhile."""
        async with asyncio.TaskGroup() as group:
            for key in self._references.read_ahead_of(observed.cr):
                group.create_task(self._references.read_ahead(key), name=f"read Secret {key}")
            planning = group.create_task(
                self._make_plan(observed), name=f"plan {key_of(observed.cr)}"
            )
        return planning.result()

    async def _make_plan(self, observed: Observed) -> Plan:
        return self._planner.plan(observed)

    async def _resolve_references(self, observed: Observed, plan: Plan) -> Resolution | None:
        if not plan.is_resolvable:
            return None
        return await self._references.resolve(observed.cr, observed.deployment, plan)

    def _endpoints(self, written: Inputs | None, outcome: Outcome) -> Endpoints:
        if written is None:
            return UNKNOWN
        return endpoints_of(
            written, self._caches, written=outcome.service, complete=outcome.problem is None
        )

    def _server_report(self, written: Inputs | None, outcome: Outcome) -> ServerReport | None:
        if written is None:
            return None
        return observe_server(written, outcome.deployment, self._caches, self._prober)

    def _ready_write_delay_s(self, cr: Object, outcome: Outcome) -> float:
        """How long the status waits for the first probe result; 0 if it has to be written now."""
        if not outcome.is_settled:
            return 0.0
        return ready_write_delay_s(cr, outcome.deployment, self._prober)


def _inputs(
    observed: Observed,
    plan: Plan,
    references: Resolution | None,
    configuration: Configuration,
    options: Options,
) -> Inputs | None:
    """What the children are rendered from; ``None`` if something stands in the way."""
    if plan.cr is None or configuration.generated is None:
        return None
    if references is None or not references.ok:
        return None
    return Inputs(
        owner=observed.cr,
        spec=plan.cr.spec,
        generated=configuration.generated,
        secrets_hash=references.versions_hash,
        config_maps_hash=references.config_maps_hash,
        config_maps_seen=references.config_maps_seen,
        storage_state=references.storage.state,
        options=options,
        ca_bundle=references.trust.digest,
    )


def _result(plan: Plan, outcome: Outcome, facts: Facts) -> Result:
    """When to look again.

    Raises:
        ApiError: what a write failed with, now that the status tells of it.
    """
    if outcome.error is not None:
        raise outcome.error
    if outcome.recheck_s is not None:
        return Result.after(outcome.recheck_s)
    looks = (
        plan.retry_in_s,
        claim.next_look_s(facts.volume, facts.cr, facts.now),
        leaving.next_look_s(facts.leaving, facts.now)
        if facts.leaving and waits_for_pods(facts)
        else None,
    )
    waits = [wait for wait in looks if wait is not None]
    return Result.after(min(waits)) if waits else Result.done()
