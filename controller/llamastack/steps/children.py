# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The step of a reconcile that makes the children what they should be.

In the order that pods need: what they mount or are, and who may reach them, side by side; then the
Deployment; then what stands beside it, side by side; then what is not wanted any more goes. When
something fails, what comes after it is left out, and what already runs stays as it is (FR-097).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from controller.llamastack.children import table
from controller.llamastack.children.config_map import ConfigMapWriter
from controller.llamastack.children.writer import ChildWriter
from controller.llamastack.objects.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    PERSISTENT_VOLUME_CLAIM,
    SECRET,
    SERVICE,
)
from controller.llamastack.render import configmap, names
from controller.llamastack.render.deployment import with_lasting_tools
from controller.llamastack.render.inputs import Mounts
from controller.llamastack.render.origins import origin_of
from controller.llamastack.status.claim import Volume
from controller.llamastack.status.outcome import STEP_ERRORS, Failure, Outcome, failed
from controller.runtime.concurrency import gather_settled, unwrap
from informers.errors import ApiError
from informers.ports import key_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping
    from typing import Any, TypeAlias

    from controller.llamastack.cache.observed import Observed
    from controller.llamastack.cache.own_writes import OwnWrites
    from controller.llamastack.cache.readers import Caches
    from controller.llamastack.children.writer import Applied
    from controller.llamastack.references.configuration import Configuration
    from controller.llamastack.references.resolution import Resolution
    from controller.llamastack.references.resolver import ReferenceResolver
    from controller.llamastack.references.storage_content import Content
    from controller.llamastack.references.storage_secret import StorageSecrets
    from controller.llamastack.render.inputs import Inputs
    from controller.llamastack.render.manifest import Child
    from controller.runtime.ports import Writer
    from informers.ports import Object, Resource

    Writes: TypeAlias = Mapping[str, Coroutine[Any, Any, Applied]]

CA_BUNDLE = "CA bundle"


