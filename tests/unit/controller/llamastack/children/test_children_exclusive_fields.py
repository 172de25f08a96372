# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What excludes our fields is replaced, and nothing else."""

from __future__ import annotations

from typing import Any

from controller.llamastack.children.exclusive_fields import clearing_patch

NUMBERS = {"maxSurge": "25%", "maxUnavailable": 0}
EMPTY = {"name": "data", "emptyDir": {}}
CLAIM = {"name": "data", "persistentVolumeClaim": {"claimName": "c"}}


def deployment(strategy: dict[str, Any], *volumes: dict[str, Any]) -> dict[str, Any]:
    pod = {"containers": [], "volumes": list(volumes)}
    return {
        "metadata": {"resourceVersion": "5"},
        "spec": {"strategy": strategy, "template": {"spec": pod}},
    }


def test_numbers_of_a_rolling_update_make_way_for_recreate() -> None:
    live = deployment({"type": "RollingUpdate", "rollingUpdate": NUMBERS}, CLAIM)

    assert clearing_patch(deployment({"type": "Recreate"}, CLAIM), live) == [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "5"},
        {"op": "replace", "path": "/spec/strategy", "value": {"type": "Recreate"}},
    ]


def test_other_source_of_a_volume_makes_way_and_volumes_of_others_stay() -> None:
    theirs = {"name": "theirs", "emptyDir": {}}
    live = deployment({"type": "Recreate"}, theirs, EMPTY)

    (_, operation) = clearing_patch(deployment({"type": "Recreate"}, CLAIM), live)

    assert operation["path"] == "/spec/template/spec/volumes"
    assert operation["value"] == [theirs, CLAIM]


def test_refusal_for_another_reason_touches_nothing() -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": NUMBERS}

    assert clearing_patch(deployment(rolling, CLAIM), deployment(rolling, CLAIM)) == []
    assert clearing_patch(deployment(rolling), deployment({"type": "Recreate"})) == []
