# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""No right that ``deploy`` grants can be dropped: each is used, and the audit log says so.

One operator works as its ServiceAccount through every scenario that takes a right of its own, in a
control plane of its own. Streaming lists are off there: with them the verb ``list`` is needed by
older API servers only, without them it is seen.

A right that is granted and never used fails the test, and so does one that is used and not granted.
Whoever adds a right adds the scenario that needs it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from api import webhook
from configs.yaml_reader import load
from hack.cluster.audit import Mark
from hack.cluster.errors import ClusterError
from hack.cluster.plane import ControlPlane, PlaneOptions
from llamastack_operator.kube.kinds import WEBHOOK
from tests.support import openshift
from tests.support.authority import Authority
from tests.support.operator_process import OperatorProcess
from tests.support.world import DEPLOY, SYSTEM, USER, World, eventually, install

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(240)]

Right = tuple[str, str, str]  # API group, resource or resource/subresource, verb

MANAGED = "app.kubernetes.io/managed-by"
CONFIG = "llama-stack-operator-config"
ROLES = (
    "rbac/manager_role",
    "rbac/leader_election_role",
    "rbac/webhook_ca_bundle_role",
    "rbac/webhook_certificate_role",
    "openshift-anyuid/anyuid_role",
)

UNSEEN: dict[Right, str] = {
    ("apiextensions.k8s.io", "customresourcedefinitions/status", "patch"): (
        "only where objects are stored in an old version; see test_migration.py"
    ),
    ("llamastack.io", "llamastackdistributions/finalizers", "update"): (
        "asked about by an admission plug-in; see test_owner_reference_needs_the_right_to_finalize"
    ),
    ("rbac.authorization.k8s.io", "clusterroles", "bind"): (
        "asked about by the API server itself; see test_binding_needs_the_right_to_bind"
    ),
    ("route.openshift.io", "routes/custom-host", "create"): "asked about by OpenShift only",
    ("route.openshift.io", "routes/custom-host", "update"): "asked about by OpenShift only",
}
"""Rights that no request shows."""


@pytest.fixture(scope="module")
def plane(binaries: Mapping[str, Path]) -> Iterator[ControlPlane]:
    """Like OpenShift in what the operator looks at."""
    options = PlaneOptions(
        scheduler=True,
        nodes=1,
        apiserver_flags=(
            "--feature-gates=WatchList=false",
            "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement",
        ),
    )
    with (
        ControlPlane(binaries, options) as made,
        openshift.served(made, openshift.ROUTES),
    ):
        yield made


@pytest.fixture(scope="module")
def kubeconfig(plane: ControlPlane) -> Path:
    return install(plane)


@pytest.fixture
def world(plane: ControlPlane, kubeconfig: Path) -> World:
    plane.kubectl("create", "namespace", "rights")
    return World(plane, "rights")


def granted() -> set[Right]:
    """Every right of the shipped roles."""
    return {
        (group, resource, verb)
        for path in ROLES
        for rule in load((DEPLOY / f"{path}.yaml").read_text("utf-8"))["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(plane: ControlPlane, mark: Mark) -> set[Right]:
    """What the operator asked for since then that nobody may do without a right."""
    return {
        (r.group, "/".join(filter(None, (r.resource, r.subresource))), r.verb)
        for r in plane.audit.since(mark)
        if r.user == USER and r.resource and r.group != "authorization.k8s.io"
    }


def test_every_right_is_used_and_every_right_that_is_used_is_granted(
    plane: ControlPlane, world: World, kubeconfig: Path
) -> None:
    mark = plane.audit.mark()
    flags = ("--leader-elect", "--fixed-uids=true", "--webhook-port=0")
    environment = {"OPERATOR_NAMESPACE": SYSTEM}
    with (
        openshift.anyuid(plane),
        OperatorProcess(kubeconfig, *flags, env=environment) as process,
    ):
        process.wait_logged("Started workers")
        webhooks_are_trusted(world)
        everything_comes(world)
        everything_is_found_again(world)
        everything_goes(world)
        mistakes_come_again(world, mark)
        assert process.terminate() == 0

    forbidden = [r.uri for r in plane.audit.since(mark) if r.user == USER and r.code == 403]
    assert forbidden == []
    assert used(plane, mark) - granted() == set()
    assert granted() - used(plane, mark) == set(UNSEEN)


# --- the scenarios -------------------------------------------------------------------------

CHILDREN = {
    "deployment": "demo",
    "service": "demo-service",
    "serviceaccount": "demo-sa",
    "claim": "claimed-pvc",
    "autoscaler": "demo-hpa",
    "budget": "demo-pdb",
    "networkpolicy": "demo-network-policy",
    "route": "demo-route",
    "rolebinding": "demo-rb",
    "configmap": "demo-ca-bundle",
    "secret": "demo-storage-env",
}


def webhooks_are_trusted(world: World) -> None:
    """The CA bundle of both objects that name the webhooks, and of one that lost it."""
    hook = {
        "name": webhook.NAME,
        "clientConfig": webhook.service(webhook.VALIDATE),
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        # Nobody answers here, so nobody is asked about anything.
        "rules": [
            {
                "apiGroups": ["nobody.example"],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["nothing"],
            }
        ],
    }
    manifest = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": webhook.NAME},
        "webhooks": [hook],
    }
    world.plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))
    path = WEBHOOK.path(name=webhook.NAME)
    eventually(
        "trust in the webhooks",
        lambda: world.client.get(path)["webhooks"][0]["clientConfig"].get("caBundle"),
    )


