# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A pod serves on while the cluster learns that it goes."""

from __future__ import annotations

from typing import Any

import pytest

from configs.distributions import Distributions
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.preview import preview


def _pod(**overrides: Any) -> dict[str, Any]:
    obj = {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo", "namespace": "prod", "uid": "u", "generation": 1},
        "spec": {"distribution": {"name": "starter"}, "workload": {"overrides": overrides}},
    }
    (deployment,) = (
        child
        for child in preview(obj, make_plan(obj, Distributions.load()))
        if child["kind"] == "Deployment"
    )
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def test_a_pod_waits_before_its_server_is_told_to_stop() -> None:
    pod = _pod()

    assert pod["terminationGracePeriodSeconds"] == 30
    assert pod["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}


@pytest.mark.parametrize(("grace", "wait"), [(2, 1), (7, 3), (10, 5), (600, 5)])
def test_the_wait_leaves_at_least_half_of_the_grace_period_to_the_server(
    grace: int, wait: int
) -> None:
    pod = _pod(terminationGracePeriodSeconds=grace)

    assert pod["terminationGracePeriodSeconds"] == grace
    assert pod["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": wait}}}


@pytest.mark.parametrize("grace", [0, 1])
def test_without_a_grace_period_there_is_no_wait(grace: int) -> None:
    pod = _pod(terminationGracePeriodSeconds=grace)

    assert pod["terminationGracePeriodSeconds"] == grace
    assert "lifecycle" not in pod["containers"][0]
