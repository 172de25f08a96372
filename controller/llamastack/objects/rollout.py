# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a Deployment and its pods say about a rollout, in our words. Pure.

A Deployment knows how far it is, never why it is no further: that is with the pods.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from api.conditions import condition, is_true, message_of
from api.v1alpha2.reasons import Reason
from controller.llamastack.objects import leaving, pause
from controller.llamastack.objects.kinds import AUTOSCALED
from controller.llamastack.objects.pods import worst

if TYPE_CHECKING:
    from collections.abc import Iterable

    from informers.ports import Object


class RolloutState(Enum):
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

    state: RolloutState
    reason: str
    message: str
    available: int = 0
    minimum_available: bool = False


_MAY_PASS = frozenset({Reason.UNSCHEDULABLE, Reason.VOLUME_PENDING})
"""Troubles that an autoscaler of nodes or a provisioner of volumes ends by itself."""


_NOT_THE_PODS = frozenset({Reason.QUOTA_EXCEEDED, Reason.DEPLOYMENT_FAILED, Reason.AUTOSCALING_OFF})
"""What no pod has to do with."""


def assess(
    deployment: Object | None, pods: Iterable[Object] = (), overdue: Object | None = None
) -> Rollout:
    """Judge a live Deployment.

    Progress is measured against the Deployment's own replica count, which an autoscaler may have
    set, and never against the custom resource.

    Args:
        deployment: as the API server has it.
        pods: those of its pods that are in trouble.
        overdue: one of its pods that was deleted and should have gone.
    """
    if deployment is None:
        return Rollout(
            RolloutState.ABSENT, Reason.DEPLOYMENT_PENDING, "The Deployment does not exist yet"
        )
    status = deployment.get("status") or {}
    wanted = deployment["spec"].get("replicas", 1)
    available = int(status.get("availableReplicas") or 0)
    minimum = is_true(deployment, "Available")
    state, reason, message = _progress(deployment, status, wanted, available)
    if reason == Reason.AUTOSCALING_OFF:
        minimum = False  # none of none is enough to a Deployment, and not what was asked for
    rollout = Rollout(state, reason, message, available, minimum)
    if state is RolloutState.COMPLETE:
        return rollout
    if overdue is not None and _waits_for_old_pods(deployment, status, reason):
        text = f"{message}; {leaving.told(overdue)}"
        return replace(
            rollout, state=RolloutState.STUCK, reason=Reason.POD_NOT_TERMINATED, message=text
        )
    return _explained(rollout, pods)


def _waits_for_old_pods(deployment: Object, status: dict[str, Any], reason: str) -> bool:
    """Whether new pods are made once the last old one is gone, and not before."""
    recreates = (deployment["spec"].get("strategy") or {}).get("type") == "Recreate"
    waits = reason in {Reason.PROGRESSING, Reason.PROGRESS_DEADLINE_EXCEEDED}
    return recreates and waits and not status.get("updatedReplicas")


def _explained(rollout: Rollout, pods: Iterable[Object]) -> Rollout:
    trouble = worst(pods)
    if trouble is None or rollout.reason in _NOT_THE_PODS:
        return rollout
    message = f"{rollout.message}; {trouble['message']}"
    if rollout.reason in {Reason.PROGRESS_DEADLINE_EXCEEDED, Reason.ROLLOUT_PAUSED}:
        return replace(rollout, message=message)
    state = RolloutState.PROGRESSING if trouble["reason"] in _MAY_PASS else RolloutState.STUCK
    return replace(rollout, state=state, reason=trouble["reason"], message=message)


def _progress(
    deployment: Object, status: dict[str, Any], wanted: int, available: int
) -> tuple[RolloutState, str, str]:
    serving = f"{available} of {wanted} replicas are available"
    if (status.get("observedGeneration") or 0) < deployment["metadata"].get("generation", 0):
        return RolloutState.PROGRESSING, Reason.PROGRESSING, serving
    if is_true(deployment, "ReplicaFailure"):
        text = message_of(deployment, "ReplicaFailure") or "no message"
        reason = Reason.QUOTA_EXCEEDED if "exceeded quota" in text else Reason.DEPLOYMENT_FAILED
        return RolloutState.STUCK, reason, f"{serving}; pods cannot be created: {text}"
    updated = int(status.get("updatedReplicas") or 0)
    total = int(status.get("replicas") or 0)
    # Scaling is not held up by a pause, and has no pods of an older template.
    if pause.is_paused(deployment) and (total > updated or (wanted and not updated)):
        text = f"{serving}; {pause.told(deployment)}"
        return RolloutState.STUCK, Reason.ROLLOUT_PAUSED, text
    if condition(deployment, "Progressing").get("reason") == "ProgressDeadlineExceeded":
        hint = "see the events and logs of its pods"
        return (
            RolloutState.STUCK,
            Reason.PROGRESS_DEADLINE_EXCEEDED,
            f"{serving}; the rollout is stuck: {hint}",
        )
    if updated < wanted or total > updated or available < wanted:
        return RolloutState.PROGRESSING, Reason.PROGRESSING, serving
    if wanted == 0 and AUTOSCALED in (deployment["metadata"].get("annotations") or {}):
        name = deployment["metadata"].get("name", "NAME")
        return (
            RolloutState.STUCK,
            Reason.AUTOSCALING_OFF,
            "Scaled to zero, which switches the autoscaler off: no server runs, and none will "
            f"start by itself: kubectl scale deployment/{name} --replicas=1, from where the "
            "autoscaler goes on",
        )
    if wanted == 0:
        return RolloutState.COMPLETE, Reason.SCALED_TO_ZERO, "Scaled to zero: no server runs"
    return RolloutState.COMPLETE, Reason.DEPLOYMENT_READY, serving
