# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What keeps a server from running, or a rollout from ending, is named in its status."""

from __future__ import annotations

import pytest

from api.conditions import condition
from tests.support.volumes import growing_volume
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver

TLS = {"tls": {"enabled": True, "secretName": "cert"}}


def test_missing_certificate_is_told_once(world: World) -> None:
    world.resource(networking=TLS)

    said = world.wait_condition("SecretsResolved", "False")

    assert said["message"] == (
        f'Secret "cert" not found in namespace "{world.namespace}". '
        "Referenced by: spec.networking.tls.secretName"
    )


def test_certificate_that_is_empty_is_not_usable_until_it_is_filled(world: World) -> None:
    world.secret("cert", **{"tls.crt": "", "tls.key": " \n"})
    world.resource(networking=TLS)

    said = world.wait_condition("SecretsResolved", "False")

    assert said["reason"] == "SecretValueNotUsable"
    assert 'key "tls.crt" in Secret "cert" is empty' in said["message"]
    assert 'key "tls.key" in Secret "cert" is empty' in said["message"]
    assert world.get("deployment", "demo") is None
    ready = condition(world.must_get("llsd", "demo"), "Ready")
    assert (ready["status"], ready["message"]) == ("False", said["message"])

    filled = {"tls.crt": "certificate", "tls.key": "key"}
    world.patch("secret", "cert", {"stringData": filled})
    world.wait_ready()


# --- what was done to the Deployment by hand ------------------------------------------------------

AUTOSCALED = {"autoscaling": {"minReplicas": 2, "maxReplicas": 4}}


def kubectl(world: World, *arguments: str) -> None:
    world.plane.kubectl(*arguments, "-n", world.namespace)


def wait_not_ready(world: World, reason: str, deadline_s: float = 30.0) -> str:
    """The message of Ready, once it is False for the reason."""

    def look() -> str | None:
        found = condition(world.must_get("llsd", "demo"), "Ready")
        told = (found.get("status"), found.get("reason")) == ("False", reason)
        return str(found["message"]) if told else None

    return eventually(f"Ready is False: {reason}", look, deadline_s)


def test_autoscaler_that_scaling_to_zero_switches_off_is_told_with_the_way_out(
    world: World,
) -> None:
    world.resource(workload=AUTOSCALED)
    world.wait_ready()

    kubectl(world, "scale", "deployment/demo", "--replicas=0")
    message = wait_not_ready(world, "AutoscalingOff")

    status = world.must_get("llsd", "demo")["status"]
    assert status["phase"] == "Failed"
    assert condition({"status": status}, "Available")["status"] == "False"
    assert "kubectl scale deployment/demo --replicas=1" in message
    kubectl(world, "scale", "deployment/demo", "--replicas=1")
    world.wait_ready()
    assert ("Warning", "AutoscalingOff") in world.events()


def test_zero_of_the_spec_stays_what_was_asked_for(world: World) -> None:
    world.resource(workload={"replicas": 0})

    cr = world.wait_ready()

    assert condition(cr, "DeploymentReady")["reason"] == "ScaledToZero"


def test_paused_rollout_is_told_with_who_paused_it_and_left_alone(world: World) -> None:
    world.resource()
    world.wait_ready()
    kubectl(world, "rollout", "pause", "deployment/demo")
    assert world.wait_ready()["status"]["phase"] == "Ready", "without an edit nothing waits"

    world.patch("llsd", "demo", {"spec": {"workload": {"workers": 2}}})
    message = wait_not_ready(world, "RolloutPaused")

    assert "spec.paused, set by kubectl-rollout" in message
    assert "kubectl rollout resume deployment/demo" in message
    assert world.must_get("deployment", "demo")["spec"]["paused"] is True
    assert condition(world.must_get("llsd", "demo"), "Available")["status"] == "True"
    kubectl(world, "rollout", "resume", "deployment/demo")
    world.wait_ready()


def test_old_pod_that_does_not_go_is_named(world: World) -> None:
    growing_volume(world.client, "named-causes")
    storage = {"size": "1Gi", "storageClassName": "named-causes"}
    world.resource(workload={"storage": storage})
    world.wait_ready()
    (pod,) = (
        p["metadata"]["name"]
        for p in world.all("pod")
        if p["metadata"]["labels"]["app.kubernetes.io/instance"] == "demo"
    )
    hold = ["example.org/hold"]
    world.patch("pod", pod, {"metadata": {"finalizers": hold}})

    overrides = {"terminationGracePeriodSeconds": 1}
    world.patch("llsd", "demo", {"spec": {"workload": {"workers": 2, "overrides": overrides}}})
    message = wait_not_ready(world, "PodNotTerminated", deadline_s=90.0)

    assert f"pod {pod} was to be gone at" in message
    assert hold[0] in message
    world.patch("pod", pod, {"metadata": {"finalizers": None}})
    world.wait_ready()
