# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One pass over one LlamaStackDistribution.

Level-triggered: a pass starts from a key, looks at the whole cached world, and does what is
missing; it never asks what happened. Over an unchanged world it writes nothing. When a step fails
the ones behind it are left out, what already runs stays untouched (FR-097), and the status,
written at the end of every pass that changed it, says why.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from controller.llamastack.children import table
from controller.llamastack.children.config_map import ConfigMapWriter
from controller.llamastack.children.writer import Applied, ChildWriter
from controller.llamastack.objects.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    LLAMA_STACK,
    PERSISTENT_VOLUME_CLAIM,
    SECRET,
    STATUS_FIELD_MANAGER,
)
from controller.llamastack.objects.ownership import ResourceConflict
from controller.llamastack.objects.problem import Problem
from controller.llamastack.planning.registry_state import recorded
from controller.llamastack.planning.upgrade import blame
from controller.llamastack.references.ca_bundle import NO_TRUST
from controller.llamastack.references.override import Overrides
from controller.llamastack.references.storage_content import NO_STORAGE
from controller.llamastack.render import deployment, names
from controller.llamastack.render.inputs import Inputs, Options
from controller.llamastack.server.observation import heard_of, pause_s
from controller.llamastack.server.status import About
from controller.llamastack.status.claim import Volume, next_look_s
from controller.llamastack.status.compute import Facts, compute
from controller.llamastack.status.endpoints import reached
from controller.llamastack.status.events import between
from controller.llamastack.status.outcome import STEP_ERRORS, Outcome, about, failed
from controller.runtime.concurrency import ended, value
from controller.runtime.result import Result
from informers.errors import ApiError, NotFound
from informers.ports import Object, ObjectKey, key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.llamastack.cache.readers import Caches
    from controller.llamastack.planning.image_planner import LabelledPlans
    from controller.llamastack.planning.plan import Plan
    from controller.llamastack.references.resolver import References
    from controller.llamastack.references.storage_content import Content
    from controller.llamastack.references.storage_secret import StorageSecrets
    from controller.llamastack.render.manifest import Child
    from controller.llamastack.server.probe_port import Servers
    from controller.runtime.consistency import ConsistencyTracker
    from controller.runtime.ports import EventRecorder, WallClock, Writer
    from informers.ports import Resource

