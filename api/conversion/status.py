# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The status in the other version (R-D9).

v1alpha1 has everything that v1alpha2 has, and three things that are derived from it: the name of
the generated ConfigMap, and two conditions in the words of that version. They are stored nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from api.conversion.places import ABSENT, get
from api.model import Json
from api.v1alpha2.reasons import ConditionType, Reason

VALIDATION_SUCCEEDED: Final = "ValidationSucceeded"
CONFIG_READY: Final = "ConfigReady"
DERIVED: Final = (VALIDATION_SUCCEEDED, CONFIG_READY)
"""Conditions that only v1alpha1 shows."""

GENERATED_CONFIG_MAP: Final = "generatedConfigMap"


def up(status: Any) -> Any:
    """A status of v1alpha1 in v1alpha2: without what is derived."""
    if not isinstance(status, Mapping):
        return status
    result = {key: value for key, value in status.items() if key != GENERATED_CONFIG_MAP}
    if isinstance(conditions := status.get("conditions"), list | tuple):
        result["conditions"] = [c for c in conditions if _type_of(c) not in DERIVED]
    return result


def down(status: Any) -> Any:
    """A status of v1alpha2 in v1alpha1: with what is derived."""
    if not isinstance(status, Mapping):
        return status
    result = dict(status)
    result.pop(GENERATED_CONFIG_MAP, None)
    name = get(status, ("configGeneration", "configMapName"))
    if name is not ABSENT:
        result[GENERATED_CONFIG_MAP] = name
    if isinstance(conditions := status.get("conditions"), list | tuple):
        kept = [c for c in conditions if _type_of(c) not in DERIVED]
        result["conditions"] = [*kept, *_derived(kept)]
    return result


def _derived(conditions: list[Any]) -> Iterator[Json]:
    for condition in conditions:
        if _type_of(condition) == ConditionType.CONFIG_GENERATED:
            yield _validation(condition)
            yield {**condition, "type": CONFIG_READY}
            return


def _validation(generated: Mapping[str, Any]) -> Json:
    """Whether the spec is valid; there is no configuration of one that is not."""
    if generated.get("reason") == Reason.VALIDATION_FAILED:
        return {**generated, "type": VALIDATION_SUCCEEDED}
    return {
        **generated,
        "type": VALIDATION_SUCCEEDED,
        "status": "True",
        "reason": VALIDATION_SUCCEEDED,
        "message": "The spec breaks no rule",
    }


def _type_of(condition: Any) -> Any:
    return condition.get("type") if isinstance(condition, Mapping) else None
