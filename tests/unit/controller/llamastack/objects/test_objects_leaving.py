# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Pods that were deleted and do not go."""

from __future__ import annotations

from typing import Any

import pytest

from api.v1alpha2.reasons import Reason
from controller.llamastack.objects.leaving import LEAVING, MARGIN_S, next_look_s, overdue, told
from controller.llamastack.objects.rollout import RolloutState, assess

NOW = "2026-01-01T01:00:00Z"
LONG_AGO = "2026-01-01T00:00:00Z"
JUST_NOW = "2026-01-01T00:59:50Z"


def pod(name: str = "demo-1", due: str = LONG_AGO, **more: Any) -> dict[str, Any]:
    found = {"due": due, "node": "node-1", "finalizers": [], **more}
    return {"metadata": {"name": name}, LEAVING: found}


def recreated(**more: Any) -> dict[str, Any]:
    """A Deployment whose old pod is not gone."""
    status = {"observedGeneration": 3, "replicas": 0, "updatedReplicas": 0, **more}
    spec = {"replicas": 1, "strategy": {"type": "Recreate"}}
    return {"metadata": {"name": "demo", "generation": 3}, "spec": spec, "status": status}


def test_pod_is_overdue_some_time_after_its_grace_period() -> None:
    assert overdue([pod(due=JUST_NOW)], NOW) is None
    assert next_look_s([pod(due=JUST_NOW)], NOW) == MARGIN_S - 10
    later = "2026-01-01T01:00:20Z"
    assert overdue([pod(due=JUST_NOW)], later) == pod(due=JUST_NOW)
    assert next_look_s([pod(due=JUST_NOW)], later) is None


def test_first_that_had_to_go_is_named() -> None:
    first, second = pod("b", LONG_AGO), pod("a", "2026-01-01T00:30:00Z")

    assert overdue([second, first], NOW) == first
    assert overdue([], NOW) is None


def test_what_holds_it_decides_what_to_do() -> None:
    assert "finalizers (a.io/x, b.io/y), which whoever set them has to remove" in told(
        pod(finalizers=["a.io/x", "b.io/y"])
    )
    assert "kubectl get node node-1" in told(pod())
    assert told(pod(node="")).endswith("kubectl delete pod demo-1 --force")


@pytest.mark.parametrize("late", [False, True])
def test_rollout_that_waits_for_an_old_pod_names_it(late: bool) -> None:
    """Also once the deadline for progress is over, which knows no cause."""
    over = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    live = recreated(conditions=[over] if late else [])

    rollout = assess(live, (), pod())

    assert (rollout.state, rollout.reason) == (RolloutState.STUCK, Reason.POD_NOT_TERMINATED)
    assert "pod demo-1 was to be gone at 2026-01-01T00:00:00Z" in rollout.message


def test_old_pod_is_no_cause_once_there_are_new_ones() -> None:
    assert assess(recreated(updatedReplicas=1), (), pod()).reason == Reason.PROGRESSING


def test_old_pod_is_no_cause_where_new_ones_do_not_wait() -> None:
    live = recreated()
    live["spec"]["strategy"] = {"type": "RollingUpdate"}

    assert assess(live, (), pod()).reason == Reason.PROGRESSING


def test_old_pod_is_nobodys_trouble_where_none_is_wanted() -> None:
    live = recreated()
    live["spec"]["replicas"] = 0

    assert assess(live, (), pod()).state is RolloutState.COMPLETE
