# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Who may connect, as a function of the resource and of the operator's flag."""

from __future__ import annotations

from typing import Any

import pytest

from configs.distributions import Distributions
from controller.llamastack.children import table
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.render import network_policy
from controller.llamastack.render.inputs import Inputs, Options
from controller.llamastack.status.events import between

ON = Options(network_policies=True, operator_namespace="system")
SAME: dict[str, Any] = {"podSelector": {}}


def inputs(options: Options = ON, **networking: Any) -> Inputs:
    obj = {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo", "namespace": "prod", "uid": "u", "generation": 1},
        "spec": {"distribution": {"name": "starter"}, "networking": networking},
    }
    plan = make_plan(obj, Distributions.load())
    assert plan.cr is not None
    assert plan.generated is not None, plan.problem
    return Inputs(obj, plan.cr.spec, plan.generated, options=options)


def named(namespace: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}


def labelled(key: str) -> dict[str, Any]:
    expression = {"key": key, "operator": "Exists"}
    return {"namespaceSelector": {"matchExpressions": [expression]}}


ROUTER = {"namespaceSelector": {"matchLabels": {"network.openshift.io/policy-group": "ingress"}}}


@pytest.mark.parametrize(
    ("networking", "peers"),
    [
        ({}, [SAME, named("system")]),
        ({"allowedFrom": {}}, [SAME, named("system")]),
        (
            {"allowedFrom": {"namespaces": ["b", "a", "prod", "system"], "labels": ["team"]}},
            [SAME, named("system"), named("b"), named("a"), labelled("team")],
        ),
        ({"expose": True}, [SAME, named("system"), ROUTER]),
        ({"expose": False}, [SAME, named("system")]),
        (
            {"allowedFrom": {"namespaces": ["a", "*"], "labels": ["x"]}, "expose": True},
            [{"namespaceSelector": {}}],
        ),
    ],
)
def test_policy_lets_in_who_is_named(networking: dict[str, Any], peers: list[Any]) -> None:
    made = network_policy.render(inputs(**networking))

    assert made is not None
    assert made.manifest["metadata"]["name"] == "demo-network-policy"
    assert made.manifest["spec"] == {
        "podSelector": {
            "matchLabels": {"app": "llama-stack", "app.kubernetes.io/instance": "demo"}
        },
        "policyTypes": ["Ingress"],
        "ingress": [{"from": peers, "ports": [{"protocol": "TCP", "port": 8321}]}],
    }


def test_port_is_the_servers() -> None:
    made = network_policy.render(inputs(port=9000))

    assert made is not None
    assert made.manifest["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": 9000}]


def test_policy_is_unwanted_while_the_flag_is_off() -> None:
    off = inputs(Options(), allowedFrom={"namespaces": ["a"]})

    assert network_policy.render(off) is None
    assert "NetworkPolicy" in {kind.resource.kind for kind in table.unwanted(off)}
    assert "NetworkPolicy" not in {kind.resource.kind for kind in table.unwanted(inputs())}


def test_restriction_without_effect_is_noted() -> None:
    note = network_policy.note(inputs(Options(), allowedFrom={"namespaces": ["a"]}))

    assert note.startswith("spec.networking.allowedFrom has no effect")
    assert "llama-stack-operator-config" in note
    assert network_policy.note(inputs(Options())) == ""
    assert network_policy.note(inputs(allowedFrom={"namespaces": ["a"]})) == ""


def test_restriction_without_effect_is_one_warning() -> None:
    said = {"conditions": [{"type": "ServiceReady", "status": "True", "message": "x. so it is"}]}

    first = between({}, said, deployment_changed=False, network_note="so it is")
    second = between(said, said, deployment_changed=False, network_note="so it is")

    assert [(e.type, e.reason, e.note) for e in first] == [
        ("Warning", "NetworkPolicyOff", "so it is")
    ]
    assert second == []
