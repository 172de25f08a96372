# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What we tell the user: facts of one pass in, a complete status out. Pure.

Each condition answers one question, carries the generation it speaks of, and moves its
``lastTransitionTime`` only when its answer changes (G9). ``Ready`` sums up; its reason is the
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
from controller.llamastack.objects.rollout import Rollout, State, assess
from controller.llamastack.render import labels
from controller.llamastack.server.status import PASSED, account, described, sentence
from controller.llamastack.status import claim

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.conditions import ConditionStatus
    from configs.engine import Generated
    from controller.llamastack.planning.image_configs import Wait
    from controller.llamastack.server.status import Account
    from controller.llamastack.status.facts import Facts


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one condition."""

    status: ConditionStatus
    reason: str
    message: str


def compute(facts: Facts) -> dict[str, Any]:
    """The whole status; what could not be looked at in this pass is carried over."""
    old: Mapping[str, Any] = facts.cr.get("status") or {}
    rollout = assess(facts.deployment, claim.blamed(facts.volume, facts.pods))
    server = account(old, facts.deployment, facts.server_report)
    answers = _answers(facts, rollout, server)
    gone = _not_asked_for(facts)
    conditions = without_conditions(conditions_of(facts.cr), gone)
    for kind, found in answers.items():
        if found is None and condition(facts.cr, kind):
            continue
        answer = found or Answer("Unknown", Reason.NOT_EVALUATED, "Not looked at yet")
        conditions = set_condition(
            conditions,
            type=kind,
            status=answer.status,
            reason=answer.reason,
            message=answer.message,
            observed_generation=facts.generation,
            now=facts.now,
        )
    status: dict[str, Any] = {
        "phase": _phase(facts, rollout, answers),
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
    status.update(described(server, facts.about, facts.cr, now=facts.now))
    status.update(_resolved(facts, old))
    return status


def _answers(facts: Facts, rollout: Rollout, server: Account) -> dict[str, Answer | None]:
    """Answers by condition type; ``None`` where this pass cannot tell."""
    config = _config(facts)
    secrets = _secrets(facts)
    volume = claim.judge(facts.volume, facts.pods) if facts.volume else None
    if facts.volume and rollout.state is State.PROGRESSING:
        volume = claim.worth_telling(volume, facts.volume, facts.cr, facts.now)
    updated = _updated(facts)
    available = Answer(
        "True" if rollout.minimum_available else "False",
        Reason.MINIMUM_REPLICAS_AVAILABLE
        if rollout.minimum_available
        else Reason.MINIMUM_REPLICAS_UNAVAILABLE,
        rollout.message,
    )
    answers: dict[str, Answer | None] = {
        ConditionType.CONFIG_GENERATED: config,
        ConditionType.SECRETS_RESOLVED: secrets,
        ConditionType.DEPLOYMENT_UPDATED: updated,
        ConditionType.AVAILABLE: available,
        ConditionType.DEPLOYMENT_READY: _deployment_ready(rollout),
        ConditionType.HEALTH_CHECK: _health(facts, rollout, server),
        ConditionType.SERVICE_READY: _service(facts),
        ConditionType.STORAGE_READY: _storage(volume),
        ConditionType.READY: _ready(facts, rollout, (config, secrets, updated), volume),
    }
    return {kind: answer for kind, answer in answers.items() if kind not in _not_asked_for(facts)}


def _not_asked_for(facts: Facts) -> frozenset[str]:
    """Conditions that are there only with a field of the spec."""
    volume = facts.volume
    # A spec that cannot be read takes nothing away, and asks for nothing.
    stored = bool(condition(facts.cr, ConditionType.STORAGE_READY))
    asked = stored if volume is None else volume.asked is not None
    return frozenset() if asked else frozenset({ConditionType.STORAGE_READY})


def _config(facts: Facts) -> Answer | None:
    if facts.config_wait is not None:
        return _awaited(facts.config_wait)
    if facts.config_problem is not None:
        return Answer("False", facts.config_problem.reason, facts.config_problem.message)
    generated = facts.generated
    if generated is None:
        return None
    if generated.source == "override":
        text = facts.override_text
        return Answer("True", Reason.OVERRIDE_CONFIG, text) if text else None
    if generated.config_yaml is None:
        return Answer(
            "True", Reason.DISTRIBUTION_DEFAULT, "The image runs with its own configuration"
        )
    providers = _counted(generated.provider_count, "provider")
    counts = f"{providers} and {_counted(generated.resource_count, 'resource')}"
    text = f"Generated config.yaml with {counts}"
    if facts.config_note:
        text += f". {facts.config_note}"
    return Answer("True", Reason.CONFIG_GENERATED, text)


def _awaited(wait: Wait) -> Answer | None:
    """Nothing new while the configuration in force is for this very spec."""
    return None if wait.settled else Answer("Unknown", Reason.IMAGE_CONFIG_PENDING, wait.message)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _secrets(facts: Facts) -> Answer | None:
    resolution = facts.resolution
    if resolution is None:
        return None
    if resolution.ok:
        text = "Every referenced Secret and ConfigMap is there, with its keys"
        if resolution.trust.note:
            text += f". {resolution.trust.note}"
        return Answer("True", resolution.reason, text)
    return Answer("False", resolution.reason, "; ".join(e.message for e in resolution.errors))


def _updated(facts: Facts) -> Answer | None:
    if facts.deleting:
        return None
    if facts.config_wait is not None:
        return _awaited(facts.config_wait)
    if facts.update_problem is not None:
        return Answer("False", facts.update_problem.reason, facts.update_problem.message)
    kept = "what runs was left as it is" if facts.deployment else "nothing was created"
    if facts.config_problem is not None:
        return Answer("False", Reason.DEPLOYMENT_NOT_UPDATED, f"No configuration: {kept}")
    if facts.resolution is not None and not facts.resolution.ok:
        return Answer(
            "False",
            Reason.DEPLOYMENT_NOT_UPDATED,
            f"What the spec refers to cannot be used: {kept}",
        )
    if facts.deployment is None:
        return None
    return Answer("True", Reason.DEPLOYMENT_UPDATED, "The Deployment has the current configuration")


def _deployment_ready(rollout: Rollout) -> Answer:
    done = rollout.state is State.COMPLETE
    return Answer("True" if done else "False", rollout.reason, rollout.message)


def _health(facts: Facts, rollout: Rollout, server: Account) -> Answer:
    """What the probes of the pods say, and what the server said when it was asked.

    The answer goes by the probes alone. ``/v1/health`` is a constant: 200 with every backend dead.
    """
    if rollout.available and not facts.deleting:
        text = sentence(server) or _kept(facts)
        return Answer("True", Reason.HEALTH_CHECK_PASSED, text)
    if rollout.state is State.STUCK:
        return Answer("False", Reason.HEALTH_CHECK_FAILED, f"No server answers: {rollout.message}")
    return Answer("Unknown", Reason.HEALTH_CHECK_PENDING, "No server answers its probe yet")


def _kept(facts: Facts) -> str:
    """What was said before of this very server."""
    if is_true(facts.cr, ConditionType.HEALTH_CHECK):
        return message_of(facts.cr, ConditionType.HEALTH_CHECK)
    return PASSED


def _service(facts: Facts) -> Answer | None:
    if not facts.service_url:
        return None  # what stands in the way of another child says nothing about the Service
    text = f"The Service exists: {facts.service_url}"
    if facts.network_note:
        text += f". {facts.network_note}"
    return Answer("True", Reason.SERVICE_READY, text)


def _storage(volume: claim.Verdict | None) -> Answer | None:
    if volume is None:
        return None
    bound = volume.state is claim.State.READY
    return Answer("True" if bound else "False", volume.reason, volume.message)


_OF_THE_VOLUME = frozenset({Reason.PROGRESSING, Reason.VOLUME_PENDING})
"""What a rollout says that waits for the volume, as it looks from the Deployment."""


def _ready(
    facts: Facts,
    rollout: Rollout,
    steps: tuple[Answer | None, ...],
    volume: claim.Verdict | None,
) -> Answer:
    if facts.deleting:
        return Answer("False", Reason.DELETING, "The resource is being deleted")
    problem = facts.update_problem
    if problem is not None:
        return Answer("False", problem.reason, problem.message)
    for step in steps:
        if step is not None and step.status != "True":
            return Answer(step.status, step.reason, step.message)
    if volume is not None and volume.state is claim.State.BROKEN:
        return Answer("False", volume.reason, volume.message)
    if rollout.state is not State.COMPLETE:
        waits = volume is not None and volume.state is claim.State.WAITING
        cause = volume if volume and waits and rollout.reason in _OF_THE_VOLUME else rollout
        return Answer("False", cause.reason, cause.message)
    if volume is not None and volume.state is claim.State.GROWING:
        return Answer("False", volume.reason, volume.message)
    return Answer("True", Reason.ALL_READY, rollout.message)


def _phase(facts: Facts, rollout: Rollout, answers: Mapping[str, Answer | None]) -> str:
    ready = answers[ConditionType.READY]
    if facts.deleting:
        return Phase.TERMINATING
    if ready is not None and ready.status == "True":
        return Phase.READY
    problem = facts.update_problem
    # What the next try may mend is no failure: the phase goes by the pods then.
    passing = problem is not None and not problem.permanent
    refused = not passing and any(a and a.status == "False" for a in _steps(answers))
    storage = answers.get(ConditionType.STORAGE_READY)
    broken = storage is not None and storage.reason in _BROKEN
    if refused or broken or rollout.state is State.STUCK:
        return Phase.FAILED
    return Phase.PENDING if rollout.state is State.ABSENT else Phase.INITIALIZING


_BROKEN = frozenset({Reason.STORAGE_FAILED, Reason.STORAGE_CHANGE_REFUSED})


def _steps(answers: Mapping[str, Answer | None]) -> tuple[Answer | None, ...]:
    return (
        answers[ConditionType.CONFIG_GENERATED],
        answers[ConditionType.SECRETS_RESOLVED],
        answers[ConditionType.DEPLOYMENT_UPDATED],
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
