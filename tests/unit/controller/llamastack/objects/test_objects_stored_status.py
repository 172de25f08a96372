# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Statuses that were stored under another definition."""

from __future__ import annotations

from typing import Any

import pytest

from controller.llamastack.objects.stored_status import with_readable_status

CONDITION = {"type": "Ready", "status": "True", "reason": "AllReady", "message": ""}


@pytest.mark.parametrize(
    "status",
    [
        "x",
        [],
        {"conditions": "x"},
        {"conditions": [1]},
        {"conditions": [{"type": "Ready", "status": True}]},
        {"version": "7"},
        {"distributionConfig": {"providers": [[]]}},
        {"availableReplicas": "1"},
    ],
)
def test_status_of_another_shape_is_none(status: Any) -> None:
    cr = {"metadata": {"name": "demo"}, "spec": {}, "status": status}

    assert with_readable_status(cr) == {"metadata": {"name": "demo"}, "spec": {}}
    assert cr["status"] == status


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"conditions": None},
        {"phase": "Hibernating", "resolvedDistribution": {"configSource": "stone"}},
        {"later": [1]},
    ],
)
def test_status_of_another_release_is_kept(status: Any) -> None:
    cr = {"metadata": {"name": "demo"}, "status": status}

    assert with_readable_status(cr) is cr


def test_resource_without_a_status_is_as_it_was() -> None:
    cr: dict[str, Any] = {"metadata": {"name": "demo"}}

    assert with_readable_status(cr) is cr
