# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What somebody did to children while no operator ran, or while it may not put it right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from api.conditions import condition
from hack.cluster.pki import ADMIN_GROUP
from hack.cluster.plane import ControlPlane
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver

JSON_PATCH = "application/json-patch+json"
REFUSE = "refuse-all-but-admin"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"


@pytest.fixture
def world(kwok_plane: ControlPlane, kubeconfig: Path, kwok_namespace: str) -> World:
    made = World(kwok_plane, kwok_namespace)
    made.secret()
    return made


@pytest.fixture
def refused(world: World) -> Iterator[None]:
    """Nobody but the administrator may change a Service of the namespace."""
    here = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["services"],
    }
    expression = "request.userInfo.username == 'admin'"
    world.client.create(
        POLICIES,
        {
            "metadata": {"name": REFUSE},
            "spec": {
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [{"expression": expression}],
            },
        },
    )
    binding = {"policyName": REFUSE, "validationActions": ["Deny"]}
    world.client.create(
        BINDINGS,
        {
            "metadata": {"name": REFUSE},
            "spec": {**binding, "matchResources": {"namespaceSelector": here}},
        },
    )
    yield
    world.client.delete(f"{POLICIES}/{REFUSE}")


def change(world: World, kind: str, name: str, *operations: Mapping[str, Any]) -> None:
    path = world.path(kind, name)
    status, answer = world.client.raw("PATCH", path, operations, content_type=JSON_PATCH)
    assert status == 200, answer


def container(world: World) -> dict[str, Any]:
    pod = world.must_get("deployment", "demo")["spec"]["template"]["spec"]
    found: dict[str, Any] = pod["containers"][0]
    return found


OTHER_PORT = {"op": "replace", "path": "/spec/ports/0/port", "value": 80}


def test_edit_arrives_after_children_were_changed_while_no_operator_ran(
    world: World, kubeconfig: Path
) -> None:
    """Every apply was refused for ever, and the container moved without its Service."""
    with OperatorProcess(kubeconfig) as process:
        world.resource(workload={"replicas": 2})
        before = world.wait_ready()
        assert process.terminate() == 0
    kept = container(world)
    at = "/spec/template/spec/containers/0"
    socket = {"tcpSocket": {"port": 8321}}
    hook = {"exec": {"command": ["true"]}}
    change(
        world,
        "deployment",
        "demo",
        {"op": "replace", "path": f"{at}/readinessProbe", "value": socket},
        {"op": "replace", "path": f"{at}/lifecycle/preStop", "value": hook},
        {"op": "add", "path": f"{at}/command", "value": ["sleep"]},
    )
    change(world, "service", "demo-service", OTHER_PORT)
    change(
        world,
        "budget",
        "demo-pdb",
        {"op": "remove", "path": "/spec/maxUnavailable"},
        {"op": "add", "path": "/spec/minAvailable", "value": 2},
    )
    world.patch("llsd", "demo", {"spec": {"networking": {"port": 9000}}})

    with OperatorProcess(kubeconfig) as process:
        cr = world.wait_ready()
        assert process.terminate() == 0

    assert cr["metadata"]["generation"] > before["metadata"]["generation"]
    (port,) = world.must_get("service", "demo-service")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (9000, 9000)
    budget = world.must_get("budget", "demo-pdb")["spec"]
    assert (budget["maxUnavailable"], budget.get("minAvailable")) == (1, None)
    now = container(world)
    assert [one["containerPort"] for one in now["ports"]] == [9000]
    assert now["readinessProbe"]["httpGet"]["port"] == 9000
    assert "tcpSocket" not in now["readinessProbe"]
    assert now["lifecycle"] == kept["lifecycle"]
    assert "command" not in now


def test_service_that_may_not_be_put_right_is_told(
    world: World, kubeconfig: Path, refused: None
) -> None:
    with OperatorProcess(kubeconfig) as process:
        world.resource()
        world.wait_ready()

        eventually("others are refused", lambda: _is_refused(world))
        change(world, "service", "demo-service", OTHER_PORT)

        for kind in ("ServiceReady", "Available", "HealthCheck"):
            told = world.wait_condition(kind, "False")
            assert told["reason"] == "ServiceNotReady"
            assert "spec.ports" in told["message"]
        assert condition(world.must_get("llsd", "demo"), "Ready")["status"] == "False"
        world.client.delete(f"{BINDINGS}/{REFUSE}")
        world.wait_ready()
        assert process.terminate() == 0
    (port,) = world.must_get("service", "demo-service")["spec"]["ports"]
    assert port["port"] == 8321


def test_service_stays_with_the_pods_that_cannot_move(world: World, kubeconfig: Path) -> None:
    with OperatorProcess(kubeconfig) as process:
        world.resource()
        world.wait_ready()
        mounts = [{"name": "nobody-has-it", "mountPath": "/x"}]
        overrides = {"overrides": {"volumeMounts": mounts}}
        world.patch("llsd", "demo", {"spec": {"networking": {"port": 9000}, "workload": overrides}})

        world.wait_condition("DeploymentUpdated", "False")

        (port,) = world.must_get("service", "demo-service")["spec"]["ports"]
        assert (port["port"], container(world)["ports"][0]["containerPort"]) == (8321, 8321)
        world.patch("llsd", "demo", {"spec": {"workload": {"overrides": {"volumeMounts": []}}}})
        world.wait_ready()
        (port,) = world.must_get("service", "demo-service")["spec"]["ports"]
        assert (port["port"], container(world)["ports"][0]["containerPort"]) == (9000, 9000)
        assert process.terminate() == 0


def _is_refused(world: World) -> bool:
    """Policies are compiled some time after they are made."""
    path = f"{world.path('service', 'demo-service')}?dryRun=All"
    body = {"metadata": {"annotations": {"x": "y"}}}
    client = world.plane.client_for("somebody", groups=(ADMIN_GROUP,))
    status, _ = client.raw("PATCH", path, body, content_type="application/merge-patch+json")
    return status != 200
