# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where pods go when there are several of them, unless the user says it.

A node, a zone or a region that fails should take as few of them along as possible, but no pod
should wait for a better place: everything is a preference, never a demand.
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
    affinity = plain(overrides.affinity) if overrides.affinity else {}
    spread = plain_list(workload.topology_spread_constraints)
    if inputs.most_replicas > 1:
        affinity = affinity or _apart(inputs)
        spread = spread or _spread(inputs)
    fields = {
        "nodeSelector": dict(overrides.node_selector),
        "tolerations": plain_list(overrides.tolerations),
        "affinity": affinity,
        "topologySpreadConstraints": spread,
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
