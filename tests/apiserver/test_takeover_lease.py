# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Go operator's Lease is ours, too: in one namespace the two never work at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from hack.cluster.audit import AuditedRequest
from hack.cluster.plane import ControlPlane
from llamastack_operator.manager import LEASE_NAME
from tests.support.edits.full import IN_SYSTEM
from tests.support.go_cases import new_spec, resource, spec
from tests.support.go_operator import GoOperator
from tests.support.operator_process import OperatorProcess
from tests.support.world import ACCOUNT, SYSTEM, USER, World, eventually, install, manifest

pytestmark = pytest.mark.apiserver

LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases"
LASTS_S = 4
MOMENT = "2026-01-31T12:00:00.000000Z"
HELD = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": LEASE_NAME, "namespace": SYSTEM},
    # As client-go writes it; on another node the clock may be anything.
    "spec": {
        "holderIdentity": "llama-stack-k8s-operator-controller-manager-5d9c_0a1b2c3d",
        "leaseDurationSeconds": LASTS_S,
        "acquireTime": MOMENT,
        "renewTime": MOMENT,
        "leaseTransitions": 4,
    },
}


@pytest.fixture
def plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    install(control_plane)
    control_plane.client.create(LEASES, HELD)
    yield control_plane
    control_plane.client.delete(f"{LEASES}/{LEASE_NAME}")


def test_nothing_is_written_until_the_lease_of_the_go_operator_has_run_out(
    plane: ControlPlane, namespace: str
) -> None:
    world = World(plane, namespace)
    made = world.create("llsd", {**manifest("demo"), "spec": new_spec(spec())})
    old = resource("demo", namespace, spec(), made["metadata"]["uid"])
    assert GoOperator(plane.client).reconcile(old) == ""
    kubeconfig = plane.kubeconfig_for_service_account(SYSTEM, ACCOUNT)
    mark = plane.audit.mark()

    with OperatorProcess(kubeconfig, "--leader-elect", env=IN_SYSTEM) as operator:
        operator.wait_ready()  # a standby is ready
        operator.wait_logged("Became leader")
        eventually(
            "the take-over",
            lambda: world.must_get("deployment", "demo")["metadata"]["generation"] == 2,
        )
        assert operator.terminate() == 0

    asked = [r for r in plane.audit.since(mark) if r.user == USER]
    seen = next(r for r in asked if r.resource == "leases")
    taken = next(r for r in asked if r.resource == "leases" and r.is_write)
    first = next(r for r in asked if r.is_write and r.namespace == namespace)
    assert (moment(taken) - moment(seen)).total_seconds() >= LASTS_S
    assert moment(first) >= moment(taken)
    assert plane.client.get(f"{LEASES}/{LEASE_NAME}")["spec"]["leaseTransitions"] >= 5


def moment(request: AuditedRequest) -> datetime:
    return datetime.fromisoformat(request.received)
