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
from llamastack_operator.webhooks.certificates.ca_bundle import is_injected
from llamastack_operator.webhooks.names import service_hosts

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


def _by_name(documents: list[Any]) -> dict[tuple[str, str, str], Any]:
    found = {
        (d["kind"], d["metadata"].get("namespace", ""), d["metadata"]["name"]): d for d in documents
    }
    assert len(found) == len(documents)
    return found


def test_bundled_file_says_what_kustomize_makes_of_default(control_plane: ControlPlane) -> None:
    bundled = load_all((_DEPLOY / "install.yaml").read_text("utf-8"))

    assert _by_name(bundled) == _by_name(_rendered(control_plane, _DEPLOY / "default"))
    assert bundled[0]["kind"] == "Namespace"


def test_bundled_file_is_accepted(deployed: ControlPlane) -> None:
    path = str(_DEPLOY / "install.yaml")

    applied = deployed.kubectl("apply", "--server-side", "--dry-run=server", "-f", path)

    assert len(applied.splitlines()) == len(load_all(Path(path).read_text("utf-8")))


def _changed(plane: ControlPlane, overlay: str) -> dict[str, set[str]]:
    """Kinds of what an overlay takes away from ``deploy/default``, adds to it and changes in it."""
    before = _by_name(_rendered(plane, _DEPLOY / "default"))
    after = _by_name(_rendered(plane, _DEPLOY / overlay))
    both = before.keys() & after.keys()
    return {
        "gone": {kind for kind, _, _ in before.keys() - after.keys()},
        "new": {kind for kind, _, _ in after.keys() - before.keys()},
        "other": {key[0] for key in both if before[key] != after[key]},
    }


@pytest.mark.parametrize(
    ("overlay", "new", "other"),
    [
        ("cert-manager", {"Certificate", "Issuer"}, set()),
        ("openshift", set(), {"Service"}),
    ],
)
def test_overlay_has_the_certificate_from_elsewhere_and_all_else_of_default(
    deployed: ControlPlane, overlay: str, new: set[str], other: set[str]
) -> None:
    asks = {"CustomResourceDefinition", "ValidatingWebhookConfiguration"}

    assert _changed(deployed, overlay) == {
        "gone": {"Role", "RoleBinding"},
        "new": new,
        "other": {"Deployment", *asks, *other},
    }
    rendered = _rendered(deployed, _DEPLOY / overlay)
    known = [d for d in rendered if d["apiVersion"] != "cert-manager.io/v1"]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": known})
    words = ("apply", "--server-side", "--dry-run=server", "-f", "-")
    assert len(deployed.kubectl(*words, stdin=listed).splitlines()) == len(known)
    annotated = {d["kind"] for d in rendered if d["kind"] in asks and is_injected(d)}
    assert annotated == asks, "the operator leaves their caBundle alone"


def test_certificate_of_cert_manager_is_the_one_that_is_mounted_for_the_service(
    control_plane: ControlPlane,
) -> None:
    rendered = _rendered(control_plane, _DEPLOY / "cert-manager")
    (leaf,) = (d for d in rendered if d["kind"] == "Certificate" and "dnsNames" in d["spec"])
    (deployment,) = (d for d in rendered if d["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (volume,), (container,) = pod["volumes"], pod["containers"]
    (mount,) = container["volumeMounts"]
    annotated = [d for d in rendered if "annotations" in d["metadata"]]

    assert tuple(leaf["spec"]["dnsNames"]) == service_hosts(_NAMESPACE)
    assert volume["secret"]["secretName"] == leaf["spec"]["secretName"]
    assert f"--webhook-cert-dir={mount['mountPath']}" in container["args"]
    named = {d["metadata"]["annotations"]["cert-manager.io/inject-ca-from"] for d in annotated}
    assert named == {f"{_NAMESPACE}/{leaf['metadata']['name']}"}
    issuers = {d["metadata"]["name"] for d in rendered if d["kind"] == "Issuer"}
    asked = {d["spec"]["issuerRef"]["name"] for d in rendered if d["kind"] == "Certificate"}
    assert asked == issuers


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
