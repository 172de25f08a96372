# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Conditions and owner references."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from api.conditions import (
    MAX_MESSAGE,
    ConditionStatus,
    condition,
    is_current,
    is_true,
    is_true_now,
    message_of,
    set_condition,
    without_conditions,
)
from api.meta import Condition, is_controlled_by, owner_reference

_EARLY, _LATE = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def _set(
    conditions: list[dict[str, Any]],
    type: str,
    status: ConditionStatus,
    *,
    now: str = _LATE,
    message: str = "m",
    generation: int = 1,
) -> list[dict[str, Any]]:
    return set_condition(
        conditions,
        type=type,
        status=status,
        reason="Because",
        message=message,
        observed_generation=generation,
        now=now,
    )


def test_new_condition_has_everything() -> None:
    assert _set([], "Ready", "True") == [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Because",
            "message": "m",
            "lastTransitionTime": _LATE,
            "observedGeneration": 1,
        }
    ]


def test_time_stays_while_the_status_stays_and_the_rest_is_new() -> None:
    before = _set([], "Ready", "False", now=_EARLY)

    (after,) = _set(before, "Ready", "False", message="other", generation=2)

    assert after["lastTransitionTime"] == _EARLY
    assert (after["message"], after["observedGeneration"]) == ("other", 2)


@pytest.mark.parametrize("status", ["True", "Unknown"])
def test_time_moves_with_the_status(status: ConditionStatus) -> None:
    before = _set([], "Ready", "False", now=_EARLY)

    (after,) = _set(before, "Ready", status)

    assert after["lastTransitionTime"] == _LATE


def test_condition_without_a_time_gets_one() -> None:
    (after,) = _set([{"type": "Ready", "status": "True"}], "Ready", "True")

    assert after["lastTransitionTime"] == _LATE


def test_conditions_are_sorted_so_that_equal_sets_are_equal_lists() -> None:
    one = _set(_set([], "A", "True"), "B", "True")
    two = _set(_set([], "B", "True"), "A", "True")

    assert one == two
    assert [item["type"] for item in one] == ["A", "B"]


def test_input_is_not_changed() -> None:
    before = _set([], "Ready", "False")
    kept = copy.deepcopy(before)

    _set(before, "Ready", "True")[0]["message"] = "changed"
    without_conditions(before, {"Other"})[0]["message"] = "changed"

    assert before == kept


def test_message_is_cut_to_what_the_api_server_takes() -> None:
    (after,) = _set([], "Ready", "False", message="é" * (MAX_MESSAGE + 1))

    assert len(after["message"]) == MAX_MESSAGE
    assert after["message"].endswith("(cut)")
    assert Condition.model_validate(after).status == "False"


def test_message_of_just_the_right_length_is_kept() -> None:
    (after,) = _set([], "Ready", "False", message="x" * MAX_MESSAGE)

    assert after["message"] == "x" * MAX_MESSAGE


def test_condition_is_found_and_dropped_by_type() -> None:
    conditions = _set(_set([], "A", "True"), "B", "False", message="why")
    obj = {"status": {"conditions": conditions}}

    assert condition(obj, "B")["status"] == "False"
    assert message_of(obj, "B") == "why"
    assert condition(obj, "C") == {}
    assert message_of(obj, "C") == ""
    assert [item["type"] for item in without_conditions(conditions, {"B"})] == ["A"]
    assert without_conditions(conditions, {"C"}) == conditions


@pytest.mark.parametrize(
    ("status", "said_of", "expected"),
    [
        ("True", 2, (True, True, True)),
        ("True", 1, (True, False, False)),
        ("False", 2, (False, True, False)),
        ("Unknown", 2, (False, True, False)),
    ],
)
def test_what_is_said_of_an_older_spec_is_told_apart(
    status: ConditionStatus, said_of: int, expected: tuple[bool, bool, bool]
) -> None:
    conditions = _set([], "Ready", status, generation=said_of)
    obj = {"metadata": {"generation": 2}, "status": {"conditions": conditions}}

    assert (is_true(obj, "Ready"), is_current(obj, "Ready"), is_true_now(obj, "Ready")) == expected


@pytest.mark.parametrize("status", [{}, {"status": None}, {"status": {"conditions": None}}])
def test_object_without_conditions_says_nothing(status: dict[str, Any]) -> None:
    obj = {"metadata": {}, **status}

    assert not is_true_now(obj, "Ready")
    assert not is_current(obj, "Ready")


def test_owner_is_told_by_uid_not_by_name() -> None:
    reference = owner_reference(api_version="g/v1", kind="K", name="n", uid="1")
    child = {"metadata": {"ownerReferences": [reference]}}

    assert reference["controller"] is True
    assert reference["blockOwnerDeletion"] is True
    assert is_controlled_by(child, "1")
    assert not is_controlled_by(child, "2")


@pytest.mark.parametrize(
    "obj",
    [
        {},
        {"metadata": None},
        {"metadata": {"ownerReferences": None}},
        {"metadata": {"ownerReferences": [{"uid": "1"}]}},
        {"metadata": {"ownerReferences": [{"uid": "1", "controller": False}]}},
        {"metadata": {"ownerReferences": ["1"]}},
    ],
)
def test_object_without_that_controller_is_not_ours(obj: dict[str, Any]) -> None:
    assert not is_controlled_by(obj, "1")
