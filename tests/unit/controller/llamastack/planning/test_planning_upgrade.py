# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A spec that an upgraded operator cannot serve any more is not called the user's mistake."""

from __future__ import annotations

from typing import Any

import pytest

from api.v1alpha2.reasons import Reason
from controller.llamastack.objects.problem import Problem
from controller.llamastack.planning.image_configs import Question
from controller.llamastack.planning.plan import Plan
from controller.llamastack.planning.upgrade import NOTE, blame

FAILED = Plan(problem=Problem(Reason.CONFIG_GENERATION_FAILED, "spec.x: is wrong"))


def resource(
    status: str = "True", reason: str = "ConfigGenerated", seen: int = 3, kind: str = ""
) -> dict[str, Any]:
    condition = {
        "type": kind or "ConfigGenerated",
        "status": status,
        "reason": reason,
        "observedGeneration": seen,
    }
    return {"metadata": {"generation": 3}, "status": {"conditions": [condition]}}


def reason_of(plan: Plan) -> str:
    assert plan.problem is not None
    return plan.problem.reason


def test_spec_that_was_fine_is_broken_by_the_upgrade() -> None:
    blamed = blame(FAILED, resource())

    assert blamed.problem is not None
    assert blamed.problem.reason == Reason.UPGRADE_CONFIG_FAILURE
    assert blamed.problem.message == f"spec.x: is wrong. {NOTE}"


def test_the_word_stays_in_the_passes_that_follow() -> None:
    again = blame(FAILED, resource("False", "UpgradeConfigFailure"))

    assert again == blame(FAILED, resource())


@pytest.mark.parametrize(
    "cr",
    [
        resource(seen=2),
        resource("False", "ConfigGenerationFailed"),
        resource("Unknown", "NotEvaluated"),
        resource(kind="Ready"),
        {"metadata": {"generation": 3}},
    ],
    ids=["edited since", "never fine", "never looked at", "another condition", "new"],
)
def test_other_failures_keep_their_reason(cr: dict[str, Any]) -> None:
    assert blame(FAILED, cr) is FAILED


def test_what_depends_on_the_image_has_reasons_of_its_own() -> None:
    asked = Plan(problem=FAILED.problem, question=Question("i", "n", "sa", ()))

    assert reason_of(blame(asked, resource())) == Reason.CONFIG_GENERATION_FAILED


def test_plan_without_a_problem_is_left_alone() -> None:
    plan = Plan()

    assert blame(plan, resource()) is plan