log = structlog.get_logger(__name__)


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
        servers: knows what running servers said.
        about: what every status says of the operator itself; asked in each pass.
        options: what shapes children besides their resource; asked in each pass.
    """

    def __init__(
        self,
        *,
        caches: Caches,
        writer: Writer,
        recorder: EventRecorder,
        planner: LabelledPlans,
        references: References,
        storage: StorageSecrets,
        consistency: ConsistencyTracker,
        now: WallClock,
        servers: Servers,
        about: Callable[[], About],
        options: Callable[[], Options] = Options,
    ) -> None:
        self._caches = caches
        self._writer = writer
        self._recorder = recorder
        self._planner = planner
        self._references = references
        self._storage = storage
        self._consistency = consistency
        self._now = now
        self._servers = servers
        self._about = about
        self._options = options
        self._children = ChildWriter(writer)
        self._config_maps = ConfigMapWriter(writer)
        self._overrides = Overrides(caches, writer)

    async def reconcile(self, key: ObjectKey) -> Result:
        """Bring the children of one resource in line with its spec, and its status with both.

        Raises:
            ApiError: a request failed in a way that another try may mend.
        """
        cr = self._caches.resources.get(key)
        if cr is None:
            # Children go with their owner reference; nothing is left to do but to forget.
            self._consistency.forget(key)
            return Result.done()
        facts = Facts(
            cr=cr,
            now=self._now(),
            deployment=self._owned_deployment(cr),
            pods=tuple(self._caches.troubled_pods_of(cr)),
            about=self._about(),
        )
        if facts.deleting:
            await self._report(facts, deployment_changed=False)
            return Result.done()
        registry = recorded(facts.deployment, lambda: self._caches.registry_records_of(cr))
        _, plan = await asyncio.gather(self._references.read_ahead(cr), self._plan(cr, registry))
        if plan.cr is not None and plan.waiting is None:
            resolution = await self._references.resolve(cr, facts.deployment, plan)
            facts = replace(facts, resolution=resolution)
            if resolution.ok:
                plan = await self._overrides.complete(cr, plan, resolution)
        facts = replace(
            facts,
            generated=plan.generated,
            config_problem=plan.problem,
            config_wait=plan.waiting,
            config_note=plan.note,
            volume=self._volume(cr, plan),
            override_text=plan.override_text,
        )
        if plan.generated is None or facts.resolution is None or not facts.resolution.ok:
            await self._report(facts, deployment_changed=False)
            return _until_next_look(plan, next_look_s(facts.volume, cr, facts.now))
        return await self._bring_about(facts, plan)

    async def _plan(self, cr: Object, registry: str) -> Plan:
        """Takes as long as a request, so those that are to be sent go first."""
        for _ in range(3):
            await asyncio.sleep(0)
        return blame(self._planner.plan(cr, registry), cr)

    async def _bring_about(self, facts: Facts, plan: Plan) -> Result:
        outcome = await self._update_children(facts, plan)
        facts = replace(
            facts,
            deployment=outcome.deployment,
            config_map_name=outcome.config_map_name,
            volume=outcome.volume or _failed(facts.volume, outcome.problem),
            update_problem=outcome.problem,
        )
        if outcome.is_written:
            inputs = self._inputs(facts.cr, plan)
            heard = heard_of(inputs, outcome.deployment, self._caches, self._servers)
            facts = replace(reached(facts, inputs, self._caches), heard=heard)
            settled = not (outcome.deployment_changed or outcome.problem or outcome.error)
            if settled and (wait_s := pause_s(facts.cr, outcome.deployment, self._servers)):
                return Result.after(wait_s)
        await self._report(facts, deployment_changed=outcome.deployment_changed)
        if outcome.error is not None:
            raise outcome.error
        if outcome.recheck_s is not None:
            return Result.after(outcome.recheck_s)
        return _until_next_look(plan, next_look_s(facts.volume, facts.cr, facts.now))

    def forget(self, cr: Object) -> None:
        """A resource is gone: drop what was remembered of it."""
        self._planner.forget(cr["metadata"]["uid"])
        self._servers.forget(cr["metadata"]["uid"])
        self._storage.forget(cr)

    def forget_child(self, child: Object) -> None:
        """Likewise for a child."""
        self._children.forget(child)
        self._references.forget_child(child)

    def _owned_deployment(self, cr: Object) -> Object | None:
        # Somebody else's Deployment says nothing about our server.
        return self._caches.owned(DEPLOYMENT, names.deployment(cr["metadata"]["name"]), cr)

    def _volume(self, cr: Object, plan: Plan) -> Volume | None:
        if plan.cr is None:
            return None
        name = names.claim(cr["metadata"]["name"])
        claim = self._caches.owned(PERSISTENT_VOLUME_CLAIM, name, cr)
        return Volume(plan.cr.spec.workload.storage, claim)

    def _inputs(self, cr: Object, plan: Plan) -> Inputs:
        if plan.cr is None or plan.generated is None:
            raise ValueError("a plan with a problem has nothing to render")
        return Inputs(cr, plan.cr.spec, plan.generated, options=self._options())

    async def _update_children(self, facts: Facts, plan: Plan) -> Outcome:
        """What pods need, side by side; then the Deployment and what stands beside it."""
        cr, outcome = facts.cr, Outcome(facts.deployment)
        try:
            inputs, refusal = await self._prerequisites(facts, plan)
            (first,) = await ended(self._ensure(cr, deployment.render(inputs)))
            others = await ended(*(self._ensure(cr, child) for child in table.beside(inputs)))
            applied = value(first)
            outcome = Outcome(
                applied.live,
                applied.changed,
                inputs.config_map_name,
                Volume(inputs.spec.workload.storage, inputs.claim, refusal),
            )
            for other in others:
                value(other)
        except STEP_ERRORS as error:
            return failed(outcome, error)
        return replace(outcome, error=await self._clean_up(inputs, applied.live))

    async def _prerequisites(self, facts: Facts, plan: Plan) -> tuple[Inputs, str]:
        """What the Deployment is rendered from, and why the claim's size could not be changed."""
        cr, resolution = facts.cr, facts.resolution
        inputs = replace(
            self._inputs(cr, plan),
            secrets_hash=resolution.versions_hash if resolution else "",
            config_maps_hash=resolution.config_maps_hash if resolution else "",
            config_maps_seen=resolution.config_maps_seen if resolution else "",
        )
        trust = resolution.trust if resolution else NO_TRUST
        storage = resolution.storage if resolution else NO_STORAGE
        inputs = replace(inputs, ca_bundle=trust.digest, storage_state=storage.state)
        steps = {child.resource: self._ensure(cr, child) for child in table.first(inputs)}
        if inputs.generated.config_yaml is not None:
            steps[CONFIG_MAP] = self._ensure_config_map(inputs, inputs.generated.config_yaml)
        if storage.content is not None:
            steps[SECRET] = self._write_storage(inputs, storage.content, facts.deployment)
        bundle = [self._ensure(cr, trust.child)] if trust.child else []
        results = [value(result) for result in await ended(*steps.values(), *bundle)]
        made = dict(zip(steps, results, strict=False))
        config_map, claim = made.get(CONFIG_MAP), made.get(PERSISTENT_VOLUME_CLAIM)
        inputs = replace(
            inputs,
            config_map_name=key_of(config_map.live).name if config_map else plan.config_map,
            claim=claim.live if claim else None,
        )
        return inputs, claim.refusal if claim else ""

    async def _ensure(self, cr: Object, child: Child) -> Applied:
        try:
            applied = await self._children.ensure(cr, child, self._caches.of(child.resource))
        except (ApiError, ResourceConflict) as error:
            about(error, child.resource.kind)
            raise
        self._references.wrote(child.resource, applied.live)
        self._note(cr, child.resource, applied)
        return applied

    async def _ensure_config_map(self, inputs: Inputs, config_yaml: str) -> Applied:
        cr, generated = inputs.owner, inputs.generated
        applied = await self._config_maps.ensure(
            cr,
            self._caches.config_maps_of(cr),
            config_yaml,
            generated.config_hash,
            registry=inputs.registry,
        )
        self._note(cr, CONFIG_MAP, applied)
        return applied

    async def _write_storage(
        self, inputs: Inputs, content: Content, deployment: Object | None
    ) -> Applied:
        applied = await self._storage.write(inputs, content, deployment)
        self._note(inputs.owner, SECRET, applied)
        return applied

    async def _clean_up(self, inputs: Inputs, live_deployment: Object) -> ApiError | None:
        """A leftover that stays harms nobody: the pass went well, but is tried again."""
        cr = inputs.owner
        try:
            for kind in table.unwanted(inputs):
                live = self._caches.owned(kind.resource, kind.name(inputs.name), cr)
                await self._children.remove(cr, kind.resource, live)
            if not inputs.ca_bundle:
                live = self._caches.owned(CONFIG_MAP, names.ca_bundle(inputs.name), cr)
                await self._children.remove(cr, CONFIG_MAP, live)
            await self._storage.clean_up(inputs, live_deployment)
            owned = self._caches.config_maps_of(cr)
            await self._config_maps.prune(cr, owned, inputs.config_map_name)
        except ApiError as error:
            return error
        return None

    def _note(self, cr: Object, resource: Resource, applied: Applied) -> None:
        """Remember a write until the cache shows it (row B13)."""
        if not applied.changed:
            return
        self._wrote(key_of(cr), resource, applied.live)

    def _wrote(self, owner: ObjectKey, resource: Resource, live: Object) -> None:
        version = live["metadata"]["resourceVersion"]
        self._consistency.wrote(
            owner,
            resource,
            key_of(live),
            version,
            reached=self._caches.of(resource).reached(key_of(live), version),
        )

    async def _report(self, facts: Facts, *, deployment_changed: bool) -> None:
        """Write the status if it changed, then the Events of the change."""
        cr = facts.cr
        old = cr.get("status") or {}
        new = compute(facts)
        if new != old:
            key = key_of(cr)
            manifest = {
                "apiVersion": LLAMA_STACK.api_version,
                "kind": LLAMA_STACK.kind,
                "metadata": {
                    "name": key.name,
                    "namespace": key.namespace,
                    "uid": cr["metadata"]["uid"],
                },
                "status": new,
            }
            try:
                live = await self._writer.apply(
                    LLAMA_STACK, manifest, manager=STATUS_FIELD_MANAGER, subresource="status"
                )
            except NotFound:
                return  # deleted meanwhile
            self._wrote(key, LLAMA_STACK, live)
        reset = facts.generated.registry_reset if facts.generated else ()
        for event in between(
            old,
            new,
            deployment_changed=deployment_changed,
            registry_reset=reset,
            config_note=facts.config_note,
            network_note=facts.network_note,
            trust_note=facts.resolution.trust.note if facts.resolution else "",
        ):
            self._recorder.event(
                cr, type=event.type, reason=event.reason, action=event.action, note=event.note
            )


def _until_next_look(plan: Plan, *others: float | None) -> Result:
    waits = [wait for wait in (plan.retry_in_s, *others) if wait is not None]
    return Result.after(min(waits)) if waits else Result.done()


def _failed(volume: Volume | None, problem: Problem | None) -> Volume | None:
    """What is known of the volume after a pass that did not get to the end."""
    mine = problem is not None and problem.kind == PERSISTENT_VOLUME_CLAIM.kind
    if volume is None or problem is None or not mine:
        return volume
    return replace(volume, failure=problem.message)
