# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""NetworkPolicies as rules: who gets through, and what is refused rather than passed over."""

from __future__ import annotations

from typing import Any

import pytest

from hack.cluster.node.policies import ruleset

Json = dict[str, Any]

NAMESPACES: list[Json] = [
    {"metadata": {"name": "own"}},
    {"metadata": {"name": "front", "labels": {"name": "front", "trusted": ""}}},
]
PODS: list[Json] = [
    {
        "metadata": {"namespace": namespace, "labels": {"app": app}},
        "status": {"podIP": address} if address else {},
    }
    for namespace, app, address in (
        ("own", "server", "10.0.0.1"),
        ("own", "client", "10.0.0.2"),
        ("front", "client", "10.0.0.3"),
        ("own", "server", ""),
    )
]
ALL = "{ 10.0.0.1, 10.0.0.2, 10.0.0.3 }"


def policy(*peers: Json, **spec: Any) -> Json:
    rule = {"from": list(peers), "ports": [{"protocol": "TCP", "port": 80}]}
    return {
        "metadata": {"namespace": "own"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "server"}},
            "policyTypes": ["Ingress"],
            "ingress": [rule],
            **spec,
        },
    }


@pytest.mark.parametrize(
    ("peer", "sources"),
    [
        ({"podSelector": {}}, "{ 10.0.0.1, 10.0.0.2 }"),
        ({"namespaceSelector": {}}, ALL),
        ({"namespaceSelector": {"matchLabels": {"name": "front"}}}, "{ 10.0.0.3 }"),
        (
            {"namespaceSelector": {"matchExpressions": [{"key": "trusted", "operator": "Exists"}]}},
            "{ 10.0.0.3 }",
        ),
    ],
)
def test_peers_reach_the_port_and_nobody_else_reaches_the_pod(peer: Json, sources: str) -> None:
    lines = [line.strip() for line in ruleset([policy(peer)], PODS, NAMESPACES).splitlines()]

    allowed = f"ip daddr 10.0.0.1 ip saddr {sources} tcp dport {{ 80 }} accept"
    assert [line for line in lines if "daddr" in line] == [allowed, "ip daddr 10.0.0.1 reject"]


def test_pod_that_nobody_may_reach_is_closed_and_others_are_open() -> None:
    nobody = policy({"namespaceSelector": {"matchLabels": {"name": "nowhere"}}})

    rules = ruleset([nobody], PODS, NAMESPACES)

    assert [line.strip() for line in rules.splitlines() if "daddr" in line] == [
        "ip daddr 10.0.0.1 reject"
    ]


@pytest.mark.parametrize(
    "unknown",
    [
        policy({"ipBlock": {"cidr": "10.0.0.0/8"}}),
        policy({"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
        policy(policyTypes=["Ingress", "Egress"]),
        policy(ingress=[{"from": [], "ports": [{"protocol": "UDP", "port": 53}]}]),
    ],
)
def test_what_is_not_known_is_refused(unknown: Json) -> None:
    with pytest.raises(ValueError, match=r"ipBlock|expressions|policyTypes|ports"):
        ruleset([unknown], PODS, NAMESPACES)
