# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``deploy`` on a real API server: it is accepted, it is enough, and it is not too much."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from configs.yaml_reader import load_all
from controller.llamastack.watches import RIGHTS
from hack.cluster.plane import ControlPlane
from hack.root import ROOT
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.preflight import NotFit, check_rights
from llamastack_operator.kube.rest import Client

pytestmark = pytest.mark.apiserver

_DEPLOY = ROOT / "deploy"
_NAMESPACE = "llama-stack-k8s-operator-system"
_ACCOUNT = "llama-stack-k8s-operator-controller-manager"


def _apply(plane: ControlPlane, base: str, *options: str) -> str:
    return plane.kubectl("apply", "--server-side", *options, "-k", str(_DEPLOY / base))


def _rendered(plane: ControlPlane, directory: Path) -> list[Any]:
    return load_all(plane.kubectl("kustomize", str(directory)))


def _overlay(directory: Path, base: str, namespace: str) -> Path:
    """A kustomization that puts a base into another namespace."""
    path = os.path.relpath(_DEPLOY / base, directory)
    text = f"namespace: {namespace}\nresources: [{path}]\n"
    (directory / "kustomization.yaml").write_text(text, encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def deployed(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """A control plane with the operator's namespace and rights; the operator is not in it."""
    _apply(control_plane, "namespace")
    _apply(control_plane, "rbac")
    yield control_plane
    control_plane.kubectl("delete", "-k", str(_DEPLOY / "rbac"))
    control_plane.kubectl("delete", "-k", str(_DEPLOY / "namespace"), "--wait=false")


async def _check_rights(kubeconfig: Path, namespaces: tuple[str, ...]) -> None:
    connection = await connect(Source(str(kubeconfig)))
    async with Client(connection, user_agent="test") as client:
        await check_rights(client, namespaces, RIGHTS)


def _allowed(plane: ControlPlane, user: str, namespace: str, **attributes: str) -> bool:
    review = plane.client.create(
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": {"namespace": namespace, **attributes}},
        },
    )
    return bool(review["status"]["allowed"])


def _account(namespace: str) -> str:
    return f"system:serviceaccount:{namespace}:{_ACCOUNT}"


def test_whole_deployment_is_accepted(deployed: ControlPlane) -> None:
    applied = _apply(deployed, "default", "--dry-run=server").splitlines()

    assert len(applied) == len(_rendered(deployed, _DEPLOY / "default"))
    assert any(line.startswith("deployment.apps/llama-stack-k8s-operator") for line in applied)
    assert any(line.startswith("customresourcedefinition") for line in applied)
    assert any(line.startswith("validatingadmissionpolicy.") for line in applied)


def test_make_deploy_puts_the_image_into_the_deployment(
    binaries: Mapping[str, Path], tmp_path: Path
) -> None:
    """kubectl is a script here that renders as ever and keeps what it should apply."""
    applied, kubectl = tmp_path / "applied.yaml", tmp_path / "kubectl"
    kubectl.write_text(
        f'#!/bin/sh\n[ "$1" = apply ] && exec cat >{applied}\nexec {binaries["kubectl"]} "$@"\n',
        encoding="utf-8",
    )
    kubectl.chmod(0o755)

    subprocess.run(
        ["make", "deploy", f"KUBECTL={kubectl}", "IMG=example.org/a/operator:1.2.3"],
        cwd=_DEPLOY.parent,
        check=True,
        capture_output=True,
    )

    documents: list[Any] = load_all(applied.read_text("utf-8"))
    (deployment,) = (d for d in documents if d["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "example.org/a/operator:1.2.3"
    assert {"CustomResourceDefinition", "Namespace", "ClusterRole"} <= {
        d["kind"] for d in documents
    }


def test_operators_pod_meets_the_restricted_profile(deployed: ControlPlane) -> None:
    """Its namespace enforces it, and a Deployment's pods would only be missed later."""
    _apply(deployed, "manager", "--dry-run=server")
    manifests = _rendered(deployed, _DEPLOY / "manager")
    (deployment,) = (m for m in manifests if m["kind"] == "Deployment")
    (priority,) = (m for m in manifests if m["kind"] == "PriorityClass")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "operator", "namespace": _NAMESPACE},
        "spec": deployment["spec"]["template"]["spec"],
    }
    deployed.kubectl("apply", "-f", "-", stdin=json.dumps(priority))

    created = deployed.client.create(f"/api/v1/namespaces/{_NAMESPACE}/pods?dryRun=All", pod)

    assert created["spec"]["preemptionPolicy"] == "Never"
    deployed.kubectl("delete", "priorityclass", priority["metadata"]["name"])


async def test_rights_suffice_in_the_whole_cluster(deployed: ControlPlane) -> None:
    kubeconfig = deployed.kubeconfig_for_service_account(_NAMESPACE, _ACCOUNT)

    await _check_rights(kubeconfig, ())

    assert _allowed(
        deployed, _account(_NAMESPACE), "somewhere", verb="list", group="", resource="secrets"
    )


def test_lease_of_somebody_else_is_out_of_reach(deployed: ControlPlane) -> None:
    lease = {"group": "coordination.k8s.io", "resource": "leases"}
    user = _account(_NAMESPACE)

    ours = {
        verb: _allowed(
            deployed, user, _NAMESPACE, verb=verb, name="54e06e98.llamastack.io", **lease
        )
        for verb in ("get", "update", "delete")
    }

    assert ours == {"get": True, "update": True, "delete": False}
    assert _allowed(deployed, user, _NAMESPACE, verb="create", **lease)
    assert not _allowed(deployed, user, _NAMESPACE, verb="update", name="other", **lease)
    assert not _allowed(deployed, user, "kube-system", verb="create", **lease)


async def test_namespaced_overlay_gives_rights_in_its_namespace_only(
    deployed: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    overlay = str(_overlay(tmp_path, "namespaced", namespace))

    deployed.kubectl("apply", "--server-side", "-k", overlay)

    manifests = _rendered(deployed, tmp_path)
    assert {m["metadata"].get("namespace") for m in manifests} == {namespace}
    kubeconfig = deployed.kubeconfig_for_service_account(namespace, _ACCOUNT)
    await _check_rights(kubeconfig, (namespace,))
    with pytest.raises(NotFit, match="missing right: list llamastackdistributions"):
        await _check_rights(kubeconfig, ("default",))


def test_editors_of_a_namespace_may_edit_and_viewers_look(
    deployed: ControlPlane, namespace: str
) -> None:
    for name, role in (("ed", "edit"), ("vi", "view")):
        deployed.kubectl(
            "create",
            "rolebinding",
            name,
            f"--clusterrole={role}",
            f"--user={name}",
            "-n",
            namespace,
        )
    resource = {"group": "llamastack.io", "resource": "llamastackdistributions"}
    deadline = time.monotonic() + 20  # a controller joins the aggregated roles
    while not _allowed(deployed, "vi", namespace, verb="get", **resource):
        assert time.monotonic() < deadline
        time.sleep(0.1)

    assert _allowed(deployed, "ed", namespace, verb="create", **resource)
    assert _allowed(deployed, "ed", namespace, verb="delete", **resource)
    assert not _allowed(deployed, "vi", namespace, verb="patch", **resource)
    assert not _allowed(deployed, "ed", namespace, verb="patch", subresource="status", **resource)
