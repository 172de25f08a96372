# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the Go operator did wrong, or accepted and then failed on for ever.

Each is a test by name; where it is a test of another file, ``ELSEWHERE`` points to it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.conditions import condition
from tests.support.edits.materials import certificate
from tests.support.elsewhere import is_test
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually, manifest

pytestmark = pytest.mark.apiserver

BUNDLES = "apiserver/test_edits_ca_bundle::"
STORAGE = "apiserver/test_edits_storage::"
ELSEWHERE = {
    "removing the CA bundle, with the operator's own rights": (
        f"{BUNDLES}test_field_comes_changes_and_goes"
    ),
    "a cluster's bundle without any certificate": (
        f"{BUNDLES}test_blank_bundle_of_the_cluster_is_no_bundle"
    ),
    "certificates of another namespace": f"{BUNDLES}test_another_namespace_is_not_read",
    "a configuration of another namespace": (
        "apiserver/test_edits_sources::test_another_namespace_is_refused"
    ),
    "a provider without configuration": (
        "unit/controller/llamastack/server/test_server_answers::test_every_shape_of_a_list_is_understood"
    ),
    "a foreign Deployment that is ready": (
        "apiserver/test_foreign_objects::test_readiness_of_a_foreign_deployment_is_nobody_elses"
    ),
    "class, TLS and annotations of others in an Ingress": (
        "apiserver/test_edits_networking::test_what_others_wrote_into_the_ingress_survives"
    ),
    "a volume that goes with its resource": (
        f"{STORAGE}test_retained_claim_outlives_the_resource_and_serves_the_next_of_that_name"
    ),
    "a size that is changed": f"{STORAGE}test_claim_grows_and_never_shrinks",
    "a class and modes": f"{STORAGE}test_class_and_modes_stay_and_the_status_says_so",
    "rendering that changes its input": (
        "unit/controller/llamastack/render/test_render_children::test_rendering_leaves_the_resource_alone"
    ),
    "metrics that nobody reaches": (
        "unit/deploy/test_deploy_manifests::"
        "test_probes_and_metrics_meet_the_ports_that_the_operator_listens_on"
    ),
}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an empty name of a ConfigMap": (
        {"networking": {"tls": {"caBundle": {"configMapName": ""}}}},
        "spec.networking.tls.caBundle.configMapName",
    ),
    "no pod at most": (
        {"workload": {"autoscaling": {"maxReplicas": 0}}},
        "spec.workload.autoscaling.maxReplicas",
    ),
    "more pods at least than at most": (
        {"workload": {"autoscaling": {"minReplicas": 3, "maxReplicas": 2}}},
        "spec.workload.autoscaling.minReplicas",
    ),
    "a label with a value": (
        {"networking": {"allowedFrom": {"labels": ["team=frontend"]}}},
        "spec.networking.allowedFrom.labels[0]",
    ),
    "fewer replicas than none": ({"workload": {"replicas": -1}}, "spec.workload.replicas"),
    "both numbers of a budget": (
        {"workload": {"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}}},
        "spec.workload.podDisruptionBudget",
    ),
    "no distribution": ({"distribution": {}}, "spec.distribution"),
    "two distributions": ({"distribution": {"name": "a", "image": "b"}}, "spec.distribution"),
    "a port that is none": ({"networking": {"port": 70000}}, "spec.networking.port"),
    "a key that leads elsewhere": (
        {"networking": {"tls": {"caBundle": {"configMapName": "a", "configMapKeys": ["../b"]}}}},
        "spec.networking.tls.caBundle.configMapKeys[0]",
    ),
}


@pytest.mark.parametrize("line", ELSEWHERE)
def test_line_is_tested(line: str) -> None:
    assert is_test(ELSEWHERE[line]), ELSEWHERE[line]


def refusal(world: World, resource: dict[str, Any]) -> str:
    """What the API server says to a resource, which it does not take."""
    status, answer = world.client.raw("POST", world.path("llsd"), resource)
    assert status == 422, answer
    return str(json.loads(answer)["message"])


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_when_it_is_applied(world: World, case: str) -> None:
    sections, path = REFUSED[case]

    assert path in refusal(world, manifest("demo", **sections))


@pytest.mark.parametrize("name", ["a" * 49, "with.dots"])
def test_name_that_children_cannot_have_is_refused(world: World, name: str) -> None:
    assert "metadata.name" in refusal(world, manifest(name))


def test_bundle_of_many_keys_is_written_once_and_its_rotation_rolls_once(
    world: World, operator: OperatorProcess
) -> None:
    """In the order of a hash map it read differently each time, and each time pods restarted."""
    keys = [f"{letter}.crt" for letter in "zebracup"]
    data = {key: certificate(key) for key in keys}
    metadata = {"name": "odh-trusted-ca-bundle"}
    world.create(
        "configmap", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    )
    world.resource()
    world.wait_ready()
    before = generations(world)

    for number in range(12):
        seen = reconciles(world, operator)

        def again(seen: int = seen) -> bool:
            return reconciles(world, operator) > seen

        touch = {"metadata": {"annotations": {"touched": str(number)}}}
        world.patch("service", "demo-service", touch)
        world.patch("llsd", "demo", {"metadata": {"labels": {"touched": str(number)}}})
        eventually("a reconcile", again)
    assert generations(world) == before

    world.patch("configmap", metadata["name"], {"data": {"z.crt": certificate("another")}})
    eventually("a roll", lambda: generations(world)[0] > before[0])
    world.wait_ready()
    assert generations(world)[0] == before[0] + 1


def reconciles(world: World, operator: OperatorProcess) -> int:
    return sum(
        record.get("event") == "Reconciled" and record.get("namespace") == world.namespace
        for record in operator.records()
    )


def generations(world: World) -> tuple[int, str]:
    """Of the Deployment, and the version of the bundle."""
    found: int = world.must_get("deployment", "demo")["metadata"]["generation"]
    return found, world.must_get("configmap", "demo-ca-bundle")["metadata"]["resourceVersion"]


def test_server_that_its_autoscaler_scaled_is_ready(world: World) -> None:
    """It was compared with the replicas of the spec, and never became Ready again."""
    world.resource(workload={"autoscaling": {"maxReplicas": 5}})
    world.wait_ready()

    world.patch("deployment", "demo", {"spec": {"replicas": 3}})

    def scaled() -> bool:
        cr = world.must_get("llsd", "demo")
        available: int = cr["status"]["availableReplicas"]
        return available == 3 and bool(condition(cr, "Ready")["status"] == "True")

    eventually("Ready with three", scaled)
    assert world.must_get("llsd", "demo")["status"]["phase"] == "Ready"


def test_server_that_is_switched_off_is_ready(world: World) -> None:
    world.resource(workload={"replicas": 0})

    cr = world.wait_ready()

    assert cr["status"]["phase"] == "Ready"
    assert cr["status"]["availableReplicas"] == 0


def test_server_has_minutes_to_start_and_is_watched_from_then_on(world: World) -> None:
    """Killed after half a minute of downloads, and served to clients while it hung."""
    world.resource()
    world.wait_ready()

    pod = world.must_get("deployment", "demo")["spec"]["template"]["spec"]
    (only,) = pod["containers"]
    startup = only["startupProbe"]
    assert startup["failureThreshold"] * startup["periodSeconds"] >= 300
    assert {"readinessProbe", "livenessProbe"} <= only.keys()
