# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A control plane whose API server asks a running operator, on loopback, as with ``make run``."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api import GROUP, webhook
from hack.cluster.errors import ApiFailure
from hack.cluster.plane import ControlPlane
from hack.cluster.ports import free_port
from hack.root import ROOT
from tests.support.crdplane import CRDS
from tests.support.operator_process import OperatorProcess
from tests.support.world import eventually, install

HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
INSTALL_S = 90.0
CREATED = 201

Json = dict[str, Any]


def collection(version: str, namespace: str) -> str:
    """The path of our resources in a version."""
    return f"/apis/{GROUP}/{version}/namespaces/{namespace}/llamastackdistributions"


@dataclass(frozen=True)
class Webhooked:
    """A control plane and the operator that it asks.

    Attributes:
        plane: the control plane.
        url: where it asks.
        kubeconfig: of the operator.
    """

    plane: ControlPlane
    url: str
    kubeconfig: Path

    def operator(self, *flags: str, env: Mapping[str, str] | None = None) -> OperatorProcess:
        """An operator that serves there; one at a time."""
        port = self.url.rpartition(":")[2]
        return OperatorProcess(
            self.kubeconfig,
            "--log-level=debug",
            f"--webhook-port={port}",
            "--webhook-host=127.0.0.1",
            f"--leader-elect-namespace={webhook.NAMESPACE}",
            *flags,
            env=env,
        )

    def ask(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> tuple[int, Json]:
        """Status and answer of a request."""
        code, answer = self.plane.client.raw(method, path, body, content_type=content_type)
        return code, json.loads(answer)

    def create(self, obj: Json, namespace: str, *, dry_run: bool = False) -> tuple[int, str]:
        """Status and message of a creation."""
        version = obj["apiVersion"].rpartition("/")[2]
        query = "?dryRun=All" if dry_run else ""
        code, answer = self.ask("POST", f"{collection(version, namespace)}{query}", obj)
        return code, answer.get("message", "")

    def get(self, name: str, namespace: str, version: str) -> Json:
        """A resource in a version."""
        found: Json = self.plane.client.get(f"{collection(version, namespace)}/{name}")
        return found

    def is_asked(self) -> bool:
        """Whether the API server knows the webhooks by now, and trusts them."""
        spec = {"server": {"distribution": {"name": "not-one-of-ours"}}}
        return "spec.server.distribution.name" in self._try(spec)[1]

    def converts(self) -> bool:
        """Likewise for conversion, which is asked later than admission."""
        return self._try({"server": {"distribution": {"name": "starter"}}})[0] == CREATED

    def _try(self, spec: Json) -> tuple[int, str]:
        obj = {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "LlamaStackDistribution",
            "metadata": {"name": "is-asked"},
            "spec": spec,
        }
        return self.create(obj, "default", dry_run=True)


@contextlib.contextmanager
def webhooked(plane: ControlPlane) -> Iterator[Webhooked]:
    """Install everything by our own command; afterwards nobody is asked about a write any more."""
    kubeconfig = install(plane)
    where = Webhooked(plane, f"https://127.0.0.1:{free_port()}", kubeconfig)
    install_webhooks(where)
    try:
        yield where
    finally:
        with contextlib.suppress(ApiFailure):  # a test took it away
            plane.client.delete(f"{HOOKS}/{webhook.NAME}")
        forget(plane)


def forget(plane: ControlPlane) -> None:
    """Conversion is the deployed operator's again; an apply could not take the URL away."""
    address = {
        "op": "replace",
        "path": "/spec/conversion/webhook/clientConfig",
        "value": webhook.service(webhook.CONVERT),
    }
    path = f"{CRDS}/{webhook.NAME}"
    plane.client.request("PATCH", path, [address], content_type="application/json-patch+json")


def install_webhooks(where: Webhooked) -> None:
    """``install --webhook-url``, as a user would."""
    command = [sys.executable, "-m", "llamastack_operator", "install"]
    flags = [f"--kubeconfig={where.plane.kubeconfig}", f"--webhook-url={where.url}"]
    subprocess.run([*command, *flags], cwd=ROOT, timeout=INSTALL_S, check=True)


@contextlib.contextmanager
def asked(
    where: Webhooked, *flags: str, env: Mapping[str, str] | None = None
) -> Iterator[OperatorProcess]:
    """The operator at work, and the API server asks it; it has to end well, too."""
    with where.operator(*flags, env=env) as process:
        process.wait_ready()
        eventually("the API server asks the operator", where.is_asked)
        eventually("the operator converts", where.converts)
        yield process
        assert process.terminate() == 0
