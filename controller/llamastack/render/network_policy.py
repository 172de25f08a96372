# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The NetworkPolicy: who may connect to the server, where an administrator switched policies on.

Only ingress, only to the server's port. Allowed are the namespace of the resource, the namespace of
the operator, which asks servers for their providers, and what the resource names. A server that is
exposed is reached by the router of OpenShift, too, by the label that its namespace has; other
ingress controllers have none in common, so their namespace is one to be named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.llamastack.objects.kinds import (
    NETWORK_POLICY,
    NETWORK_POLICY_PATH,
    OPERATOR_CONFIG_NAME,
)
from controller.llamastack.render import labels, names
from controller.llamastack.render.manifest import Child, child

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.llamastack.render.inputs import Inputs

NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""Label that the API server gives every namespace; nobody can make it lie."""

ROUTERS = {"network.openshift.io/policy-group": "ingress"}
EVERYWHERE = "*"


def render(inputs: Inputs) -> Child | None:
    """One if policies are switched on."""
    if not inputs.options.network_policies:
        return None
    spec = {
        "podSelector": {"matchLabels": labels.selector(inputs.name)},
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": list(_peers(inputs)),
                "ports": [{"protocol": "TCP", "port": inputs.port}],
            }
        ],
    }
    return child(inputs, NETWORK_POLICY, names.network_policy(inputs.name), {"spec": spec})


def note(inputs: Inputs) -> str:
    """What to know of ``allowedFrom`` that has no effect; empty if it has."""
    if inputs.options.network_policies or inputs.spec.networking.allowed_from is None:
        return ""
    return (
        "spec.networking.allowedFrom has no effect: anybody may connect, because network policies "
        f"are switched off ({NETWORK_POLICY_PATH} in ConfigMap {OPERATOR_CONFIG_NAME} of the "
        "operator's namespace)"
    )


def _peers(inputs: Inputs) -> Iterator[dict[str, Any]]:
    allowed = inputs.spec.networking.allowed_from
    if allowed is not None and EVERYWHERE in allowed.namespaces:
        yield {"namespaceSelector": {}}
        return
    yield {"podSelector": {}}
    named = [inputs.options.operator_namespace, *(allowed.namespaces if allowed else ())]
    for namespace in dict.fromkeys(named):
        if namespace not in {"", inputs.namespace}:
            yield {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: namespace}}}
    for key in allowed.labels if allowed else ():
        expression = {"key": key, "operator": "Exists"}
        yield {"namespaceSelector": {"matchExpressions": [expression]}}
    if inputs.exposed is not None:
        yield {"namespaceSelector": {"matchLabels": dict(ROUTERS)}}
