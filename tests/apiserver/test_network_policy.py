# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""NetworkPolicies on a real API server: they come and go with the flag, and follow the spec."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.conditions import condition
from hack.cluster.plane import ControlPlane
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually, install

pytestmark = pytest.mark.apiserver

CONFIG = "llama-stack-operator-config"
POLICY = "demo-network-policy"


@pytest.fixture
def world(kwok_plane: ControlPlane, kwok_namespace: str) -> Iterator[World]:
    """With an operator that lives in the namespace, so that the flag is the test's own."""
    kubeconfig = install(kwok_plane)
    made = World(kwok_plane, kwok_namespace)
    made.secret()
    environment = {"OPERATOR_NAMESPACE": kwok_namespace}
    flags = ("--namespace", kwok_namespace)
    with OperatorProcess(kubeconfig, *flags, env=environment) as process:
        process.wait_ready()
        yield made
        assert process.terminate() == 0


def switch(world: World, *, on: bool) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG, "namespace": world.namespace},
        "data": {"featureFlags": f"enableNetworkPolicy: {{enabled: {str(on).lower()}}}"},
    }
    world.plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))


def allow(world: World, value: Any) -> None:
    world.patch("llsd", "demo", {"spec": {"networking": {"allowedFrom": value}}})


def peers(world: World, name: str = "demo") -> list[dict[str, Any]]:
    policy = world.get("networkpolicy", f"{name}-network-policy")
    (rule,) = policy["spec"]["ingress"] if policy else ({},)
    found: list[dict[str, Any]] = rule.get("from", [])
    return found


def service_ready(world: World) -> str:
    return str(condition(world.must_get("llsd", "demo"), "ServiceReady").get("message"))


def test_policies_come_and_go_with_the_flag_while_the_operator_runs(world: World) -> None:
    world.resource(networking={"allowedFrom": {"namespaces": ["front"]}})
    world.wait_ready()
    assert world.get("networkpolicy", POLICY) is None
    assert "spec.networking.allowedFrom has no effect" in service_ready(world)
    eventually("the Warning", lambda: ("Warning", "NetworkPolicyOff") in world.events())

    switch(world, on=True)
    eventually("a policy", lambda: world.get("networkpolicy", POLICY))
    eventually("no note", lambda: "no effect" not in service_ready(world))
    labels = world.must_get("networkpolicy", POLICY)["metadata"]["labels"]
    assert labels["app.kubernetes.io/managed-by"] == "llama-stack-operator"

    switch(world, on=False)
    eventually("no policy", lambda: world.get("networkpolicy", POLICY) is None)
    eventually("the note", lambda: "no effect" in service_ready(world))


def test_edits_lead_to_what_a_fresh_resource_gets(world: World) -> None:
    switch(world, on=True)
    world.resource(networking={"allowedFrom": {"namespaces": ["a", "b"], "labels": ["team"]}})
    world.wait_ready()
    assert len(peers(world)) == 4  # the same namespace, which is the operator's, too

    final = {"port": 9000, "expose": True, "allowedFrom": {"namespaces": ["b"], "labels": None}}
    world.patch("llsd", "demo", {"spec": {"networking": final}})
    world.resource(
        "fresh",
        networking={k: v for k, v in final.items() if k != "allowedFrom"}
        | {"allowedFrom": {"namespaces": ["b"]}},
    )
    world.wait_ready("fresh")
    world.wait_ready()
    fresh = world.must_get("networkpolicy", "fresh-network-policy")["spec"]
    fresh["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] = "demo"
    assert world.must_get("networkpolicy", POLICY)["spec"] == fresh

    allow(world, None)
    eventually("fewer", lambda: len(peers(world)) == 2)
    allow(world, {"namespaces": ["*"]})
    eventually("everybody", lambda: peers(world) == [{"namespaceSelector": {}}])


def test_policy_that_somebody_deletes_or_changes_comes_back(world: World) -> None:
    switch(world, on=True)
    world.resource()
    world.wait_ready()
    right = world.must_get("networkpolicy", POLICY)["spec"]

    world.patch("networkpolicy", POLICY, {"spec": {"ingress": [{}]}})
    eventually("ours", lambda: world.must_get("networkpolicy", POLICY)["spec"] == right)
    world.delete("networkpolicy", POLICY)
    eventually("a new one", lambda: world.get("networkpolicy", POLICY))


def test_policy_of_somebody_else_is_named_and_left_alone(world: World) -> None:
    theirs = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": POLICY},
        "spec": {"podSelector": {}},
    }
    world.create("networkpolicy", theirs)
    world.resource()
    world.wait_ready()  # without the flag it is nobody's business

    switch(world, on=True)
    answer = world.wait_condition("Ready", "False")
    assert answer["reason"] == "ResourceConflict"
    assert POLICY in answer["message"]
    switch(world, on=False)
    world.wait_ready()
    assert world.must_get("networkpolicy", POLICY)["spec"]["podSelector"] == {}
