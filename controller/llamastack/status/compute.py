# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What we tell the user: facts of one reconcile in, a complete status out. Pure.

Each condition answers one question, carries the generation it speaks of, and moves its
``lastTransitionTime`` only when its value changes (G9). ``Ready`` sums up; its reason is the
reason of the first thing that stands in the way, so that one look at it is enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.conditions import (
    condition,
    conditions_of,
    is_true,
    message_of,
    set_condition,
    without_conditions,
)
from api.v1alpha2.reasons import ConditionType, Phase, Reason
from controller.llamastack.external_providers.progress import kept_installs, with_times
from controller.llamastack.objects.leaving import overdue
from controller.llamastack.objects.rollout import Rollout, RolloutState, assess
from controller.llamastack.render import labels
from controller.llamastack.server.status import PASSED, current_report, described, sentence
from controller.llamastack.status import claim

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.conditions import ConditionStatus
    from configs.engine import Generated
    from controller.llamastack.planning.image_configs import Postpone
    from controller.llamastack.server.status import CurrentReport
    from controller.llamastack.status.facts import Facts


@dataclass(frozen=True, slots=True)
class ConditionValue:
    """The answer of one condition."""

    status: ConditionStatus
    reason: str
    message: str


def compute(facts: Facts) -> dict[str, Any]:
    """The whole status; what could not be looked at in this reconcile is carried over."""
    old: Mapping[str, Any] = facts.cr.get("status") or {}
    rollout = _rollout(facts)
    server = current_report(old, facts.deployment, facts.server_report)
    values = _condition_values(facts, rollout, server)
    gone = _not_asked_for(facts)
    conditions = without_conditions(conditions_of(facts.cr), gone)
    for kind, found in values.items():
        if found is None and condition(facts.cr, kind):
            continue
        value = found or ConditionValue("Unknown", Reason.NOT_EVALUATED, "Not looked at yet")
        conditions = set_condition(
            conditions,
            type=kind,
            status=value.status,
            reason=value.reason,
            message=value.message,
            observed_generation=facts.generation,
            now=facts.now,
        )
    status: dict[str, Any] = {
        "phase": _phase(facts, rollout, values),
        "observedGeneration": facts.generation,
        "conditions": conditions,
        "availableReplicas": rollout.available,
        "selector": ",".join(
            f"{k}={v}" for k, v in labels.selector(facts.cr["metadata"]["name"]).items()
        ),
    }
    if facts.service_url or old.get("serviceURL"):
        status["serviceURL"] = facts.service_url or old["serviceURL"]
    route_url = old.get("routeURL") if facts.route_url is None else facts.route_url
    if route_url:
        status["routeURL"] = route_url
    status.update(described(server, facts.operator_facts, facts.cr, now=facts.now))
    status.update(_resolved(facts, old))
    status.update(_listed_installs(facts, old))
    return status


def waits_for_pods(facts: Facts) -> bool:
    """Whether a rollout is under way."""
    return _rollout(facts).state is not RolloutState.COMPLETE


def _rollout(facts: Facts) -> Rollout:
    """How far the pods are, and what keeps them."""
    pods = claim.blamed(facts.volume, facts.pods)
    return assess(facts.deployment, pods, overdue(facts.leaving, facts.now))


def _condition_values(
    facts: Facts, rollout: Rollout, server: CurrentReport
) -> dict[str, ConditionValue | None]:
    """Answers by condition type; ``None`` where this reconcile cannot tell."""
    config = _config(facts)
    secrets = _secrets(facts)
    volume = claim.assess_claim(facts.volume, facts.pods) if facts.volume else None
    if facts.volume and rollout.state is RolloutState.PROGRESSING:
        volume = claim.worth_reporting(volume, facts.volume, facts.cr, facts.now)
    updated = _updated(facts)
    steps = (config, secrets, updated)
    values: dict[str, ConditionValue | None] = {
        ConditionType.CONFIG_GENERATED: config,
        ConditionType.SECRETS_RESOLVED: secrets,
        ConditionType.DEPLOYMENT_UPDATED: updated,
        ConditionType.AVAILABLE: _available(facts, rollout),
        ConditionType.DEPLOYMENT_READY: _deployment_ready(rollout),
        ConditionType.HEALTH_CHECK: _health(facts, rollout, server),
        ConditionType.SERVICE_READY: _service(facts),
        ConditionType.STORAGE_READY: _storage(volume),
        ConditionType.EXTERNAL_PROVIDERS_READY: _installed(facts, steps),
        ConditionType.READY: _ready(facts, rollout, steps, volume),
    }
    return {kind: value for kind, value in values.items() if kind not in _not_asked_for(facts)}


def _not_asked_for(facts: Facts) -> frozenset[str]:
    """Conditions that are there only with a field of the spec."""
    volume = facts.volume
    # A spec that cannot be read takes nothing away, and asks for nothing.
    asked = {
        ConditionType.STORAGE_READY: volume and volume.asked is not None,
        ConditionType.EXTERNAL_PROVIDERS_READY: facts.installs.any,
    }
    return frozenset(
        kind
        for kind, value in asked.items()
        if not (bool(condition(facts.cr, kind)) if value is None else value)
    )