class ChildrenStep:
    """Writes the children of one resource after the other.

    Args:
        caches: the cached cluster.
        writer: live calls.
        references: is told which of its ConfigMaps are in place now.
        storage: keeps the Secrets of databases.
        own_writes: is told of every write.
    """

    def __init__(
        self,
        caches: Caches,
        writer: Writer,
        references: ReferenceResolver,
        storage: StorageSecrets,
        own_writes: OwnWrites,
    ) -> None:
        self._caches = caches
        self._references = references
        self._storage = storage
        self._own_writes = own_writes
        self._children = ChildWriter(writer)
        self._config_maps = ConfigMapWriter(writer)

    async def write(
        self,
        observed: Observed,
        inputs: Inputs,
        references: Resolution,
        configuration: Configuration,
    ) -> Outcome:
        """Write what differs; what became of it, failures included.

        Args:
            observed: the resource and its own objects, before.
            inputs: what the children are rendered from.
            references: with the content of those that are made from what users made.
            configuration: says which ConfigMap holds it already, if one does.
        """
        made, failure = _unwrapped(
            await _settled(self._needed_by_pods(observed, inputs, references))
        )
        if failure is not None:
            return failed(Outcome(observed.deployment), failure)
        claim = made.get(PERSISTENT_VOLUME_CLAIM.kind)
        mounts = _mounts(inputs, configuration, made, claim)
        wanted = with_lasting_tools(inputs, mounts, observed.deployment)
        # Both before either is looked at: even a bug in one keeps nobody from the other.
        first = await _settled(self._rendered(inputs, [wanted]))
        after = list(table.after_deployment(inputs))
        if isinstance(first[DEPLOYMENT.kind], BaseException) and _moves(observed, inputs):
            # The Service stays with the pods that it leads to.
            after = [child for child in after if child.resource != SERVICE]
        beside = await _settled(self._rendered(inputs, after))
        made, failure = _unwrapped(first)
        made_beside, failure_beside = _unwrapped(beside)
        if failure is not None:
            origin = origin_of(str(failure.error), wanted.manifest, inputs.spec)
            return failed(Outcome(observed.deployment), replace(failure, origin=origin))
        applied, service = made[DEPLOYMENT.kind], made_beside.get(SERVICE.kind)
        outcome = Outcome(
            applied.live,
            applied.changed,
            mounts.config_map_name,
            Volume(inputs.spec.workload.storage, mounts.claim, claim.refusal if claim else ""),
            mounts.installs_name,
            service.live if service else None,
        )
        if failure_beside is not None:
            return failed(outcome, failure_beside)
        return replace(outcome, error=await self._clean_up(inputs, mounts, applied.live))

    def forget(self, child: Object) -> None:
        """A child is gone: drop what was remembered of it."""
        self._children.forget(child)

    def _needed_by_pods(self, observed: Observed, inputs: Inputs, references: Resolution) -> Writes:
        writes = self._rendered(inputs, table.before_deployment(inputs))
        for purpose, content in configmap.contents(inputs).items():
            writes[purpose] = self._write_config_map(inputs, content)
        if references.storage.content is not None:
            writes[SECRET.kind] = self._write_storage(
                inputs, references.storage.content, observed.deployment
            )
        if references.trust.child is not None:
            writes[CA_BUNDLE] = self._write(inputs.owner, references.trust.child)
        return writes

    def _rendered(
        self, inputs: Inputs, children: Iterable[Child]
    ) -> dict[str, Coroutine[Any, Any, Applied]]:
        return {child.resource.kind: self._write(inputs.owner, child) for child in children}

    async def _write(self, cr: Object, child: Child) -> Applied:
        applied = await self._children.ensure(cr, child, self._caches.of(child.resource))
        self._references.wrote(child.resource, applied.live)
        return self._remembered(cr, child.resource, applied)

    async def _write_config_map(self, inputs: Inputs, content: configmap.Content) -> Applied:
        applied = await self._config_maps.ensure(
            inputs.owner,
            self._caches.config_maps_of(inputs.owner),
            content.data,
            content.digest,
            registry=inputs.registry,
        )
        return self._remembered(inputs.owner, CONFIG_MAP, applied)

    async def _write_storage(
        self, inputs: Inputs, content: Content, before: Object | None
    ) -> Applied:
        applied = await self._storage.write(inputs, content, before)
        return self._remembered(inputs.owner, SECRET, applied)

    def _remembered(self, cr: Object, resource: Resource, applied: Applied) -> Applied:
        if applied.changed:
            self._own_writes.remember(cr, resource, applied.live)
        return applied

    async def _clean_up(
        self, inputs: Inputs, mounts: Mounts, live_deployment: Object
    ) -> ApiError | None:
        """A leftover that stays harms nobody: the reconcile went well, but is tried again."""
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
            current = frozenset({mounts.config_map_name, mounts.installs_name})
            await self._config_maps.prune(cr, owned, current)
        except ApiError as error:
            return error
        return None


def _mounts(
    inputs: Inputs,
    configuration: Configuration,
    made: Mapping[str, Applied],
    claim: Applied | None,
) -> Mounts:
    """What the pods mount, now that it is written."""
    config = made.get(configmap.CONFIG)
    installs = made.get(configmap.INSTALLS, config) if inputs.installs else None
    return Mounts(
        config_map_name=key_of(config.live).name if config else configuration.config_map_name,
        users_key="" if config else configuration.users_key,
        installs_name=key_of(installs.live).name if installs else "",
        claim=claim.live if claim else None,
    )


def _moves(observed: Observed, inputs: Inputs) -> bool:
    """Whether the pods that run listen on another port than is wanted now."""
    if observed.deployment is None:
        return False
    containers = observed.deployment["spec"]["template"]["spec"]["containers"]
    ports = {port["containerPort"] for one in containers for port in one.get("ports") or ()}
    return inputs.port not in ports


async def _settled(writes: Writes) -> dict[str, Applied | BaseException]:
    """What the writes came to, side by side, by kind."""
    return dict(zip(writes, await gather_settled(*writes.values()), strict=True))


def _unwrapped(
    results: Mapping[str, Applied | BaseException],
) -> tuple[dict[str, Applied], Failure | None]:
    """What was written, up to the first write that failed; raises what is no failure but a bug."""
    made: dict[str, Applied] = {}
    for kind, result in results.items():
        if isinstance(result, STEP_ERRORS):
            return made, Failure(result, kind)
        made[kind] = unwrap(result)
    return made, None
