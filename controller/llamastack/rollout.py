# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a Deployment says about its rollout, in our words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from api.v1alpha2.reasons import Reason

if TYPE_CHECKING:
    from informers.ports import Object


class State(Enum):
    """How far a rollout is."""

    ABSENT = "Absent"
    PROGRESSING = "Progressing"
    STUCK = "Stuck"
    COMPLETE = "Complete"


@dataclass(frozen=True, slots=True)
class Rollout:
    """A Deployment's progress.

    Attributes:
        state: how far it is.
        reason: UpperCamelCase, for a condition.
        message: for people, with what to do where it is stuck.
        available: replicas that serve.
        minimum_available: whether enough replicas serve by the Deployment's own rule.
    """

    state: State
    reason: str
    message: str
    available: int = 0
    minimum_available: bool = False


def assess(deployment: Object | None) -> Rollout:
    """Judge a live Deployment.

    Progress is measured against the Deployment's own replica count, which an autoscaler may have
    set, and never against the custom resource.
    """
    if deployment is None:
        return Rollout(State.ABSENT, Reason.DEPLOYMENT_PENDING, "The Deployment does not exist yet")
    status = deployment.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    wanted = deployment["spec"].get("replicas", 1)
    available = int(status.get("availableReplicas") or 0)
    minimum = conditions.get("Available", {}).get("status") == "True"
    state, reason, message = _progress(deployment, status, conditions, wanted, available)
    return Rollout(state, reason, message, available, minimum)


def _progress(
    deployment: Object,
    status: dict[str, Any],
    conditions: dict[str, Any],
    wanted: int,
    available: int,
) -> tuple[State, str, str]:
    serving = f"{available} of {wanted} replicas are available"
    if (status.get("observedGeneration") or 0) < deployment["metadata"].get("generation", 0):
        return State.PROGRESSING, Reason.PROGRESSING, serving
    failure = conditions.get("ReplicaFailure", {})
    if failure.get("status") == "True":
        text = failure.get("message", "no message")
        return State.STUCK, Reason.DEPLOYMENT_FAILED, f"{serving}; pods cannot be created: {text}"
    progressing = conditions.get("Progressing", {})
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        hint = "see the events and logs of its pods"
        return (
            State.STUCK,
            Reason.PROGRESS_DEADLINE_EXCEEDED,
            f"{serving}; the rollout is stuck: {hint}",
        )
    updated = int(status.get("updatedReplicas") or 0)
    total = int(status.get("replicas") or 0)
    if updated < wanted or total > updated or available < wanted:
        return State.PROGRESSING, Reason.PROGRESSING, serving
    return State.COMPLETE, Reason.DEPLOYMENT_READY, serving