def everything_comes(world: World) -> None:
    """Create, and what a start needs: lists, watches, Secrets that are looked at."""
    switch(world, on=True)
    world.secret()
    world.secret("db", url="postgresql://u:p@db.example:5432/d")
    ca = {"metadata": {"name": "company"}, "data": {"ca-bundle.crt": Authority("Company").pem}}
    world.create("configmap", {"apiVersion": "v1", "kind": "ConfigMap", **ca})
    connection = {"secretKeyRef": {"name": "db", "key": "url"}}
    world.resource(
        networking={
            "expose": {"hostname": "a.example"},
            "tls": {"caBundle": {"configMapName": "company"}},
        },
        storage={"sql": {"type": "postgres", "connectionString": connection}},
        workload={"autoscaling": {"maxReplicas": 2}},
    )
    # Apart: its pods wait for a volume, and what old pods use stays until new ones are there.
    world.resource("claimed", workload={"storage": {}})
    for kind, name in CHILDREN.items():
        appear(world, kind, name)


def everything_is_found_again(world: World) -> None:
    """Get and patch: a child without its label is not in the cache, so it is looked at and
    repaired.

    The admission of the API server refuses nothing of that, so an administrator can do it, too.
    """
    for kind, name in CHILDREN.items():
        lose_label(world, kind, name)
    edit(world, networking={"expose": {"ingressClassName": "nginx"}})
    appear(world, "ingress", "demo-ingress")
    gone(world, "route", "demo-route")
    lose_label(world, "ingress", "demo-ingress")


def everything_goes(world: World) -> None:
    """Delete."""
    edit(
        world,
        networking={"expose": None, "tls": None},
        storage=None,
        workload={"autoscaling": None, "overrides": {"serviceAccountName": "default"}},
    )
    switch(world, on=False)
    kept = {"deployment", "service", "serviceaccount", "claim"}
    for kind, name in CHILDREN.items():
        if kind not in kept:
            gone(world, kind, name)
    for model in ("a", "b", "c"):  # older configurations go, unless a ReplicaSet mounts them
        edit(world, resources={"models": [model]})
        eventually("a new one", lambda: generation(world) == observed(world))


def mistakes_come_again(world: World, mark: Mark) -> None:
    """The same Event again is a patch of the first one."""
    for _ in range(2):
        edit(world, distribution={"name": "unknown"})
        world.wait_condition("ConfigGenerated", "False")
        edit(world, distribution={"name": "starter"})
        world.wait_condition("ConfigGenerated", "True")
    eventually("a patch", lambda: ("events.k8s.io", "events", "patch") in used(world.plane, mark))


def switch(world: World, *, on: bool) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG, "namespace": SYSTEM},
        "data": {"featureFlags": f"enableNetworkPolicy: {{enabled: {str(on).lower()}}}"},
    }
    world.plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))


def edit(world: World, **spec: Any) -> None:
    world.patch("llsd", "demo", {"spec": spec})


def appear(world: World, kind: str, name: str) -> None:
    eventually(f"{kind} {name}", lambda: world.get(kind, name))


def gone(world: World, kind: str, name: str) -> None:
    eventually(f"no {kind} {name}", lambda: world.get(kind, name) is None)


def lose_label(world: World, kind: str, name: str) -> None:
    world.patch(kind, name, {"metadata": {"labels": {MANAGED: None}}})
    eventually(
        f"{kind} {name} with its label",
        lambda: MANAGED in world.must_get(kind, name)["metadata"]["labels"],
    )


def generation(world: World) -> int:
    return int(world.must_get("llsd", "demo")["metadata"]["generation"])


def observed(world: World) -> int:
    return int(world.must_get("llsd", "demo")["status"]["observedGeneration"])


# --- rights that no request shows ----------------------------------------------------------


@contextlib.contextmanager
def without(plane: ControlPlane, role: str, resource: str) -> Iterator[None]:
    """A shipped role without its rule about a resource."""
    manifest = load((DEPLOY / f"{role}.yaml").read_text("utf-8"))
    path = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{manifest['metadata']['name']}"
    rules = [rule for rule in manifest["rules"] if rule["resources"] != [resource]]
    assert len(rules) == len(manifest["rules"]) - 1
    for content in (rules, manifest["rules"]):
        plane.client.raw(
            "PATCH", path, {"rules": content}, content_type="application/merge-patch+json"
        )
        if content is rules:
            yield


def allowed(plane: ControlPlane, manifest: dict[str, Any]) -> bool:
    """Whether the operator may create it; nothing is stored."""
    options = ("--dry-run=server", "--namespace=default", f"--as={USER}", "-f", "-")
    try:
        plane.kubectl("create", *options, stdin=json.dumps(manifest))
    except ClusterError as error:
        if "forbidden" not in str(error):
            raise
        return False
    return True


def test_owner_reference_needs_the_right_to_finalize(plane: ControlPlane, kubeconfig: Path) -> None:
    owner = {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "name": "x",
        "uid": "3c1b6b4e-0000-4000-8000-000000000000",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    child = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "x", "ownerReferences": [owner]},
    }

    assert allowed(plane, child)
    with without(plane, "rbac/manager_role", "llamastackdistributions/finalizers"):
        eventually("a refusal", lambda: not allowed(plane, child))


def binding_to(role: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "x"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
    }


def test_binding_needs_the_right_to_bind(plane: ControlPlane, kubeconfig: Path) -> None:
    ours = binding_to("system:openshift:scc:anyuid")

    with openshift.anyuid(plane):
        eventually("the right", lambda: allowed(plane, ours))
        assert not allowed(plane, binding_to("cluster-admin"))
        with without(plane, "openshift-anyuid/anyuid_role", "clusterroles"):
            eventually("a refusal", lambda: not allowed(plane, ours))
