# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The control plane of one run, and who is who in it.

Everything runs on one new control plane with controllers, scheduler and simulated nodes, so that
Deployments roll out behind the floor as well as behind the operator. Operator and floor are
ServiceAccounts: the API server queues both in the same priority level, and the audit log tells
them apart. The operator has the rights of ``deploy/rbac`` and no others.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from controller.llamastack.objects.kinds import LLAMA_STACK, OPERATOR_CONFIG_NAME
from hack.cluster.audit import AuditedRequest, Mark
from hack.cluster.binaries import obtain
from hack.cluster.nodes import node, nodes_are_ready
from hack.cluster.pki import ADMIN_GROUP
from hack.cluster.plane import ControlPlane, PlaneOptions
from hack.root import ROOT
from tests.bench.usage import Usage
from tests.bench.workload import STORAGE_CLASS, namespace, twin_definition, volume
from tests.support.operator_process import COMMAND, OperatorProcess
from tests.support.volumes import VOLUMES, storage_class

SYSTEM = "llama-stack-k8s-operator-system"
OPERATOR = "llama-stack-k8s-operator-controller-manager"
FLOOR = "bench-floor"
SUBJECTS = "bench"
CRS = LLAMA_STACK.path(namespace=SUBJECTS)
CAPACITY = {"cpu": "4000", "memory": "64Ti", "pods": "1000"}  # of a node; Pods ask for much
_NODES_READY_S = 30.0
_DEPLOYED_BY = "system:serviceaccount:kube-system:deployment-controller"


@dataclass(frozen=True, slots=True)
class Arena:
    """A control plane that is ready for the benchmark.

    Attributes:
        plane: the control plane.
        operator_user: who the operator is in the audit log.
        floor_user: who the floor is.
    """

    plane: ControlPlane
    operator_user: str = f"system:serviceaccount:{SYSTEM}:{OPERATOR}"
    floor_user: str = f"system:serviceaccount:{SYSTEM}:{FLOOR}"

    def operator(self, *flags: str, command: tuple[str, ...] = tuple(COMMAND)) -> OperatorProcess:
        """The operator as it is deployed: least rights, one of several replicas."""
        kubeconfig = self.plane.kubeconfig_for_service_account(SYSTEM, OPERATOR)
        return OperatorProcess(
            kubeconfig,
            "--leader-elect",
            f"--leader-elect-namespace={SYSTEM}",
            *flags,
            command=command,
        )

    def floor_kubeconfig(self) -> Path:
        """The floor's credentials."""
        return self.plane.kubeconfig_for_service_account(SYSTEM, FLOOR)

    def referee_kubeconfig(self) -> Path:
        """Credentials of who sets the scene and watches; never queued by the API server."""
        return self.plane.kubeconfig_for("bench-referee", groups=(ADMIN_GROUP,))

    def usage(self, operator: OperatorProcess | None = None) -> Usage:
        """Who has used the processors how much up to now."""
        programs = {
            name: program.id.pid
            for name, program in self.plane.programs.items()
            if program.id is not None
        }
        ours = {"benchmark": os.getpid()}
        if operator is not None and operator.running:
            ours["operator"] = operator.pid
        return Usage.now({**ours, **programs})

    def requests(self, since: Mark, user: str) -> list[AuditedRequest]:
        """What a user asked since a mark."""
        return [r for r in self.plane.audit.since(since) if r.user == user]

    def requests_and_rollouts(
        self, since: Mark, user: str, place: str
    ) -> tuple[list[AuditedRequest], list[AuditedRequest]]:
        """Likewise, and what the Deployment controller reported on the Deployments of a place."""
        everything = self.plane.audit.since(since)
        rollouts = [
            r
            for r in everything
            if r.user == _DEPLOYED_BY and r.namespace == place and r.subresource == "status"
        ]
        return [r for r in everything if r.user == user], rollouts


@contextmanager
def arena(pods: int, *, everything: bool = False) -> Iterator[Arena]:
    """Start everything; stop and remove it at the end.

    Args:
        pods: how many have to fit; if none, there are no controllers, and Deployments stay as made.
        everything: whether there are volumes for as many claims, and network policies are on.
    """
    alive = pods > 0
    options = PlaneOptions(controller_manager=alive, scheduler=alive, nodes=int(alive))
    with ControlPlane(obtain(), options) as plane:
        if alive:
            _add_nodes(plane, math.ceil(pods / int(CAPACITY["pods"])))
        for part in ("namespace", "rbac", "crd", "policy"):
            plane.kubectl("apply", "--server-side", "-k", str(ROOT / "deploy" / part))
        plane.kubectl("create", "serviceaccount", FLOOR, "-n", SYSTEM)
        plane.kubectl(
            *("create", "clusterrolebinding", FLOOR, "--clusterrole=cluster-admin"),
            f"--serviceaccount={SYSTEM}:{FLOOR}",
        )
        plane.client.create(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", twin_definition()
        )
        plane.wait_for_definitions()
        plane.client.create("/api/v1/namespaces", namespace(SUBJECTS))
        if everything:
            _prepare_everything(plane, claims=pods)
        yield Arena(plane)


def _prepare_everything(plane: ControlPlane, claims: int) -> None:
    """What resources with a child of each kind need of their cluster."""
    storage_class(plane.client, STORAGE_CLASS)
    for number in range(claims):
        plane.client.create(VOLUMES, volume(number))
    config = {"featureFlags": "enableNetworkPolicy: {enabled: true}"}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": OPERATOR_CONFIG_NAME}}
    plane.client.create(f"/api/v1/namespaces/{SYSTEM}/configmaps", {**manifest, "data": config})


def _add_nodes(plane: ControlPlane, count: int) -> None:
    """Add nodes that are large enough, and wait until they take Pods."""
    for number in range(count):
        manifest = node(f"bench-{number}")
        manifest["status"] = {"capacity": CAPACITY, "allocatable": CAPACITY}
        plane.client.create("/api/v1/nodes", manifest)
    plane.programs["kwok"].wait_until(
        lambda: nodes_are_ready(plane.client, count + 1),
        seconds=_NODES_READY_S,
        what="done with the nodes",
    )
