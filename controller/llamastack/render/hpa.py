# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The HorizontalPodAutoscaler, to which the number of pods belongs as long as it exists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.llamastack.objects.kinds import AUTOSCALER, DEPLOYMENT
from controller.llamastack.render import names
from controller.llamastack.render.manifest import Child, child

if TYPE_CHECKING:
    from controller.llamastack.render.inputs import Inputs

DEFAULT_CPU_PERCENT = 80


def render(inputs: Inputs) -> Child | None:
    """One if the resource asks for autoscaling."""
    scaling = inputs.spec.workload.autoscaling
    if scaling is None:
        return None
    targets = {
        "cpu": scaling.target_cpu_utilization_percentage,
        "memory": scaling.target_memory_utilization_percentage,
    }
    if not any(targets.values()):
        targets["cpu"] = DEFAULT_CPU_PERCENT
    spec = {
        "scaleTargetRef": {
            "apiVersion": DEPLOYMENT.api_version,
            "kind": DEPLOYMENT.kind,
            "name": names.deployment(inputs.name),
        },
        "minReplicas": scaling.min_replicas or 1,
        "maxReplicas": scaling.max_replicas,
        "metrics": [_metric(name, percent) for name, percent in targets.items() if percent],
    }
    return child(inputs, AUTOSCALER, names.autoscaler(inputs.name), {"spec": spec})


def _metric(resource: str, percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}
