# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Plans of resources whose image may bring its own config (FR-027f).

Stands in front of the planner and speaks its language: a plan comes out, made with the base config
out of the image's labels if there is one. If that is not known yet the plan says to wait, and if it
cannot be known the plan has a problem, or a note on what was used instead.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from controller.llamastack.objects.kinds import SERVICE_ACCOUNT
from controller.llamastack.objects.problem import Problem
from controller.llamastack.planning.image_configs import Postpone, Refuse, Use, decide
from controller.llamastack.planning.registry_state import recorded
from controller.llamastack.planning.upgrade import blame
from informers.ports import ObjectKey, key_of

if TYPE_CHECKING:
    from controller.llamastack.cache.observed import Observed
    from controller.llamastack.cache.readers import Caches
    from controller.llamastack.planning.image_configs import ImageConfigs, Question
    from controller.llamastack.planning.plan import Plan
    from controller.llamastack.planning.planner import Planner
    from informers.ports import Object


class ImageAwarePlanner:
    """A planner that knows what images say of themselves.

    Args:
        planner: makes and remembers the plans.
        images: answers at once.
        caches: tell when credentials changed.
    """

    def __init__(self, planner: Planner, images: ImageConfigs, caches: Caches) -> None:
        self._planner = planner
        self._images = images
        self._caches = caches

    def plan(self, observed: Observed) -> Plan:
        """What the spec of a resource asks for, as far as that is known now.

        Args:
            observed: the resource, and the Deployment that says which registry its server uses.
        """
        registry = recorded(
            observed.deployment, lambda: self._caches.registry_records_of(observed.cr)
        )
        return blame(self._labelled(observed.cr, registry), observed.cr)

    def _labelled(self, obj: Object, registry: str) -> Plan:
        plan = self._planner.plan(obj, registry)
        if plan.question is None or plan.cr is None:
            return plan
        answer = self._images.lookup(
            plan.question, asker=key_of(obj), credentials=self._credentials(plan.question)
        )
        named = plan.cr.spec.distribution.image is None
        match decide(answer, obj, plan.question, named=named):
            case Use(base=None) as use:
                return replace(plan, note=use.note, retry_in_s=use.retry_in_s)
            case Use(base=base):
                return self._planner.plan(obj, registry, base)
            case Postpone() as wait:
                return replace(
                    plan, generated=None, problem=None, postponed=wait, retry_in_s=wait.retry_in_s
                )
            case Refuse() as refusal:
                message = f"spec.distribution: {refusal.message}"
                problem = Problem(refusal.reason, message, permanent=not refusal.transient)
                return replace(plan, generated=None, problem=problem, retry_in_s=refusal.retry_in_s)

    def forget(self, uid: str) -> None:
        """The resource is gone."""
        self._planner.forget(uid)

    def _credentials(self, question: Question) -> str:
        """Another text when a pull secret, or the ServiceAccount, is another version of itself."""
        namespace = question.namespace
        account = self._caches.of(SERVICE_ACCOUNT).get(
            ObjectKey(namespace, question.service_account)
        )
        secrets = [
            self._caches.secrets.get(ObjectKey(namespace, name)) for name in question.pull_secrets
        ]
        found = (account, *secrets)
        return " ".join(obj["metadata"].get("resourceVersion", "") if obj else "-" for obj in found)
