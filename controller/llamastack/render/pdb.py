# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The PodDisruptionBudget: how many pods a drained node may take along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.llamastack.objects.kinds import POD_DISRUPTION_BUDGET
from controller.llamastack.render import labels, names
from controller.llamastack.render.manifest import Child, child

if TYPE_CHECKING:
    from controller.llamastack.render.inputs import Inputs


def render(inputs: Inputs) -> Child | None:
    """The user's, or one pod at a time where there are several; none for a single pod.

    A default budget for a single pod would keep its node from ever being drained.
    """
    given = inputs.spec.workload.pod_disruption_budget
    if given is None and inputs.most_replicas <= 1:
        return None
    spec: dict[str, Any] = {"selector": {"matchLabels": labels.selector(inputs.name)}}
    if given is None:
        spec["maxUnavailable"] = 1
    elif given.min_available is not None:
        spec["minAvailable"] = given.min_available
    else:
        spec["maxUnavailable"] = given.max_unavailable
    name = names.pod_disruption_budget(inputs.name)
    return child(inputs, POD_DISRUPTION_BUDGET, name, {"spec": spec})
