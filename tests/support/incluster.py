# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The operator as its users run it: installed from ``deploy`` and running in the cluster.

Nothing of it is replaced but the cluster: kustomize renders ``deploy/default`` as it is, the image
has the name that the manifest says, and the node has that image. What it does is seen from outside
only: Pods, the Lease, its log, and its metrics through their Service.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from api import webhook
from hack.cluster.errors import ClusterError
from hack.cluster.node.node import Node
from hack.cluster.node.pods import Namespace, wait_for
from hack.cluster.plane import ControlPlane
from llamastack_operator.manager import LEASE_NAME
from tests.support.world import DEPLOY, SYSTEM

NAME = "llama-stack-k8s-operator-controller-manager"
METRICS = f"{NAME}-metrics-service"
METRICS_PORT = 8080
_READY_S = 120.0


class InCluster:
    """An operator in the cluster.

    Args:
        node: that has the operator's image.

    Attributes:
        system: its namespace.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.system = Namespace(node.plane.client, SYSTEM)

    @property
    def plane(self) -> ControlPlane:
        """The control plane it talks to."""
        return self._node.plane

    def install(self, overlay: str = "default") -> None:
        """Everything in ``deploy/default``, as the README says; then wait for its Pods.

        Args:
            overlay: another folder of ``deploy``.

        Raises:
            ClusterError: something is refused, or does not become ready; with what Pods say.
        """
        self.plane.kubectl("apply", "--server-side", "-k", str(DEPLOY / overlay))
        self.plane.wait_for_definitions()
        self._wait_for_pods(int(self.deployment()["spec"]["replicas"]))

    def forget(self, path: str) -> None:
        """Delete what is in a file of ``deploy``."""
        self.plane.kubectl("delete", "--ignore-not-found", "-f", str(DEPLOY / path))

    def deployment(self) -> dict[str, Any]:
        """The Deployment."""
        return self.system.client.get(f"{self.system.apps}/deployments/{NAME}")

    def pods(self) -> list[dict[str, Any]]:
        """Its Pods."""
        return self.system.pods("control-plane=controller-manager")

    def containers(self) -> set[str]:
        """The ids of its Pods' containers, which a restart changes."""
        return {pod["status"]["containerStatuses"][0]["containerID"] for pod in self.pods()}

    def lease(self) -> dict[str, Any]:
        """The spec of the Lease."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/{LEASE_NAME}"
        spec: dict[str, Any] = self.system.client.get(path)["spec"]
        return spec

    def leader(self) -> str:
        """Who holds the lease; waits until somebody does."""
        return wait_for("a leader", lambda: str(self.lease().get("holderIdentity") or ""))

    def leading_pod(self) -> str:
        """The name of the Pod that leads."""
        return pod_of(self.leader())

    def records(self, pod: str, *, previous: bool = False) -> list[dict[str, Any]]:
        """What a Pod logged, one JSON object a line.

        Raises:
            ClusterError: a line is something else.
        """
        found = []
        for line in self.system.log(pod, previous=previous).splitlines():
            try:
                found.append(json.loads(line))
            except ValueError as error:
                raise ClusterError(f"{pod} logged what is not JSON: {line}") from error
        return found

    def kill(self, pod: str) -> None:
        """SIGKILL to a Pod's process; the kubelet starts another one in the same Pod."""
        found = self.system.client.get(f"{self.system.core}/pods/{pod}")
        killed = self._node.kill(found["metadata"]["uid"], "llamastack_operator")
        if not killed:
            raise ClusterError(f"no process of {pod} was found")

    def evict(self, pod: str) -> None:
        """Ask for a Pod's end, as a node's drain does.

        Raises:
            ApiFailure: the PodDisruptionBudget forbids it.
        """
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": SYSTEM},
        }
        self.system.client.create(f"{self.system.core}/pods/{pod}/eviction", eviction)

    def scale(self, replicas: int) -> None:
        """Set the number of replicas, and wait until there are as many.

        Raises:
            ClusterError: there are not, in time.
        """
        self.plane.kubectl("scale", "-n", SYSTEM, "deployment", NAME, f"--replicas={replicas}")
        self._wait_for_pods(replicas)

    def _wait_for_pods(self, replicas: int) -> None:
        """Until there are as many, all of them ready and of the present template."""
        self.system.wait_for_deployment(NAME, seconds=_READY_S)
        wait_for(f"{replicas} pods", lambda: len(self.pods()) == replicas, seconds=_READY_S)

    def delete_namespace(self) -> None:
        """Delete its namespace, and wait until it is gone with all that was in it.

        Raises:
            ClusterError: it is not, in time.
        """
        self.plane.kubectl("delete", "namespace", SYSTEM, timeout=_READY_S)

    @contextlib.contextmanager
    def without_admission(self) -> Iterator[None]:
        """Nobody is asked about a write, as where an administrator took the webhook away."""
        self.plane.kubectl("delete", "validatingwebhookconfiguration", webhook.NAME)
        try:
            yield
        finally:
            self.install()

    @contextlib.contextmanager
    def started_with(self, flag: str) -> Iterator[None]:
        """Its Pods are replaced by others with one more flag, and back afterwards."""
        path = f"{self.system.apps}/deployments/{NAME}"
        before = self.deployment()["spec"]["template"]["spec"]["containers"][0]["args"]
        self._set_arguments(path, [*before, flag])
        try:
            yield
        finally:
            self._set_arguments(path, before)

    def _set_arguments(self, path: str, arguments: list[str]) -> None:
        place = "/spec/template/spec/containers/0/args"
        change = [{"op": "replace", "path": place, "value": arguments}]
        self.system.client.request(
            "PATCH", path, change, content_type="application/json-patch+json"
        )
        self._wait_for_pods(int(self.deployment()["spec"]["replicas"]))

    def metrics_text(self) -> str:
        """The metrics of one of the replicas, through the Service.

        Raises:
            ApiFailure: nobody answers.
        """
        code, text = self.system.ask(METRICS, METRICS_PORT, "/metrics")
        if code != 200:
            raise ClusterError(f"/metrics answered {code}: {text[:200]}")
        return text

    def metric_families(self) -> dict[str, str]:
        """The type of each family by its name, as Prometheus reads the text."""
        return {f.name: f.type for f in text_string_to_metric_families(self.metrics_text())}

    def explain(self) -> str:
        """What its Pods say: for the message of a failed test."""
        return self.system.explain()


def pod_of(identity: str) -> str:
    """The Pod in an identity of the Lease."""
    return identity.rpartition("_")[0]
