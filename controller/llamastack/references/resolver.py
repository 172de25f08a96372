# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whether everything of users that a resource refers to is there: Secrets and ConfigMaps as one.

Nothing is read twice, not even after a restart of the operator: the Deployment says which versions
it was made from, the status says that they were good, and the metadata caches say whether they
are still the same. If all three agree there is nothing to find out.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from api.conditions import is_true_now
from api.errors import FieldError
from api.v1alpha2.reasons import ConditionType, ConfigSource, Reason
from controller.llamastack.cache.reference_index import secrets_of_pods
from controller.llamastack.objects.kinds import CONFIG_MAP, CONFIG_MAPS_SEEN, SECRETS_HASH
from controller.llamastack.references.ca_bundle import NO_TRUST
from controller.llamastack.references.config_maps import Judgement
from controller.llamastack.references.resolution import Resolution
from informers.errors import ApiError
from informers.ports import key_of

if TYPE_CHECKING:
    from controller.llamastack.planning.plan import Plan
    from controller.llamastack.references.config_maps import ConfigMapResolver
    from controller.llamastack.references.secrets import SecretResolver
    from controller.llamastack.references.storage_content import Prepared
    from controller.llamastack.references.storage_secret import StorageSecrets
    from controller.llamastack.references.trust import TrustResolver
    from informers.ports import Object, ObjectKey, Resource

_NO_CONFIG_MAPS = Judgement()
_MOVING = FieldError("spec.storage", "A Secret changed while it was read; it is read again")


class ReferenceResolver:
    """All resolvers.

    Args:
        secrets: of all resources.
        config_maps: of all resources.
        trust: of all resources.
        storage: of all resources.
    """

    def __init__(
        self,
        secrets: SecretResolver,
        config_maps: ConfigMapResolver,
        trust: TrustResolver,
        storage: StorageSecrets,
    ) -> None:
        self._secrets = secrets
        self._config_maps = config_maps
        self._trust = trust
        self._storage = storage

    def wrote(self, resource: Resource, live: Object) -> None:
        """A child is as it should be now."""
        if resource == CONFIG_MAP:
            self._trust.wrote(live)

    def forget_child(self, child: Object) -> None:
        """A child is gone."""
        self._trust.forget(child)

    def read_ahead_of(self, cr: Object) -> list[ObjectKey]:
        """The Secrets that are worth reading while somebody finds out what they are for.

        Args:
            cr: the resource, of which a plan is being made.
        """
        return [] if _already_resolved(cr) else self._secrets.unknown(secrets_of_pods(cr))

    async def read_ahead(self, key: ObjectKey) -> None:
        """Read a Secret; why that is not possible is told when it is needed."""
        with contextlib.suppress(ApiError):
            await self._secrets.summary(key)

    async def resolve(self, cr: Object, deployment: Object | None, plan: Plan) -> Resolution:
        """Check everything that the resource refers to.

        Args:
            cr: the resource.
            deployment: the live one, if it is ours.
            plan: has the references.

        Raises:
            ApiError: an object could not be read for another reason than that it is not there.
        """
        found = await self._resolve_secrets(cr, deployment, plan)
        # First who needs the content: the others make do with what is remembered of it.
        trust = await self._trust.resolve(cr, plan.cr.spec) if plan.cr else NO_TRUST
        judgement = await self._resolve_config_maps(cr, deployment, plan)
        if judgement is _NO_CONFIG_MAPS and trust is NO_TRUST:
            return found
        problems = list(judgement.problems)
        if not problems:  # what is not there says why there are no certificates in it
            problems = [(Reason.CA_BUNDLE_NOT_USABLE, error) for error in trust.problems]
        return replace(
            found,
            reason=found.reason if found.errors or not problems else str(problems[0][0]),
            errors=(*found.errors, *(error for _, error in problems)),
            config_maps_hash=judgement.content_hash,
            config_maps_seen=judgement.record,
            override=judgement.config,
            override_digest=judgement.config_digest,
            override_key=judgement.config_key,
            override_spelling=judgement.config_spelling,
            trust=trust,
        )

    async def _resolve_secrets(self, cr: Object, live: Object | None, plan: Plan) -> Resolution:
        namespace = key_of(cr).namespace
        wanted = plan.generated.storage_secret if plan.generated else None
        # First: what it reads is known then, and not read again.
        storage = await self._storage.prepare(cr, wanted)
        deployed = _of_template(live, SECRETS_HASH)
        if deployed and storage.settled and _already_resolved(cr):
            cached = self._secrets.hash_of_cached(namespace, plan.secrets)
            if cached == deployed:
                return Resolution(Reason.SECRETS_RESOLVED, (), deployed, storage=storage)
        found = await self._secrets.resolve(namespace, plan.secrets, converted=plan.converted)
        return with_storage(found, storage)

    async def _resolve_config_maps(self, cr: Object, live: Object | None, plan: Plan) -> Judgement:
        if not plan.config_maps:
            return _NO_CONFIG_MAPS
        namespace = key_of(cr).namespace
        seen = Judgement.recorded(_annotation(live, CONFIG_MAPS_SEEN))
        if seen.versions_hash and _already_resolved(cr) and _already_judged(cr, plan, seen):
            cached = self._config_maps.hash_of_cached(namespace, plan.config_maps)
            if cached == seen.versions_hash:
                return seen
        return await self._config_maps.resolve(namespace, plan.config_maps)


def with_storage(found: Resolution, storage: Prepared) -> Resolution:
    """Pure: the resolution of the references, with what the Secret that is made from them needs."""
    if found.ok and storage.errors:
        reason = Reason.SECRET_VALUE_NOT_USABLE
        return replace(found, reason=reason, errors=storage.errors)
    if found.ok and storage.moving:
        # It came while this reconcile looked: that event has queued another reconcile.
        return replace(found, reason=Reason.SECRET_RESOLUTION_FAILED, errors=(_MOVING,))
    return replace(found, storage=storage)


def _annotation(obj: Object | None, name: str) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(name, "")) if obj else ""


def _of_template(live: Object | None, name: str) -> str:
    if live is None:
        return ""
    template = live["spec"]["template"].get("metadata") or {}
    return str((template.get("annotations") or {}).get(name, ""))


def _already_resolved(cr: Object) -> bool:
    """Whether a reconcile over this very generation found everything usable."""
    return is_true_now(cr, ConditionType.SECRETS_RESOLVED)


def _already_judged(cr: Object, plan: Plan, seen: Judgement) -> bool:
    """Likewise for the user's own configuration, if there is one, with that very text."""
    if plan.cr is None or plan.cr.spec.override_config is None:
        return not seen.config_digest
    resolved = (cr.get("status") or {}).get("resolvedDistribution") or {}
    said = resolved.get("configSource"), resolved.get("configHash")
    known = said == (ConfigSource.OVERRIDE, seen.config_digest)
    return known and is_true_now(cr, ConditionType.CONFIG_GENERATED)
