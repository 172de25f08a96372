# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The table of edits misses no field of the spec, and asks for nothing that would be refused."""

from __future__ import annotations

import re

import pytest

from api.v1alpha1 import Spec as OldSpec
from controller.llamastack.planning.plan import make_plan
from tests.support.config_specs import DISTRIBUTIONS
from tests.support.edits.row import Json, Row, values_of
from tests.support.edits.schema import fields
from tests.support.edits.table import EXEMPT, ONE_VALUE, ROWS
from tests.support.edits.table_v1alpha1 import OLD_EXEMPT, OLD_ONE_VALUE, OLD_ROWS

FIELDS = [field.path for field in fields()]
VALUES = [tuple(values_of(spec) for spec in (row.absent, row.first, row.second)) for row in ROWS]


def test_rows_have_different_names() -> None:
    names = [row.name for row in ROWS]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", [path for path in FIELDS if path not in EXEMPT])
def test_field_is_set_and_removed_by_a_row(path: str) -> None:
    assert any(path in first and path not in absent for absent, first, _ in VALUES), (
        f"{path} has no row in tests/support/edits/table.py"
    )


@pytest.mark.parametrize("path", [p for p in FIELDS if p not in EXEMPT and p not in ONE_VALUE])
def test_field_is_changed_by_a_row(path: str) -> None:
    both = [
        (first[path], second[path])
        for _, first, second in VALUES
        if path in first and path in second
    ]

    assert any(one != two for one, two in both), f"no row in tests/support/edits changes {path}"


def test_exceptions_are_fields() -> None:
    assert set(EXEMPT) | set(ONE_VALUE) <= set(FIELDS)


def test_paths_of_the_models_are_those_of_the_documentation() -> None:
    """A walker that walks past a part of the spec would prove nothing about it."""
    assert "spec.workload.overrides.env[].valueFrom.secretKeyRef.key" in FIELDS
    assert "spec.providers.*[].secretRefs{}.secretKeyRef.name" in FIELDS
    assert all(re.fullmatch(r"spec(\.(\*|[A-Za-z]+)|\[\]|\{\})+", path) for path in FIELDS)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row_is_valid_as_far_as_the_operator_goes(row: Row) -> None:
    refused = [errors for spec in (row.absent, *row.steps) if (errors := _errors(spec))]

    assert not refused


def _errors(spec: Json) -> list[str]:
    resource = {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo", "namespace": "default", "uid": "u", "generation": 1},
        "spec": spec,
    }
    return [str(error) for error in make_plan(resource, DISTRIBUTIONS).errors]


# --- v1alpha1 ------------------------------------------------------------------------------------

OLD_FIELDS = [field.path for field in fields(OldSpec)]
OLD_VALUES = [
    tuple(values_of(spec) for spec in (row.absent, row.first, row.second)) for row in OLD_ROWS
]


@pytest.mark.parametrize("path", [path for path in OLD_FIELDS if path not in OLD_EXEMPT])
def test_field_of_v1alpha1_is_set_and_removed_by_a_row(path: str) -> None:
    assert any(path in first and path not in absent for absent, first, _ in OLD_VALUES), (
        f"{path} has no row in tests/support/edits/table_v1alpha1.py"
    )


@pytest.mark.parametrize(
    "path", [p for p in OLD_FIELDS if p not in OLD_EXEMPT and p not in OLD_ONE_VALUE]
)
def test_field_of_v1alpha1_is_changed_by_a_row(path: str) -> None:
    both = [
        (first[path], second[path])
        for _, first, second in OLD_VALUES
        if path in first and path in second
    ]

    assert any(one != two for one, two in both), f"no row in tests/support/edits changes {path}"


def test_rows_of_v1alpha1_have_different_names() -> None:
    names = [row.name for row in OLD_ROWS]

    assert len(names) == len(set(names))
