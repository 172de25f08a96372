# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Conditions of any object: read, asked, set. Pure.

They follow the contract of ``metav1.Condition`` and of Flux ``apis/meta/conditions.go``:
``lastTransitionTime`` is when ``status`` last changed, not when it was last looked at. An operator
that writes the current time at every look keeps waking itself up, for the write is an event, too.

What is read is raw JSON of any kind, so nothing is assumed of a condition but that it is a mapping.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

ConditionStatus: TypeAlias = Literal["True", "False", "Unknown"]
"""Three values: Unknown is "not looked at yet" or "cannot be told"."""

MAX_MESSAGE: Final = 32768
"""Characters of a condition's message that the API server accepts (metav1.Condition)."""

_CUT: Final = " … (cut)"


def conditions_of(obj: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The conditions in the status of an object."""
    return (obj.get("status") or {}).get("conditions") or ()


def condition(obj: Mapping[str, Any], type: str) -> Mapping[str, Any]:
    """The condition of that type; empty if there is none."""
    return _first(conditions_of(obj), type)


def is_true(obj: Mapping[str, Any], type: str) -> bool:
    """Whether the condition says True, of whichever generation."""
    return bool(condition(obj, type).get("status") == "True")


def is_current(obj: Mapping[str, Any], type: str) -> bool:
    """Whether the condition, whatever it says, speaks of the object's present generation."""
    found, generation = condition(obj, type), obj["metadata"].get("generation")
    return bool(found) and bool(found.get("observedGeneration") == generation)


def is_true_now(obj: Mapping[str, Any], type: str) -> bool:
    """Whether the condition says True of the object's present generation."""
    return is_true(obj, type) and is_current(obj, type)


def message_of(obj: Mapping[str, Any], type: str) -> str:
    """What the condition tells people; empty without one."""
    return str(condition(obj, type).get("message", ""))


def set_condition(
    conditions: Iterable[Mapping[str, Any]],
    *,
    type: str,
    status: ConditionStatus,
    reason: str,
    message: str,
    observed_generation: int,
    now: str,
) -> list[dict[str, Any]]:
    """The conditions with one of them set; the input is not touched.

    Args:
        conditions: as read from the status, at most one of each type.
        type: which one.
        status: its new status.
        reason: its new reason, one word.
        message: its new message; cut to :data:`MAX_MESSAGE` characters.
        observed_generation: ``metadata.generation`` read at the start of the reconcile (G8).
        now: RFC 3339; used only if the status changes or the condition is new (G9).

    Returns:
        All conditions, sorted by type, so that equal sets are equal lists.
    """
    before = _first(conditions, type)
    since = now
    if before.get("status") == status:
        since = before.get("lastTransitionTime") or now
    condition = {
        "type": type,
        "status": status,
        "reason": reason,
        "message": _trimmed(message),
        "lastTransitionTime": since,
        "observedGeneration": observed_generation,
    }
    return _sorted([*without_conditions(conditions, {type}), condition])


def without_conditions(
    conditions: Iterable[Mapping[str, Any]], types: Collection[str]
) -> list[dict[str, Any]]:
    """The conditions without some, e.g. StorageReady when there is no claim any more."""
    return _sorted(dict(item) for item in conditions if item.get("type") not in types)


def _sorted(conditions: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(conditions, key=lambda item: str(item.get("type", "")))


def _trimmed(message: str) -> str:
    if len(message) <= MAX_MESSAGE:
        return message
    return message[: MAX_MESSAGE - len(_CUT)] + _CUT


def _first(conditions: Iterable[Mapping[str, Any]], type: str) -> Mapping[str, Any]:
    return next((item for item in conditions if item.get("type") == type), {})
