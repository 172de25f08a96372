# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Rollouts that somebody paused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from api.v1alpha2.reasons import Reason
from controller.llamastack.objects.pause import keep_pause, paused_by
from controller.llamastack.objects.rollout import RolloutState, assess


def owner(manager: str, time: str, *fields: str) -> dict[str, Any]:
    owned: dict[str, Any] = {"f:spec": {f"f:{field}": {} for field in fields}}
    return {"manager": manager, "time": time, "fieldsV1": owned}


def paused(*, by: tuple[dict[str, Any], ...] = (), **status: int) -> dict[str, Any]:
    full = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 0, "availableReplicas": 2}
    return {
        "metadata": {"name": "demo", "generation": 3, "managedFields": list(by)},
        "spec": {"replicas": 2, "paused": True},
        "status": {**full, **status},
    }


KUBECTL = owner("kubectl-rollout", "2026-01-01T00:00:00Z", "paused")
OURS = owner("llamastack-operator", "2026-01-02T00:00:00Z", "template")


def test_edit_that_does_not_reach_the_pods_is_told_with_who_paused() -> None:
    rollout = assess(paused(by=(KUBECTL, OURS)))

    assert (rollout.state, rollout.reason) == (RolloutState.STUCK, Reason.ROLLOUT_PAUSED)
    assert rollout.message == (
        "2 of 2 replicas are available; its rollouts are paused (spec.paused, set by "
        "kubectl-rollout), so pods keep their old template: kubectl rollout resume deployment/demo"
    )


def test_pause_is_told_beside_the_trouble_of_the_pods_that_an_edit_shall_end() -> None:
    trouble = {"reason": "CrashLoop", "message": "container ends"}
    old = {"metadata": {"name": "demo-1"}, "trouble": trouble}

    rollout = assess(paused(availableReplicas=0), [old])

    assert rollout.reason == Reason.ROLLOUT_PAUSED
    assert rollout.message.endswith("container ends")


def test_pause_without_an_edit_stands_in_nobodys_way() -> None:
    assert assess(paused(updatedReplicas=2)).state is RolloutState.COMPLETE


def test_pause_does_not_hold_up_scaling() -> None:
    scaled = paused(replicas=1, updatedReplicas=1, availableReplicas=1)

    assert assess(scaled).reason == Reason.PROGRESSING


def test_pause_between_old_pods_and_new_ones_is_told() -> None:
    """With Recreate, nothing may run at that moment."""
    assert assess(paused(replicas=0, availableReplicas=0)).reason == Reason.ROLLOUT_PAUSED


@pytest.mark.parametrize("by", [(), (KUBECTL, OURS)])
def test_cache_keeps_who_paused_and_nothing_else_of_managed_fields(
    by: tuple[dict[str, Any], ...],
) -> None:
    live = paused(by=by)

    kept = keep_pause(copy.deepcopy(live))

    assert paused_by(kept) == paused_by(live) == ("kubectl-rollout" if by else "")
    assert "managedFields" not in kept["metadata"]
    assert keep_pause(dict(kept)) == kept
    assert assess(kept) == assess(live)


def test_last_of_several_managers_is_the_one() -> None:
    other = owner("gitops", "2026-01-03T00:00:00Z", "paused")

    assert paused_by(paused(by=(other, KUBECTL))) == "gitops"


def test_deployment_that_is_not_paused_keeps_nothing() -> None:
    live = paused(by=(KUBECTL,))
    del live["spec"]["paused"]

    assert paused_by(live) == ""
    assert set(keep_pause(live)) == {"metadata", "spec", "status"}
