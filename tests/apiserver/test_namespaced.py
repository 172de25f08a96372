# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``deploy/namespaced`` as it is: Roles, one namespace, and all works that works elsewhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from configs.yaml_reader import load_all
from hack.cluster.plane import ControlPlane
from tests.support import openshift
from tests.support.operator_process import OperatorProcess
from tests.support.world import ACCOUNT, DEPLOY, World, eventually, install

pytestmark = pytest.mark.apiserver

QUESTIONS = {"selfsubjectrulesreviews", ""}
"""What is asked outside of the namespace: about rights, and which APIs there are."""


@pytest.fixture
def world(kwok_plane: ControlPlane, kwok_namespace: str, tmp_path: Path) -> World:
    """A namespace with the overlay in it, but for the operator's own pods: that is us."""
    install(kwok_plane)
    made = World(kwok_plane, kwok_namespace)
    made.secret()
    path = os.path.relpath(DEPLOY / "namespaced", tmp_path)
    kustomization = f"namespace: {kwok_namespace}\nresources: [{path}]\n"
    (tmp_path / "kustomization.yaml").write_text(kustomization, encoding="utf-8")
    manifests = load_all(kwok_plane.kubectl("kustomize", str(tmp_path)))
    for manifest in manifests:
        if manifest["kind"] != "Deployment":
            kwok_plane.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    assert not {m["kind"] for m in manifests} & {"ClusterRole", "ClusterRoleBinding"}
    return made


def test_roles_in_one_namespace_are_enough_for_all_that_the_operator_does(world: World) -> None:
    plane, namespace = world.plane, world.namespace
    kubeconfig = plane.kubeconfig_for_service_account(namespace, ACCOUNT)
    user = f"system:serviceaccount:{namespace}:{ACCOUNT}"
    flags = (f"--namespace={namespace}", "--leader-elect")
    mark = plane.audit.mark()
    with (
        openshift.served(plane, openshift.ROUTES),
        openshift.anyuid(plane),
        OperatorProcess(kubeconfig, *flags, env={"OPERATOR_NAMESPACE": namespace}) as process,
    ):
        process.wait_logged("Started workers")
        config = {"featureFlags": "enableNetworkPolicy: {enabled: true}"}
        metadata = {"name": "llama-stack-operator-config"}
        world.create("configmap", {"kind": "ConfigMap", "metadata": metadata, "data": config})
        world.resource(networking={"expose": {"hostname": "a.example"}})
        world.wait_ready()
        eventually("a policy", lambda: world.get("networkpolicy", "demo-network-policy"))
        assert world.get("route", "demo-route")
        # A Role cannot let it see a ClusterRole, so it does not even try.
        assert world.get("rolebinding", "demo-rb") is None

        wrong = {"data": {"featureFlags": "enableNetworkPolicy: 5"}}
        world.patch("configmap", "llama-stack-operator-config", wrong)
        eventually("the Event", lambda: "InvalidOperatorConfig" in reasons(world))
        world.delete("llsd", "demo")
        world.wait_collected("deployment", "demo")
        assert process.terminate() == 0

    asked = [r for r in plane.audit.since(mark) if r.user == user]
    assert [r.uri for r in asked if r.code == 403] == []
    assert {r.namespace for r in asked if r.resource not in QUESTIONS} == {namespace}


def reasons(world: World) -> set[str]:
    return {event["reason"] for event in world.all("event")}
