# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Service in front of the pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.llamastack.objects.kinds import SERVICE
from controller.llamastack.render import labels, names
from controller.llamastack.render.manifest import Child, child

if TYPE_CHECKING:
    from controller.llamastack.render.inputs import Inputs

PORT_NAME = "http"  # binding, also when the server speaks TLS (R-D10)


def render(inputs: Inputs) -> Child:
    """A ClusterIP Service; its port is the server's."""
    port = {
        "name": PORT_NAME,
        "protocol": "TCP",
        "port": inputs.port,
        "targetPort": inputs.port,
    }
    spec = {"type": "ClusterIP", "selector": labels.selector(inputs.name), "ports": [port]}
    return child(inputs, SERVICE, names.service(inputs.name), {"spec": spec})


def url(inputs: Inputs) -> str:
    """How other pods reach the server."""
    host = f"{names.service(inputs.name)}.{inputs.namespace}.svc.cluster.local"
    return f"{inputs.scheme}://{host}:{inputs.port}"
