# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Certificates of the real cert-manager, as ``deploy/cert-manager`` asks for them."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509

from api import webhook
from hack.cluster.errors import ClusterError
from hack.cluster.node.pods import Namespace, wait_for
from hack.cluster.process import Program
from llamastack_operator.kube.kinds import CRD, WEBHOOK
from llamastack_operator.webhooks import names
from tests.support.incluster import InCluster
from tests.support.v1alpha1 import old_resource
from tests.support.webhooked import collection

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_SECRET = f"/api/v1/namespaces/{webhook.NAMESPACE}/secrets/llama-stack-k8s-operator-webhook-tls"
_OWN = f"/api/v1/namespaces/{webhook.NAMESPACE}/secrets/{names.SECRET}"
_OBJECTS = (CRD.path(name=names.DEFINITION), WEBHOOK.path(name=names.CONFIGURATION))
_PORT = 9443
_MOUNTED_S = 120.0


@pytest.fixture
def managed(operator_in_cluster: InCluster, cert_manager: Program) -> Iterator[InCluster]:
    """The operator with certificates of cert-manager; afterwards with its own again."""
    try:
        operator_in_cluster.install("cert-manager")
        yield operator_in_cluster
    except ClusterError as error:
        raise ClusterError(f"{error}\n{cert_manager.output()[-3000:]}") from error
    finally:
        for manifest in ("issuers", "certificates"):
            operator_in_cluster.forget(f"cert-manager/{manifest}.yaml")
        operator_in_cluster.install()


def _stored(running: InCluster, path: str = _SECRET) -> tuple[str, str]:
    """The authority, and the serial number of the certificate that it signed."""
    data = running.system.client.get(path)["data"]
    leaf = x509.load_pem_x509_certificates(base64.b64decode(data["tls.crt"]))[0]
    return data["ca.crt"], f"{leaf.serial_number:x}"


def _trusted(running: InCluster) -> list[bool]:
    """Whether each ``caBundle`` has the authority; others stay in it until they are over."""
    authority = base64.b64decode(_stored(running)[0])
    definition, configuration = (running.system.client.get(path) for path in _OBJECTS)
    (hook,) = configuration["webhooks"]
    configs = (definition["spec"]["conversion"]["webhook"]["clientConfig"], hook["clientConfig"])
    return [authority in base64.b64decode(config.get("caBundle", "")) for config in configs]


def _is_written(running: InCluster, namespace: Namespace) -> dict[str, Any]:
    path = f"{collection('v1alpha1', namespace.name)}?dryRun=All"
    return running.system.client.create(path, old_resource("try"))


def _served(running: InCluster) -> set[str]:
    """Serial numbers of the certificates that the replicas serve now."""
    found = set()
    for pod in running.pods():
        text = ssl.get_server_certificate((pod["status"]["podIP"], _PORT), timeout=5.0)
        found.add(f"{x509.load_pem_x509_certificate(text.encode()).serial_number:x}")
    return found


def test_certificate_is_issued_trusted_served_and_renewed_without_a_restart(
    managed: InCluster, restricted: Namespace
) -> None:
    wait_for("a write of v1alpha1", lambda: _is_written(managed, restricted), seconds=_MOUNTED_S)
    authority, first = _stored(managed)
    pods = managed.containers()
    assert _trusted(managed) == [True, True]
    wait_for("it is served", lambda: _served(managed) == {first}, seconds=_MOUNTED_S)

    managed.system.client.delete(_SECRET)

    wait_for("another certificate", lambda: _stored(managed)[1] != first)
    kept, second = _stored(managed)
    wait_for("it is served", lambda: _served(managed) == {second}, seconds=_MOUNTED_S)
    assert _is_written(managed, restricted)
    assert (kept, _trusted(managed)) == (authority, [True, True])
    assert managed.containers() == pods


def test_operator_makes_its_own_certificate_again_afterwards(
    operator_in_cluster: InCluster, restricted: Namespace
) -> None:
    wait_for("a write", lambda: _is_written(operator_in_cluster, restricted), seconds=_MOUNTED_S)

    def serves_its_own() -> bool:
        return _served(operator_in_cluster) == {_stored(operator_in_cluster, _OWN)[1]}

    wait_for("it is served", serves_its_own, seconds=_MOUNTED_S)
