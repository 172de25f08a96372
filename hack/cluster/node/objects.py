# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the cluster has to have for a node to be useful: names, the API's address, volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hack.cluster.client import Client
from hack.cluster.errors import ApiFailure
from hack.cluster.node.config import PROVISIONER, STORAGE_CLASS
from hack.cluster.node.network import DNS_SERVICE, Network

_CONFLICT = 409
_SLICES = "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
_DNS_PORTS = ({"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53})


def create(client: Client, network: Network, api_port: int) -> None:
    """Create what is not there; what an earlier node left is replaced.

    Raises:
        ApiFailure: the API server refuses.
    """
    _create(
        client,
        "/api/v1/namespaces/kube-system/services",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns"},
            "spec": {"clusterIP": DNS_SERVICE, "ports": list(_DNS_PORTS)},
        },
    )
    _replace(client, "kube-system", _slice("kube-dns", network.address, _DNS_PORTS))
    # The control plane has no endpoint reconciler: nothing else asks for kubernetes.default.
    https = {"name": "https", "port": api_port, "protocol": "TCP"}
    _replace(client, "default", _slice("kubernetes", network.host, (https,)))
    _create(
        client,
        "/apis/storage.k8s.io/v1/storageclasses",
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": STORAGE_CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": PROVISIONER,
            "volumeBindingMode": "WaitForFirstConsumer",
            "reclaimPolicy": "Delete",
            "allowVolumeExpansion": True,
        },
    )


def publish(client: Client, namespace: str, name: str, port: int, target: tuple[str, int]) -> None:
    """Give a server outside of the cluster a name in it: a Service without Pods.

    Args:
        client: the administrator's.
        namespace: of the Service.
        name: of the Service.
        port: of the Service.
        target: address and port of the server.

    Raises:
        ApiFailure: the API server refuses.
    """
    _create(
        client,
        f"/api/v1/namespaces/{namespace}/services",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"ports": [{"name": "main", "port": port}]},
        },
    )
    _replace(client, namespace, _slice(name, target[0], ({"name": "main", "port": target[1]},)))


def is_ready(client: Client, name: str) -> bool:
    """Whether a node is Ready and takes Pods."""
    try:
        node = client.get(f"/api/v1/nodes/{name}")
    except ApiFailure:
        return False
    conditions = {c["type"]: c["status"] for c in node["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and not node["spec"].get("taints")


def heartbeat(client: Client, name: str) -> str:
    """When the kubelet of a node said last that it lives; later ones are greater."""
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    return str(client.get(f"{path}/{name}")["spec"]["renewTime"])


def forget(client: Client, name: str) -> None:
    """Delete a node's object: it looks Ready for 40 s after the node is gone."""
    try:
        client.delete(f"/api/v1/nodes/{name}")
    except ApiFailure as error:
        if error.code not in {0, 404}:
            raise


def _slice(service: str, address: str, ports: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": list(ports),
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
    }


def _replace(client: Client, namespace: str, manifest: dict[str, Any]) -> None:
    path = _SLICES.format(namespace=namespace)
    try:
        client.delete(f"{path}/{manifest['metadata']['name']}")
    except ApiFailure as error:
        if error.code != 404:
            raise
    client.create(path, manifest)


def _create(client: Client, path: str, manifest: dict[str, Any]) -> None:
    try:
        client.create(path, manifest)
    except ApiFailure as error:
        if error.code != _CONFLICT:
            raise
