# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Plans, remembered for a while.

Parsing, validating and generating a configuration is by far the most expensive part of a reconcile,
and its result depends on the spec and on the distributions alone, so it is not repeated at every
event of a child. The plans themselves are made by :mod:`controller.llamastack.planning.plan`, which
neither remembers nor logs: commands that make one plan need no more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import structlog

from controller.llamastack.planning.plan import Plan, make_plan
from controller.runtime.lru import LruCache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from configs.base import BaseConfig
    from configs.distributions import Distributions
    from informers.ports import Object

log = structlog.get_logger(__name__)

REMEMBERED = 256
"""Plans that are kept. A plan takes 16 KiB to keep and 1 ms to make again, and the few reconciles
that one resource needs come close together; so those used last are kept, not all."""


_Version: TypeAlias = tuple[str, int, str]
"""Uid and generation of a resource, name of the base config out of its image's labels."""


def _name_of(base: BaseConfig | None) -> str:
    """A label may give the same text another era."""
    return f"{base.era} {base.digest}" if base else ""


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A plan before and after it was carried out: after, its registry does not count as reset.

    Attributes:
        before: state of the registry that the plan was made from.
        first: the plan.
        after: state that the plan leads to.
        settled: the plan that is made from it.
    """

    before: str
    first: Plan
    after: str
    settled: Plan

    @classmethod
    def of(cls, before: str, plan: Plan) -> _Remembered:
        generated = plan.generated
        if generated is None or generated.registry is None:
            return cls(before, plan, before, plan)
        after = generated.registry.dump()
        if not generated.registry_reset:
            return cls(before, plan, after, plan)
        return cls(
            before, plan, after, replace(plan, generated=replace(generated, registry_reset=()))
        )

    def plan_for(self, registry: str) -> Plan | None:
        """The plan for a state; ``None`` if it has to be made again."""
        if registry == self.after:
            return self.settled
        return self.first if registry == self.before else None


class Planner:
    """Remembers the plans of the resources that were looked at last.

    Args:
        distributions: what ``distribution.name`` can mean.
        remembered: how many.
    """

    def __init__(self, distributions: Distributions, *, remembered: int = REMEMBERED) -> None:
        self._distributions = distributions
        self._remembered = remembered
        self._plans: LruCache[_Version, _Remembered] = LruCache(remembered)
        self._warned: dict[str, _Version] = {}  # by uid: what was warned of

    def plan(self, obj: Object, registry: str = "", base: BaseConfig | None = None) -> Plan:
        """The plan for the resource's spec.

        Args:
            obj: the resource.
            registry: state of the server's registry; empty for a server that never ran.
            base: out of the image's labels; ``None`` for the operator's own, if there is one.
        """
        metadata = obj["metadata"]
        version = metadata["uid"], metadata.get("generation", 0), _name_of(base)
        remembered = self._plans.get(version)
        plan = remembered.plan_for(registry) if remembered else None
        if plan is None:
            plan = make_plan(obj, self._distributions, registry, base)
            self._warn_once(version, plan)
            self._plans.put(version, _Remembered.of(registry, plan), size=1)
        return plan

    @property
    def distributions(self) -> Distributions:
        """What ``distribution.name`` can mean now."""
        return self._distributions

    def use(self, distributions: Distributions) -> None:
        """Names mean something else from now on: plans are made again."""
        self._distributions = distributions
        self._plans = LruCache(self._remembered)

    @property
    def images(self) -> Mapping[str, str]:
        """Name → image of the distributions that hold now."""
        return self._distributions.images

    def forget(self, uid: str) -> None:
        """The resource is gone."""
        self._warned.pop(uid, None)

    def _warn_once(self, version: _Version, plan: Plan) -> None:
        uid = version[0]
        if plan.warnings and self._warned.get(uid) != version:
            self._warned[uid] = version
            for warning in plan.warnings:
                log.warning("Resource has warnings", path=warning.path, detail=warning.message)
