# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whose fault is it that there is no configuration: the user's, or that of an upgrade? Pure.

What a spec leads to depends on the spec and on what the operator brings: its rules, distributions,
base configs, catalogue. If a spec that led to a configuration does not any more, and nobody edited
it, then the operator was upgraded, and the user is owed another word than "your spec is wrong"
(FR-020c, FR-100). What runs stays as it is, image included (FR-097).

The status is the memory: ``ConfigGenerated`` speaks of a generation, and says of this very one
that it was fine, or that an upgrade broke it. So the word stays until the spec is edited, and goes
when another version of the operator can do it again. What depends on more than spec and operator
is not judged here: labels of images have reasons of their own, and a user's own configuration is
looked at elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from api.conditions import condition, is_current
from api.v1alpha2.reasons import ConditionType, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from controller.llamastack.planning.plan import Plan

NOTE = (
    "The same spec led to a configuration before the operator was upgraded; what runs is left as "
    "it is until the spec is mended, or the operator is set back"
)


def blame(plan: Plan, cr: Mapping[str, Any]) -> Plan:
    """The plan with the reason ``UpgradeConfigFailure`` if that is what happened.

    Args:
        plan: for the resource's spec, before anything but spec and operator had a part in it.
        cr: the resource with the status that the last reconcile wrote.
    """
    if plan.problem is None or plan.question is not None or not _was_fine(cr):
        return plan
    message = f"{plan.problem.message}. {NOTE}"
    problem = replace(plan.problem, reason=Reason.UPGRADE_CONFIG_FAILURE, message=message)
    return replace(plan, problem=problem)


def _was_fine(cr: Mapping[str, Any]) -> bool:
    """Whether this very generation led to a configuration once."""
    found = condition(cr, ConditionType.CONFIG_GENERATED)
    fine = found.get("status") == "True" or found.get("reason") == Reason.UPGRADE_CONFIG_FAILURE
    return fine and is_current(cr, ConditionType.CONFIG_GENERATED)
