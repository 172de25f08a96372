# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the operator does differently where the cluster is an OpenShift, and only there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.plane import ControlPlane
from tests.support import openshift
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver

OPENSHIFT_ONLY = {"route.openshift.io", "security.openshift.io", "rbac.authorization.k8s.io"}


@pytest.fixture
def world(kubeconfig: Path, kwok_plane: ControlPlane, kwok_namespace: str) -> World:
    made = World(kwok_plane, kwok_namespace)
    made.secret()
    return made


@contextmanager
def operator(kubeconfig: Path, *flags: str) -> Iterator[OperatorProcess]:
    with OperatorProcess(kubeconfig, *flags) as process:
        process.wait_ready()
        yield process
        assert process.terminate() == 0


def test_nothing_is_asked_of_apis_that_the_cluster_lacks(world: World, kubeconfig: Path) -> None:
    mark = world.plane.audit.mark()
    with operator(kubeconfig):
        world.resource(networking={"expose": True})
        world.wait_ready()

        assert world.get("ingress", "demo-ingress")
        groups = {r.group for r in world.requests_since(mark)}
        assert not groups & OPENSHIFT_ONLY
        assert all(r.code < 300 for r in world.requests_since(mark) if not r.resource)


def run_as(world: World) -> Any:
    pod = world.must_get("deployment", "demo")["spec"]["template"]["spec"]
    return pod["securityContext"].get("runAsUser")


def test_account_is_bound_where_an_administrator_allows_it_and_pods_name_an_id(
    world: World, kubeconfig: Path
) -> None:
    with openshift.anyuid(world.plane), operator(kubeconfig):
        world.resource()
        world.wait_ready()
        binding = world.must_get("rolebinding", "demo-rb")
        assert binding["roleRef"]["name"] == "system:openshift:scc:anyuid"
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "demo-sa", "namespace": world.namespace}
        ]
        assert binding["metadata"]["labels"]["app.kubernetes.io/part-of"] == "llama-stack"

        overrides = {"serviceAccountName": "another"}
        world.patch("llsd", "demo", {"spec": {"workload": {"overrides": overrides}}})
        eventually("no binding", lambda: world.get("rolebinding", "demo-rb") is None)
        world.patch("llsd", "demo", {"spec": {"workload": {"overrides": None}}})
        eventually("a binding", lambda: world.get("rolebinding", "demo-rb"))


def test_openshift_assigns_ids_and_nobody_is_bound(world: World, kubeconfig: Path) -> None:
    with (
        openshift.served(world.plane, openshift.SECURITY),
        openshift.anyuid(world.plane),
        operator(kubeconfig),
    ):
        world.resource()
        world.wait_ready()

        assert run_as(world) is None
        assert world.get("rolebinding", "demo-rb") is None


def test_role_that_is_not_granted_is_not_even_looked_at(world: World, kubeconfig: Path) -> None:
    mark = world.plane.audit.mark()
    with openshift.anyuid(world.plane, granted=False), operator(kubeconfig):
        world.resource()
        world.wait_ready()
        assert world.get("rolebinding", "demo-rb") is None
        assert run_as(world) == 1001

    assert "rbac.authorization.k8s.io" not in {r.group for r in world.requests_since(mark)}
