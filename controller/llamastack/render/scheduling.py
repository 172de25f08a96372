# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where pods go, unless the user says it: apart from each other.

A node, a zone or a region that fails should take as few of them along as possible, but no pod
should wait for a better place: everything is a preference, never a demand.

A single pod gets the same preferences, although there is no other pod to keep apart from. The Go
operator adds them from the second replica on (P-A4), so scaling from one to two changes the pod
template and restarts the first pod; here scaling restarts nothing. The price is one rolling update
at the take-over, which is allowed (R-D10), and that a rollout of a single pod prefers another node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.llamastack.render import labels
from controller.llamastack.render.user import plain, plain_list

if TYPE_CHECKING:
    from controller.llamastack.render.inputs import Inputs

HOSTNAME = "kubernetes.io/hostname"
DOMAINS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", HOSTNAME)


def placement(inputs: Inputs) -> dict[str, Any]:
    """The fields of a pod's spec that say where it runs; what is empty is left out."""
    workload = inputs.spec.workload
    overrides = workload.overrides
    fields = {
        "nodeSelector": dict(overrides.node_selector),
        "tolerations": plain_list(overrides.tolerations),
        "affinity": plain(overrides.affinity) if overrides.affinity else _apart(inputs),
        "topologySpreadConstraints": plain_list(workload.topology_spread_constraints)
        or _spread(inputs),
    }
    return {name: value for name, value in fields.items() if value}


def _apart(inputs: Inputs) -> dict[str, Any]:
    term = {"labelSelector": _selector(inputs), "topologyKey": HOSTNAME}
    preference = {"weight": 100, "podAffinityTerm": term}
    return {
        "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [preference]},
    }


def _spread(inputs: Inputs) -> list[dict[str, Any]]:
    return [
        {
            "maxSkew": 1,
            "topologyKey": domain,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": _selector(inputs),
        }
        for domain in DOMAINS
    ]


def _selector(inputs: Inputs) -> dict[str, Any]:
    return {"matchLabels": labels.selector(inputs.name)}
