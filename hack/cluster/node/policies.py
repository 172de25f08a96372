# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""NetworkPolicies as rules of nftables, for a node whose network does not enforce them.

Networks that do need more of the kernel than every machine has (queues to user space, sets, BPF).
What is known here is what this project's policies are made of: ingress from Pods and namespaces by
label, to numbered TCP ports. Anything else is refused rather than passed over.

As in every network, the node itself reaches its Pods whatever a policy says: probes come from
there. What is forbidden is refused at once, where networks let it wait in vain. The rules are those
of one moment; Pods that come later are not in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

TABLE = "inet policies"
REMOVAL = f"table {TABLE}\ndelete table {TABLE}\n"
"""Takes all rules away, whether or not there are any."""


def ruleset(policies: Iterable[Json], pods: Iterable[Json], namespaces: Iterable[Json]) -> str:
    """A file for ``nft -f`` that enforces policies among Pods.

    Args:
        policies: of any namespaces.
        pods: all of the cluster; those without an address are left out.
        namespaces: all of the cluster.

    Raises:
        ValueError: a policy has something that is not known here.
    """
    labels = {each["metadata"]["name"]: _labels(each) for each in namespaces}
    running = [pod for pod in pods if pod["status"].get("podIP")]
    allowing: dict[str, list[str]] = {}
    for policy in policies:
        chosen = [pod for pod in running if _applies(policy, pod)]
        for pod in chosen:
            rules = allowing.setdefault(pod["status"]["podIP"], [])
            rules += _rules(policy, running, labels)
    lines = ["ct state established,related accept"]
    for address, rules in allowing.items():
        lines += [f"ip daddr {address} {rule} accept" for rule in rules]
        lines.append(f"ip daddr {address} reject")
    chain = "type filter hook forward priority 0; policy accept;"
    body = "\n".join(f"    {line}" for line in (chain, *lines))
    return f"{REMOVAL}table {TABLE} {{\n  chain forward {{\n{body}\n  }}\n}}\n"


def _labels(obj: Json) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def _applies(policy: Json, pod: Json) -> bool:
    same = policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
    return same and _selects(policy["spec"]["podSelector"], _labels(pod))


def _rules(
    policy: Json, pods: Iterable[Json], labels: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    spec = policy["spec"]
    if spec.get("policyTypes") != ["Ingress"]:
        raise ValueError(f"policyTypes {spec.get('policyTypes')}")
    for rule in spec["ingress"]:
        ports = ", ".join(str(int(port["port"])) for port in rule["ports"])
        if any(port.get("protocol", "TCP") != "TCP" for port in rule["ports"]):
            raise ValueError(f"ports {rule['ports']}")
        sources = {
            pod["status"]["podIP"]
            for pod in pods
            for peer in rule["from"]
            if _is_peer(peer, pod, policy["metadata"]["namespace"], labels)
        }
        if sources:
            yield f"ip saddr {{ {', '.join(sorted(sources))} }} tcp dport {{ {ports} }}"


def _is_peer(
    peer: Json, pod: Json, namespace: str, labels: Mapping[str, Mapping[str, str]]
) -> bool:
    if unknown := set(peer) - {"podSelector", "namespaceSelector"}:
        raise ValueError(f"peers by {unknown}")
    there = pod["metadata"]["namespace"]
    if "namespaceSelector" in peer:
        in_place = _selects(peer["namespaceSelector"], labels.get(there, {}))
    else:
        in_place = there == namespace
    return in_place and _selects(peer.get("podSelector", {}), _labels(pod))


def _selects(selector: Json, labels: Mapping[str, str]) -> bool:
    wanted = selector.get("matchLabels", {})
    expressions = selector.get("matchExpressions", ())
    if any(each["operator"] != "Exists" for each in expressions):
        raise ValueError(f"expressions {expressions}")
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        each["key"] in labels for each in expressions
    )
