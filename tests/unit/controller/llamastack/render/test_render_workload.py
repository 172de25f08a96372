# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Autoscaler, disruption budget and placement, as functions of ``spec.workload``."""

from __future__ import annotations

from typing import Any

import pytest

from configs.distributions import Distributions
from controller.llamastack.children.replicas import handover
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.preview import preview

SELECTOR = {"app": "llama-stack", "app.kubernetes.io/instance": "demo"}


def children(**workload: Any) -> dict[str, dict[str, Any]]:
    obj = {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo", "namespace": "prod", "uid": "u", "generation": 1},
        "spec": {"distribution": {"name": "starter"}, "workload": workload},
    }
    plan = make_plan(obj, Distributions.load())
    assert plan.problem is None, plan.problem
    return {manifest["kind"]: manifest for manifest in preview(obj, plan)}


def pod(**workload: Any) -> dict[str, Any]:
    spec: dict[str, Any] = children(**workload)["Deployment"]["spec"]["template"]["spec"]
    return spec


def test_services_of_the_namespace_make_no_variables() -> None:
    assert pod()["enableServiceLinks"] is False


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        ({}, None),
        ({"replicas": 2}, {"maxUnavailable": 1}),
        ({"autoscaling": {"maxReplicas": 2}}, {"maxUnavailable": 1}),
        ({"replicas": 3, "autoscaling": {"maxReplicas": 1}}, None),
        ({"podDisruptionBudget": {"minAvailable": 0}}, {"minAvailable": 0}),
        ({"replicas": 2, "podDisruptionBudget": {"minAvailable": "50%"}}, {"minAvailable": "50%"}),
        ({"podDisruptionBudget": {"maxUnavailable": 2}}, {"maxUnavailable": 2}),
    ],
)
def test_budget_is_the_users_or_one_pod_where_there_are_several(
    workload: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    made = children(**workload).get("PodDisruptionBudget")

    assert (made and made["spec"]) == (
        {"selector": {"matchLabels": SELECTOR}, **expected} if expected else None
    )
    assert made is None or made["metadata"]["name"] == "demo-pdb"


@pytest.mark.parametrize(
    ("scaling", "metrics", "least"),
    [
        ({"maxReplicas": 5}, {"cpu": 80}, 1),
        (
            {"maxReplicas": 5, "minReplicas": 2, "targetCPUUtilizationPercentage": 70},
            {"cpu": 70},
            2,
        ),
        ({"maxReplicas": 5, "targetMemoryUtilizationPercentage": 60}, {"memory": 60}, 1),
        (
            {
                "maxReplicas": 5,
                "targetCPUUtilizationPercentage": 70,
                "targetMemoryUtilizationPercentage": 60,
            },
            {"cpu": 70, "memory": 60},
            1,
        ),
    ],
)
def test_autoscaler_aims_at_what_is_asked_for_or_at_cpu(
    scaling: dict[str, Any], metrics: dict[str, int], least: int
) -> None:
    made = children(autoscaling=scaling, replicas=4)
    spec = made["HorizontalPodAutoscaler"]["spec"]

    assert made["HorizontalPodAutoscaler"]["metadata"]["name"] == "demo-hpa"
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "demo"}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (least, 5)
    found = {
        m["resource"]["name"]: m["resource"]["target"]["averageUtilization"]
        for m in spec["metrics"]
    }
    assert found == metrics
    assert "replicas" not in made["Deployment"]["spec"]


def test_pods_keep_apart_and_no_number_of_them_changes_their_template() -> None:
    """A template that depended on the number would make scaling restart every pod."""
    several = pod(replicas=2)

    (preference,) = several["affinity"]["podAntiAffinity"][
        "preferredDuringSchedulingIgnoredDuringExecution"
    ]
    assert preference["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    assert [c["topologyKey"] for c in several["topologySpreadConstraints"]] == [
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    assert {c["whenUnsatisfiable"] for c in several["topologySpreadConstraints"]} == {
        "ScheduleAnyway"
    }
    assert pod(replicas=1) == pod(replicas=0) == several
    assert pod(replicas=1, autoscaling={"maxReplicas": 9}) == several


def test_users_placement_replaces_ours() -> None:
    affinity: dict[str, object] = {"nodeAffinity": {}}
    mine = {"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}

    spec = pod(replicas=3, overrides={"affinity": affinity}, topologySpreadConstraints=[mine])

    assert spec["affinity"] == affinity
    assert spec["topologySpreadConstraints"] == [mine]


def live(replicas: int, **annotations: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "demo", "namespace": "n", "uid": "u"}
    metadata |= {"resourceVersion": "7", "annotations": annotations}
    return {"metadata": metadata, "spec": {"replicas": replicas}}


@pytest.mark.parametrize(("replicas", "expected"), [(3, 3), (1, 1), (0, 1)])
def test_replicas_are_handed_over_as_they_are_but_never_as_none(
    replicas: int, expected: int
) -> None:
    """An autoscaler takes 0 for "switched off" and would leave it at that."""
    wanted = children(autoscaling={"maxReplicas": 4})["Deployment"]

    given = handover(wanted, live(replicas))

    assert given is not None
    assert given["spec"] == {"replicas": expected}
    assert given["metadata"]["uid"] == "u"


def test_nothing_is_handed_over_twice_or_without_an_autoscaler() -> None:
    wanted = children(autoscaling={"maxReplicas": 4})["Deployment"]

    assert handover(wanted, live(3, **wanted["metadata"]["annotations"])) is None
    assert handover(children(replicas=2)["Deployment"], live(3)) is None
