# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Ingress: access from outside the cluster, when the resource asks for it.

Only what the resource says is sent. Class, TLS and annotations that somebody else wrote are theirs
under server-side apply and stay; the Go operator erased them within seconds (P-C2k).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.llamastack.objects.kinds import INGRESS
from controller.llamastack.render import names, route
from controller.llamastack.render.manifest import Child, child

if TYPE_CHECKING:
    from api.v1alpha2.networking import Expose
    from controller.llamastack.render.inputs import Inputs
    from informers.ports import Object


def render(inputs: Inputs) -> Child | None:
    """All paths to the Service; ``None`` for a resource that is not exposed, or by a Route."""
    expose = _exposed(inputs)
    if expose is None:
        return None
    service = {"name": names.service(inputs.name), "port": {"number": inputs.port}}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
    rule: dict[str, Any] = {"http": {"paths": [path]}}
    if expose.hostname:
        rule["host"] = expose.hostname
    spec: dict[str, Any] = {"rules": [rule]}
    if expose.ingress_class_name:
        spec["ingressClassName"] = expose.ingress_class_name
    if expose.tls_secret_name:
        entry: dict[str, Any] = {"secretName": expose.tls_secret_name}
        if expose.hostname:
            entry["hosts"] = [expose.hostname]
        spec["tls"] = [entry]
    rendered = child(inputs, INGRESS, names.ingress(inputs.name), {"spec": spec})
    if expose.annotations:
        rendered.manifest["metadata"]["annotations"] = dict(expose.annotations)
    return rendered


def url(inputs: Inputs, live: Object | None) -> str:
    """How clients outside reach the server; empty while that is not known, or not wanted.

    Args:
        inputs: of the renderers.
        live: the Ingress as cached, which a controller gives an address.
    """
    expose = _exposed(inputs)
    if expose is None:
        return ""
    tls = expose.tls_secret_name or (live and live["spec"].get("tls"))
    host = expose.hostname or _address(live)
    return f"{'https' if tls else 'http'}://{host}" if host else ""


def _exposed(inputs: Inputs) -> Expose | None:
    return None if route.is_used(inputs) else inputs.exposed


def _address(live: Object | None) -> str:
    """Of the load balancer."""
    balancer = ((live or {}).get("status") or {}).get("loadBalancer") or {}
    for point in balancer.get("ingress") or ():
        address = point.get("hostname") or point.get("ip") or ""
        return f"[{address}]" if ":" in address else str(address)
    return ""
