# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is dropped before objects are stored (B9)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from informers.ports import Object
from informers.transforms import LAST_APPLIED, Transform, compose, drop_noise, keep_metadata


def deployment() -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "annotations": {LAST_APPLIED: "{}", "team": "a"},
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": {"replicas": 1},
    }


def test_noise_is_dropped_and_the_rest_survives() -> None:
    assert drop_noise(deployment()) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "annotations": {"team": "a"}},
        "spec": {"replicas": 1},
    }


def test_annotations_that_held_nothing_else_go_too() -> None:
    obj = {"metadata": {"name": "web", "annotations": {LAST_APPLIED: "{}"}}}

    assert drop_noise(obj) == {"metadata": {"name": "web"}}


def test_empty_annotations_of_the_user_stay() -> None:
    assert drop_noise({"metadata": {"name": "web", "annotations": {}}}) == {
        "metadata": {"name": "web", "annotations": {}}
    }


def test_keep_metadata_leaves_no_data_behind() -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "managedFields": []},
        "data": {"password": "aHVudGVyMg=="},
        "stringData": {"password": "hunter2"},
        "type": "Opaque",
    }

    assert keep_metadata(secret) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
    }


@pytest.mark.parametrize(
    "transform", [drop_noise, keep_metadata, compose(drop_noise, keep_metadata)]
)
def test_transforms_are_idempotent(transform: Transform) -> None:
    once = transform(deployment())
    assert once is not None
    again = orjson.loads(orjson.dumps(once))

    assert transform(again) == once


def test_composition_runs_in_order_and_stops_where_an_object_is_hidden() -> None:
    seen: list[str] = []

    def mark(name: str, result: Object | None) -> Transform:
        def transform(obj: dict[str, Any]) -> Object | None:
            seen.append(name)
            return result

        return transform

    assert compose(mark("a", {"kind": "X"}), mark("b", None), mark("c", {}))({}) is None
    assert seen == ["a", "b"]
