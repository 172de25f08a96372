# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Pairs of specs that have nothing to do with each other: an edit from one to the other.

What becomes of the config is drawn by ``spec_strategies``. What becomes of the pods and of the way
to them is put together from the rows of the table: of each group of fields that must fit together,
none, or the values of one row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.support.edits.row import Json, Row, merged
from tests.support.edits.table import ROWS
from tests.support.spec_strategies import any_valid_spec, plan_of

Pair: TypeAlias = tuple[Json, Json]

_SECTIONS: Final = ("networking", "workload")
_TOGETHER: Final = frozenset({"env", "volumes", "volumeMounts", "containerName"})
"""Overrides that name each other."""


def _groups() -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in ROWS:
        section, *fields = row.name.partition(" ")[0].replace("[]", "").split(".")
        if section not in _SECTIONS or not fields or fields == ["overrides"]:
            continue
        if fields[0] == "overrides":
            field = "together" if fields[1] in _TOGETHER else fields[1]
        else:
            field = fields[0]
        groups.setdefault(f"{section}.{field}", []).append(row)
    return groups


_GROUPS: Final = _groups()


@st.composite
def any_spec(draw: st.DrawFn) -> Json:
    """Any spec that the operator takes."""
    named = any_valid_spec("0.7").filter(lambda spec: "name" in spec.sections["distribution"])
    drawn = draw(named.filter(lambda spec: not plan_of(spec)[1].errors))
    spec = drawn.sections
    for name in draw(st.lists(st.sampled_from(sorted(_GROUPS)), unique=True, max_size=8)):
        row = draw(st.sampled_from(_GROUPS[name]))
        step = draw(st.sampled_from([row.first, row.second, row.absent]))
        spec = _with(spec, {key: step[key] for key in _SECTIONS if key in step})
    return spec


def _with(spec: Json, more: Json) -> Json:
    """Both; variables that the config of the first needs are kept."""
    env = [*_env(spec), *_env(more)]
    result = merged(spec, more)
    if env:
        by_name = {entry["name"]: entry for entry in env}
        result = merged(result, {"workload": {"overrides": {"env": list(by_name.values())}}})
    return result


def _env(spec: Json) -> Iterable[Any]:
    found: list[Any] = spec.get("workload", {}).get("overrides", {}).get("env", [])
    return found


def drawn_pairs(count: int, number: int) -> list[Pair]:
    """So many pairs, the same for the same number."""
    pairs: list[Pair] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(any_spec(), any_spec()))
    def collect(pair: Pair) -> None:
        pairs.append(pair)

    collect()
    return pairs
