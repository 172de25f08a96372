# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a Deployment says, in our words."""

from __future__ import annotations

from typing import Any

import pytest

from api.v1alpha2.reasons import Reason
from controller.llamastack.objects.kinds import AUTOSCALED
from controller.llamastack.objects.rollout import RolloutState, assess


def deployment(wanted: int = 2, *, conditions: Any = (), **status: Any) -> dict[str, Any]:
    full = {
        "observedGeneration": 3,
        "replicas": wanted,
        "updatedReplicas": wanted,
        "availableReplicas": wanted,
        "conditions": list(conditions),
        **status,
    }
    return {"metadata": {"generation": 3}, "spec": {"replicas": wanted}, "status": full}


def condition(kind: str, status: str, **more: str) -> dict[str, str]:
    return {"type": kind, "status": status, **more}


def test_absent_deployment() -> None:
    assert assess(None).state is RolloutState.ABSENT


def test_complete_rollout() -> None:
    rollout = assess(deployment(conditions=[condition("Available", "True")]))

    assert rollout.state is RolloutState.COMPLETE
    assert rollout.minimum_available
    assert rollout.available == 2
    assert rollout.message == "2 of 2 replicas are available"


def test_zero_replicas_are_complete() -> None:
    assert assess(deployment(0)).state is RolloutState.COMPLETE


def test_replicas_of_an_autoscaler_are_the_measure() -> None:
    """The spec of the resource is not asked: the Deployment may be scaled by others."""
    assert assess(deployment(7)).message == "7 of 7 replicas are available"


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": 2},
        {"updatedReplicas": 1},
        {"replicas": 3},
        {"availableReplicas": 1},
        {"availableReplicas": None},
    ],
)
def test_rollout_under_way_is_not_ready(status: dict[str, Any]) -> None:
    rollout = assess(deployment(**status))

    assert rollout.state is RolloutState.PROGRESSING
    assert rollout.reason == Reason.PROGRESSING


def test_deployment_nobody_looked_at_yet_is_progressing() -> None:
    fresh = {"metadata": {"generation": 1}, "spec": {"replicas": 1}}

    assert assess(fresh).state is RolloutState.PROGRESSING


def test_quota_is_named() -> None:
    failing = condition("ReplicaFailure", "True", message="exceeded quota: pods=0")

    rollout = assess(deployment(availableReplicas=0, conditions=[failing]))

    assert rollout.state is RolloutState.STUCK
    assert "exceeded quota: pods=0" in rollout.message


def test_exceeded_deadline_is_stuck_and_says_where_to_look() -> None:
    late = condition("Progressing", "False", reason="ProgressDeadlineExceeded")

    rollout = assess(deployment(availableReplicas=0, conditions=[late]))

    assert rollout.state is RolloutState.STUCK
    assert rollout.reason == Reason.PROGRESS_DEADLINE_EXCEEDED
    assert "events and logs" in rollout.message


def test_autoscaler_that_was_switched_off_by_hand_needs_a_person() -> None:
    off = deployment(0, conditions=[condition("Available", "True")])
    off["metadata"] |= {"name": "demo", "annotations": {AUTOSCALED: "true"}}

    rollout = assess(off)

    assert (rollout.state, rollout.reason) == (RolloutState.STUCK, Reason.AUTOSCALING_OFF)
    assert not rollout.minimum_available
    assert "kubectl scale deployment/demo --replicas=1" in rollout.message
