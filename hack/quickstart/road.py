# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What changed in the status of a resource, from one look to the next; pure.

A condition is told when its answer, reason or message is another one; the phase when it is another
one. Conditions that nobody has looked at yet (``Unknown``) are not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from api.conditions import conditions_of, is_true_now


class Mood(Enum):
    """What a step means to the reader."""

    GOOD = "good"
    WAITING = "waiting"
    BAD = "bad"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that became different.

    Attributes:
        what: ``Phase``, or the type of a condition, or something that happened.
        value: the phase, or the answer of the condition.
        detail: reason and message.
        mood: how to show it.
    """

    what: str
    value: str = ""
    detail: str = ""
    mood: Mood = Mood.PLAIN


_PHASES = {"Ready": Mood.GOOD, "Failed": Mood.BAD}


class Road:
    """Remembers what was told already."""

    def __init__(self) -> None:
        self._phase = ""
        self._conditions: dict[str, tuple[str, str, str]] = {}

    def look(self, resource: Mapping[str, Any]) -> list[Step]:
        """What changed: conditions in the order of the status, their summary, the phase."""
        status = resource.get("status") or {}
        phase = str(status.get("phase", ""))
        failed = phase == "Failed"
        steps = [
            step
            for condition in sorted(conditions_of(resource), key=_is_summary)
            if (step := self._of_condition(condition, failed=failed)) is not None
        ]
        if phase and phase != self._phase:
            steps.append(Step("Phase", phase, mood=_PHASES.get(phase, Mood.WAITING)))
            self._phase = phase
        return steps

    def _of_condition(self, condition: Mapping[str, Any], *, failed: bool) -> Step | None:
        kind, answer = str(condition["type"]), str(condition["status"])
        reason, message = str(condition.get("reason", "")), str(condition.get("message", ""))
        known = self._conditions.get(kind)
        if known == (answer, reason, message) or (known is None and answer == "Unknown"):
            return None
        self._conditions[kind] = (answer, reason, message)
        mood = Mood.GOOD if answer == "True" else Mood.BAD if failed else Mood.WAITING
        return Step(kind, answer, f"{reason}: {message}" if message else reason, mood)


def _is_summary(condition: Mapping[str, Any]) -> bool:
    return bool(condition["type"] == "Ready")


def is_ready(resource: Mapping[str, Any]) -> bool:
    """Whether the resource is Ready, and that is said of its current spec."""
    return is_true_now(resource, "Ready")
