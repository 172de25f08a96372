# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``spec.network.policy``: as much of a NetworkPolicy as ``networking.allowedFrom`` can say.

Both operators let in the namespace of the resource and that of the operator, so what is converted
are the rules that come on top. Rules add up, and so do their peers: what one cannot be said of is
named, and the others hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from api.conversion.ogx.part import Part
from api.conversion.places import ABSENT
from api.model import Json, kind_of
from api.v1alpha2.networking import ALLOWED_NAMESPACE

NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
"""Label that every namespace has."""

EVERYWHERE: Final = "*"

SWITCHED_OFF: Final = (
    "is off, which cannot be said of one server here: network policies are on or off for all"
    " servers of an operator"
)
HOW_TO_SWITCH: Final = (
    "where they are on, networking.allowedFrom.namespaces [*] lets every pod of the cluster connect"
)
NOT_SAYABLE: Final = (
    "cannot be said in networking.allowedFrom, which has names of namespaces and keys of their"
    " labels, for the server's port"
)
OWN_POLICY: Final = "make a NetworkPolicy of your own beside the resource"
NO_EGRESS: Final = (
    "has no counterpart: the operator's policy says only who may connect to the server"
)
NOT_OUTSIDE: Final = "lets in every pod of the cluster; there it lets in addresses outside, too"

NO_NAMESPACE: Final = "lets in nobody, because no namespace can have the name {names}"

MAX_NAMESPACE: Final = 63
"""Characters of its name."""

_Allowed = tuple[tuple[str, ...], tuple[str, ...]]
"""Names of namespaces, and keys of their labels."""


def convert(policy: Part, port: Any) -> Json:
    """What ``networking.allowedFrom`` says; empty if it says nothing.

    Args:
        policy: the object.
        port: of the server.
    """
    enabled = policy.take("enabled")
    if enabled is False:
        policy.taken(policy.names())  # nothing else of it has an effect there
        policy.say(policy.path, SWITCHED_OFF, HOW_TO_SWITCH)
        return {}
    if enabled not in (ABSENT, True):
        policy.warn("enabled", f"must be a boolean, got {kind_of(enabled)}")
    types = policy.take("policyTypes")
    if types not in (ABSENT, [], ["Ingress"]):
        policy.warn("policyTypes", NO_EGRESS, OWN_POLICY)
    if policy.take("egress") not in (ABSENT, []):
        policy.warn("egress", NO_EGRESS, OWN_POLICY)
    namespaces: list[str] = []
    labels: list[str] = []
    for names, keys in _rules(policy, port):
        namespaces.extend(names)
        labels.extend(keys)
    found = {"namespaces": namespaces, "labels": labels}
    return {field: list(dict.fromkeys(values)) for field, values in found.items() if values}


def _rules(policy: Part, port: Any) -> Iterator[_Allowed]:
    for item, path in policy.items("ingress"):
        rule = policy.inner(item, path)
        ports, peers = rule.take("ports"), rule.peek("from")
        if not _is_of_server(ports, port):
            rule.take("from")
            policy.say(path, NOT_SAYABLE, OWN_POLICY)
        elif peers in (ABSENT, []):
            rule.take("from")
            policy.say(path, NOT_OUTSIDE, OWN_POLICY)
            yield (EVERYWHERE,), ()
        else:
            for peer, where in rule.items("from"):
                allowed = _allowed(peer)
                if allowed is None:
                    policy.say(where, NOT_SAYABLE, OWN_POLICY)
                    continue
                if impossible := [name for name in allowed[0] if not _is_possible(name)]:
                    policy.say(where, NO_NAMESPACE.format(names=", ".join(impossible)))
                yield tuple(filter(_is_possible, allowed[0])), allowed[1]
        rule.finish()


def _is_of_server(ports: Any, port: Any) -> bool:
    """Whether a rule holds for the server's port; all ports are that one, too."""
    if ports in (ABSENT, []):
        return True
    return isinstance(ports, list | tuple) and all(
        item in ({"protocol": "TCP", "port": port}, {"port": port}) for item in ports
    )


def _allowed(peer: Any) -> _Allowed | None:
    """What a peer lets in, if that can be said."""
    if peer == {"podSelector": {}}:
        return (), ()  # the pods of the resource's namespace, who may connect anyhow
    if not isinstance(peer, Mapping) or peer.keys() != {"namespaceSelector"}:
        return None
    selector = peer["namespaceSelector"]
    if not isinstance(selector, Mapping) or selector.keys() - {"matchLabels", "matchExpressions"}:
        return None
    labels, expressions = selector.get("matchLabels") or {}, selector.get("matchExpressions") or []
    if not labels and not expressions:
        return (EVERYWHERE,), ()
    if not expressions:
        return _named(labels)
    if not labels and isinstance(expressions, list | tuple) and len(expressions) == 1:
        return _expressed(expressions[0])
    return None


def _is_one_name(value: Any) -> bool:
    """Whether a value of the label is a name, and not what stands for all of them here."""
    return isinstance(value, str) and value != EVERYWHERE


def _is_possible(namespace: str) -> bool:
    return len(namespace) <= MAX_NAMESPACE and bool(re.fullmatch(ALLOWED_NAMESPACE, namespace))


def _named(labels: Any) -> _Allowed | None:
    if not isinstance(labels, Mapping) or labels.keys() != {NAMESPACE_NAME}:
        return None
    name = labels[NAMESPACE_NAME]
    return ((name,), ()) if _is_one_name(name) else None


def _expressed(expression: Any) -> _Allowed | None:
    if not isinstance(expression, Mapping):
        return None
    key, operator = expression.get("key"), expression.get("operator")
    values = expression.get("values") or []
    if expression.keys() - {"key", "operator", "values"} or not isinstance(key, str):
        return None
    if operator == "Exists" and not values:
        return (), (key,)
    is_list = isinstance(values, list | tuple) and all(map(_is_one_name, values))
    if operator == "In" and key == NAMESPACE_NAME and values and is_list:
        return tuple(values), ()
    return None
