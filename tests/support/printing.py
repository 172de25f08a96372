# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a Python script prints in a Pod on a real node."""

from __future__ import annotations

from typing import Any, Final

from hack.cluster.node.pods import Namespace, wait_for
from hack.images import base

RESTRICTED: Final[dict[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""Security context of a container that Pod Security ``restricted`` lets in."""


def printed(
    namespace: Namespace, image: str, script: str, volumes: tuple[dict[str, Any], ...] = ()
) -> str:
    """What a Python script prints in a Pod; each volume is mounted at its name."""
    container = {
        "name": "main",
        "image": image,
        "command": [base.PYTHON, "-I", "-c", script],
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": v["name"], "mountPath": f"/{v['name']}"} for v in volumes],
    }
    spec = {"containers": [container], "restartPolicy": "Never", "volumes": list(volumes)}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "script"}, "spec": spec}
    namespace.client.create(f"{namespace.core}/pods", pod)
    wait_for("the script's end", lambda: namespace.last_termination("script"))
    return namespace.log("script").strip()
