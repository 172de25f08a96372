# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The number of pods goes from us to the autoscaler without a moment in which it is nobody's."""

from __future__ import annotations

from typing import Any

import pytest

from controller.llamastack.children.replicas import handover
from controller.llamastack.objects.kinds import AUTOSCALED

WANTED = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {}}


def live(replicas: int | None = 3, **annotations: str) -> dict[str, Any]:
    metadata = {"name": "demo", "namespace": "n", "uid": "u", "resourceVersion": "7"}
    spec = {} if replicas is None else {"replicas": replicas}
    return {"metadata": {**metadata, "annotations": annotations}, "spec": spec}


def test_number_is_given_away_as_it_is_and_only_of_that_very_version() -> None:
    assert handover(WANTED, live(3)) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "demo", "namespace": "n", "uid": "u", "resourceVersion": "7"},
        "spec": {"replicas": 3},
    }


@pytest.mark.parametrize("replicas", [0, None])
def test_autoscaler_is_not_switched_off_by_a_zero(replicas: int | None) -> None:
    given = handover(WANTED, live(replicas))

    assert given is not None
    assert given["spec"] == {"replicas": 1}


def test_nothing_changes_hands_while_the_number_is_ours_or_after_it_is_given() -> None:
    assert handover({**WANTED, "spec": {"replicas": 2}}, live()) is None
    assert handover(WANTED, live(3, **{AUTOSCALED: "true"})) is None
