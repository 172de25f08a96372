# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Give the number of pods to the autoscaler without dropping it. Pure.

Server-side apply removes a field that its only owner no longer sends, and the API server then fills
in its default: a Deployment with three replicas would fall to one at the moment it gets an
autoscaler. So before we stop sending ``replicas``, another field manager applies the live value
("Transferring ownership" in the Kubernetes documentation of server-side apply). The autoscaler
takes the field from that manager when it scales for the first time; we take it back, by force,
when autoscaling is removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.llamastack.objects.kinds import AUTOSCALED, FIELD_MANAGER

if TYPE_CHECKING:
    from controller.runtime.ports import Manifest
    from informers.ports import Object

HANDOVER_MANAGER = f"{FIELD_MANAGER}-replicas"
"""Owns the number of pods between us and the autoscaler. Never renamed (G1)."""


def handover(wanted: Manifest, live: Object) -> Manifest | None:
    """What the other manager has to apply first; ``None`` if nothing changes hands.

    Args:
        wanted: the Deployment that is about to be applied.
        live: the Deployment as it is.
    """
    if "replicas" in wanted["spec"] or AUTOSCALED in (live["metadata"].get("annotations") or {}):
        return None
    metadata = live["metadata"]
    # An autoscaler leaves a Deployment without replicas alone: it means "switched off" there.
    replicas = live["spec"].get("replicas", 1) or 1
    return {
        "apiVersion": wanted["apiVersion"],
        "kind": wanted["kind"],
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "spec": {"replicas": replicas},
    }
