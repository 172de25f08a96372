# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The definition is deleted and installed again under a running operator."""

from __future__ import annotations

import pytest

from api.crd import NAME as DEFINITION
from hack.cluster.audit import Mark
from hack.cluster.plane import ControlPlane
from tests.support.crdplane import CRDS
from tests.support.operator_process import OperatorProcess
from tests.support.world import USER, World, eventually, install

pytestmark = pytest.mark.apiserver

REACTION_S = 10.0
"""The operator looks every 5 s at most, and a busy machine takes its time."""

_FAILURES = 10


def failures(plane: ControlPlane, mark: Mark) -> int:
    """How often the operator was told that there is no such kind."""
    asked = [r for r in plane.audit.since(mark) if r.user == USER]
    return sum(r.resource == "llamastackdistributions" and r.code == 404 for r in asked)


def test_resources_are_served_soon_after_the_definition_is_back(
    operator: OperatorProcess, world: World
) -> None:
    plane = world.plane
    world.resource("before")
    world.wait_ready("before")
    mark = plane.audit.mark()

    plane.client.delete(f"{CRDS}/{DEFINITION}")
    # By now the usual back-off would have grown to more than the reaction that is asked for.
    asked = eventually(
        "the operator looked again and again",
        lambda: failures(plane, mark) >= _FAILURES,
        deadline_s=90.0,
    )
    assert asked
    install(plane)
    world.resource("after")

    eventually(
        "the Deployment is there", lambda: world.get("deployment", "after"), deadline_s=REACTION_S
    )
    told = [r for r in operator.records() if "NotFound" in str(r.get("reason", ""))]
    assert len(told) == 1, "once, however often it was asked"
