# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""From the resource as stored to what it asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from api.v1alpha2 import LlamaStackDistribution
from api.v1alpha2.reasons import Reason
from api.v1alpha2.references import (
    ConfigMapReference,
    SecretReference,
    config_map_refs,
    secret_refs,
)
from api.validation import as_written, validate
from configs import registry_key
from configs.base import EmbeddedBaseConfigs
from configs.distributions import Distributions
from configs.engine import Generated, Target, generate_for, target_of
from configs.errors import ConfigError
from configs.secrets import EnvFromSecret
from controller.llamastack.objects.problem import Problem
from controller.llamastack.planning.asked_installs import NOT_TOLD, AskedInstalls, asked_installs
from controller.llamastack.planning.image_configs import Postpone, Question, question_of
from controller.llamastack.planning.own_references import own_references
from controller.llamastack.render import names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.errors import FieldError, FieldWarning
    from configs.base import BaseConfig
    from configs.distributions import Resolved
    from informers.ports import Object


@dataclass(frozen=True, slots=True)
class Plan:
    """What a spec asks for.

    Attributes:
        cr: the parsed resource, unless it cannot be parsed.
        generated: image, configuration and environment, unless there is a problem.
        secrets: its references to Secrets.
        config_maps: its references to ConfigMaps.
        installs: the external providers that it asks for, whatever else is wrong with it.
        problem: why there is no configuration.
        errors: the parts of the problem, one a field.
        warnings: what works, but perhaps not as meant.
        question: about the image, whose labels may hold the base config; the rest of the plan is
            what holds if they do not.
        postponed: why there is no configuration yet, as long as that is so.
        note: what was used instead of the image's own config, and why.
        retry_in_s: look again then; ``None`` if an event will tell.
    """

    cr: LlamaStackDistribution | None = None
    generated: Generated | None = None
    secrets: tuple[SecretReference, ...] = ()
    config_maps: tuple[ConfigMapReference, ...] = ()
    installs: AskedInstalls = NOT_TOLD
    problem: Problem | None = None
    errors: tuple[FieldError, ...] = ()
    warnings: tuple[FieldWarning, ...] = ()
    question: Question | None = None
    postponed: Postpone | None = None
    note: str = ""
    retry_in_s: float | None = None

    @property
    def is_resolvable(self) -> bool:
        """Whether it can be found out what the spec refers to, and is worth it."""
        return self.cr is not None and self.postponed is None

    @property
    def converted(self) -> frozenset[str]:
        """Paths of the references whose values the server needs as they are, but may convert."""
        env = self.generated.env if self.generated else ()
        secrets = (variable for variable in env if isinstance(variable, EnvFromSecret))
        return frozenset(variable.path for variable in secrets if variable.is_text)


def make_plan(
    obj: Object,
    distributions: Distributions,
    registry: str = "",
    base: BaseConfig | None = None,
) -> Plan:
    """Parse, validate, generate; every problem of the step that fails, at once.

    Args:
        obj: the resource, of either version; findings are at the paths of that version.
        distributions: what ``distribution.name`` can mean.
        registry: state of the server's registry; empty for a server that never ran.
        base: out of the image's labels; ``None`` for the operator's own, if there is one.
    """
    # The status says nothing of what is wanted, and is the larger part of an object.
    found = validate({part: value for part, value in obj.items() if part != "status"})
    cr = found.resource
    asked = asked_installs(obj, cr)
    if cr is None or found.errors:
        problem = _problem(Reason.VALIDATION_FAILED, found.errors)
        return Plan(installs=asked, problem=problem, errors=found.errors, warnings=found.warnings)
    plan = Plan(
        cr=cr,
        secrets=secret_refs(cr.spec),
        config_maps=config_map_refs(cr.spec),
        installs=asked,
        warnings=found.warnings,
    )
    try:
        target = target_of(cr.spec, distributions)
        plan = replace(plan, question=_question(cr, target))
        generated = generate_for(
            target,
            cr.metadata.name,
            cr.metadata.namespace,
            cr.spec,
            bases=EmbeddedBaseConfigs() if base is None else _FixedBaseConfig(base),
            previous=registry_key.load(registry) if registry else None,
        )
    except ConfigError as error:
        errors = as_written(error.errors, obj)
        return replace(plan, problem=_problem(error.reason, errors), errors=errors)
    if own := as_written(own_references(plan.secrets, generated.storage_secret), obj):
        return replace(plan, problem=_problem(Reason.VALIDATION_FAILED, own), errors=own)
    warnings = (*plan.warnings, *as_written(generated.warnings, obj))
    return replace(plan, generated=generated, warnings=warnings)


class _FixedBaseConfig:
    """A source that has one base config for everything."""

    def __init__(self, base: BaseConfig) -> None:
        self._base = base

    def base_of(self, resolved: Resolved) -> BaseConfig:
        return self._base


def _question(cr: LlamaStackDistribution, target: Target) -> Question | None:
    """What to ask a registry; ``None`` where its answer would change nothing (FR-027f).

    A named distribution's pinned image is known to have no labels; one that an administrator put
    in its place may have some.
    """
    if target.source != "generated":
        return None
    if cr.spec.distribution.image is None and not target.resolved.is_overridden:
        return None
    return question_of(
        cr.spec,
        target.resolved.image,
        namespace=cr.metadata.namespace,
        default_account=names.service_account(cr.metadata.name),
    )


def _problem(reason: str, errors: Iterable[FieldError]) -> Problem:
    return Problem(reason, "; ".join(str(error) for error in errors))