def _config(facts: Facts) -> ConditionValue | None:
    if facts.config_postponed is not None:
        return _awaited(facts.config_postponed)
    if facts.config_problem is not None:
        return ConditionValue("False", facts.config_problem.reason, facts.config_problem.message)
    generated = facts.generated
    if generated is None:
        return None
    if generated.source == "override":
        text = facts.override_text
        return ConditionValue("True", Reason.OVERRIDE_CONFIG, text) if text else None
    if generated.config_yaml is None:
        return ConditionValue(
            "True", Reason.DISTRIBUTION_DEFAULT, "The image runs with its own configuration"
        )
    providers = _counted(generated.provider_count, "provider")
    counts = f"{providers} and {_counted(generated.resource_count, 'resource')}"
    text = f"Generated config.yaml with {counts}"
    if facts.config_note:
        text += f". {facts.config_note}"
    return ConditionValue("True", Reason.CONFIG_GENERATED, text)


def _awaited(wait: Postpone) -> ConditionValue | None:
    """Nothing new while the configuration in force is for this very spec."""
    return (
        None
        if wait.settled
        else ConditionValue("Unknown", Reason.IMAGE_CONFIG_PENDING, wait.message)
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _secrets(facts: Facts) -> ConditionValue | None:
    resolution = facts.resolution
    if resolution is None:
        return None
    if resolution.ok:
        text = "Every referenced Secret and ConfigMap is there, with its keys"
        if resolution.trust.note:
            text += f". {resolution.trust.note}"
        return ConditionValue("True", resolution.reason, text)
    return ConditionValue(
        "False", resolution.reason, "; ".join(e.message for e in resolution.errors)
    )


def _updated(facts: Facts) -> ConditionValue | None:
    if facts.deleting:
        return None
    if facts.config_postponed is not None:
        return _awaited(facts.config_postponed)
    if facts.update_problem is not None:
        return ConditionValue("False", facts.update_problem.reason, facts.update_problem.message)
    kept = "what runs was left as it is" if facts.deployment else "nothing was created"
    if facts.config_problem is not None:
        return ConditionValue("False", Reason.DEPLOYMENT_NOT_UPDATED, f"No configuration: {kept}")
    if facts.resolution is not None and not facts.resolution.ok:
        return ConditionValue(
            "False",
            Reason.DEPLOYMENT_NOT_UPDATED,
            f"What the spec refers to cannot be used: {kept}",
        )
    if facts.deployment is None:
        return None
    return ConditionValue(
        "True", Reason.DEPLOYMENT_UPDATED, "The Deployment has the current configuration"
    )


def _available(facts: Facts, rollout: Rollout) -> ConditionValue:
    if not rollout.minimum_available:
        return ConditionValue("False", Reason.MINIMUM_REPLICAS_UNAVAILABLE, rollout.message)
    # Pods that nobody reaches are of no use.
    if facts.service_problem:
        return ConditionValue("False", Reason.SERVICE_NOT_READY, facts.service_problem)
    return ConditionValue("True", Reason.MINIMUM_REPLICAS_AVAILABLE, rollout.message)


def _deployment_ready(rollout: Rollout) -> ConditionValue:
    done = rollout.state is RolloutState.COMPLETE
    return ConditionValue("True" if done else "False", rollout.reason, rollout.message)


def _health(facts: Facts, rollout: Rollout, server: CurrentReport) -> ConditionValue:
    """What the probes of the pods say, and what the server said when it was asked.

    The answer goes by the probes, of pods that can be reached. ``/v1/health`` is a constant: 200
    with every backend dead.
    """
    if rollout.available and facts.service_problem:
        return ConditionValue("False", Reason.SERVICE_NOT_READY, facts.service_problem)
    if rollout.available and not facts.deleting:
        text = sentence(server) or _kept(facts)
        return ConditionValue("True", Reason.HEALTH_CHECK_PASSED, text)
    if rollout.state is RolloutState.STUCK:
        return ConditionValue(
            "False", Reason.HEALTH_CHECK_FAILED, f"No server answers: {rollout.message}"
        )
    return ConditionValue("Unknown", Reason.HEALTH_CHECK_PENDING, "No server answers its probe yet")


def _kept(facts: Facts) -> str:
    """What was said before of this very server."""
    if is_true(facts.cr, ConditionType.HEALTH_CHECK):
        return message_of(facts.cr, ConditionType.HEALTH_CHECK)
    return PASSED


def _service(facts: Facts) -> ConditionValue | None:
    if not facts.service_url:
        return None  # what stands in the way of another child says nothing of the Service
    if facts.service_problem:
        return ConditionValue("False", Reason.SERVICE_NOT_READY, facts.service_problem)
    text = f"The Service leads to the server: {facts.service_url}"
    if facts.network_note:
        text += f". {facts.network_note}"
    return ConditionValue("True", Reason.SERVICE_READY, text)


def _storage(volume: claim.ClaimVerdict | None) -> ConditionValue | None:
    if volume is None:
        return None
    bound = volume.state is claim.ClaimState.READY
    return ConditionValue("True" if bound else "False", volume.reason, volume.message)


def _installed(facts: Facts, steps: tuple[ConditionValue | None, ...]) -> ConditionValue | None:
    """How far they are, or the first step that keeps pods from installing them."""
    found = facts.install_progress
    if found is None:
        return _missed(steps)
    text = f"{found.message}. {facts.install_note}" if facts.install_note else found.message
    return ConditionValue(found.status, found.reason, text)


def _listed_installs(facts: Facts, old: Mapping[str, Any]) -> dict[str, Any]:
    """The external providers, one by one."""
    before = old.get("externalProviders") or []
    if facts.install_progress is not None:
        found = with_times(facts.install_progress.providers, before, facts.now)
    else:
        asked = facts.installs
        kept = [] if asked.any is False else kept_installs(asked.readable, before)
        found = with_times(kept, before, facts.now)
    return {"externalProviders": found} if found else {}


def _missed(steps: tuple[ConditionValue | None, ...]) -> ConditionValue | None:
    """The first step that did not go well; ``None`` if all did, or were not looked at."""
    return next((step for step in steps if step is not None and step.status != "True"), None)


_OF_THE_VOLUME = frozenset({Reason.PROGRESSING, Reason.VOLUME_PENDING})
"""What a rollout says that waits for the volume, as it looks from the Deployment."""


def _ready(
    facts: Facts,
    rollout: Rollout,
    steps: tuple[ConditionValue | None, ...],
    volume: claim.ClaimVerdict | None,
) -> ConditionValue:
    if facts.deleting:
        return ConditionValue("False", Reason.DELETING, "The resource is being deleted")
    problem = facts.update_problem
    if problem is not None:
        return ConditionValue("False", problem.reason, problem.message)
    if (step := _missed(steps)) is not None:
        return step
    if volume is not None and volume.state is claim.ClaimState.BROKEN:
        return ConditionValue("False", volume.reason, volume.message)
    if rollout.state is not RolloutState.COMPLETE:
        waits = volume is not None and volume.state is claim.ClaimState.WAITING
        cause = volume if volume and waits and rollout.reason in _OF_THE_VOLUME else rollout
        return ConditionValue("False", cause.reason, cause.message)
    if facts.service_problem:
        return ConditionValue("False", Reason.SERVICE_NOT_READY, facts.service_problem)
    if volume is not None and volume.state is claim.ClaimState.GROWING:
        return ConditionValue("False", volume.reason, volume.message)
    return ConditionValue("True", Reason.ALL_READY, rollout.message)


def _phase(facts: Facts, rollout: Rollout, values: Mapping[str, ConditionValue | None]) -> str:
    ready = values[ConditionType.READY]
    if facts.deleting:
        return Phase.TERMINATING
    if ready is not None and ready.status == "True":
        return Phase.READY
    problem = facts.update_problem
    # What a retry may fix is no failure: the phase goes by the pods then.
    passing = problem is not None and not problem.permanent
    refused = not passing and any(a and a.status == "False" for a in _steps(values))
    storage = values.get(ConditionType.STORAGE_READY)
    broken = storage is not None and storage.reason in _BROKEN
    if refused or broken or rollout.state is RolloutState.STUCK:
        return Phase.FAILED
    return Phase.PENDING if rollout.state is RolloutState.ABSENT else Phase.INITIALIZING


_BROKEN = frozenset({Reason.STORAGE_FAILED, Reason.STORAGE_CHANGE_REFUSED})


def _steps(values: Mapping[str, ConditionValue | None]) -> tuple[ConditionValue | None, ...]:
    return (
        values[ConditionType.CONFIG_GENERATED],
        values[ConditionType.SECRETS_RESOLVED],
        values[ConditionType.DEPLOYMENT_UPDATED],
    )


def _resolved(facts: Facts, old: Mapping[str, Any]) -> dict[str, Any]:
    """What the spec was resolved to; carried over while the spec in force cannot be resolved."""
    generated, problem = facts.generated, facts.update_problem
    if generated is None or (problem is not None and not problem.beside):
        return {k: old[k] for k in ("resolvedDistribution", "configGeneration") if k in old}
    resolved: dict[str, Any] = {
        "image": generated.image,
        "configSource": str(generated.base_source),
    }
    if generated.config_hash:
        resolved["configHash"] = generated.config_hash
    result: dict[str, Any] = {"resolvedDistribution": resolved}
    if facts.config_map_name and generated.source == "generated":
        result["configGeneration"] = _config_generation(facts, generated, old)
    elif "configGeneration" in old and generated.source == "generated":
        result["configGeneration"] = old["configGeneration"]
    return result


def _config_generation(
    facts: Facts, generated: Generated, old: Mapping[str, Any]
) -> dict[str, Any]:
    before = old.get("configGeneration") or {}
    same = before.get("configMapName") == facts.config_map_name
    return {
        "configMapName": facts.config_map_name,
        "generatedAt": before["generatedAt"] if same and "generatedAt" in before else facts.now,
        "providerCount": generated.provider_count,
        "resourceCount": generated.resource_count,
        "configVersion": generated.config_version,
        "era": generated.era,
        "models": list(generated.models),
    }
