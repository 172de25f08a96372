# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Route: access from outside of an OpenShift cluster, in the place of an Ingress.

A resource that names an ingress class means the controller of that class, so it gets its Ingress
there, too. Where the server itself speaks TLS the router hands connections through, or, with a
certificate for clients, encrypts again. What others write into the Route stays theirs, as with the
Ingress; what the API server would default is written out, so that an edit can take it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.conditions import is_true
from controller.llamastack.objects.kinds import ROUTE, SERVICE
from controller.llamastack.render import names
from controller.llamastack.render.manifest import Child, child
from controller.llamastack.render.service import PORT_NAME

if TYPE_CHECKING:
    from api.v1alpha2.networking import Expose
    from controller.llamastack.render.inputs import Inputs
    from informers.ports import Object

WEIGHT = 100  # the API's default for the only backend


def is_used(inputs: Inputs) -> bool:
    """Whether this cluster has Routes and the resource does not name another controller."""
    expose = inputs.spec.networking.expose
    return inputs.options.routes and not (expose and expose.ingress_class_name)


def render(inputs: Inputs) -> Child | None:
    """All paths to the Service; ``None`` for a resource that is not exposed, or by an Ingress."""
    expose = _exposed(inputs)
    if expose is None:
        return None
    spec: dict[str, Any] = {
        "to": {"kind": SERVICE.kind, "name": names.service(inputs.name), "weight": WEIGHT},
        "port": {"targetPort": PORT_NAME},
        "wildcardPolicy": "None",
    }
    if expose.hostname:
        spec["host"] = expose.hostname
    tls = _tls(inputs, expose)
    if tls:
        spec["tls"] = tls
    rendered = child(inputs, ROUTE, names.route(inputs.name), {"spec": spec})
    if expose.annotations:
        rendered.manifest["metadata"]["annotations"] = dict(expose.annotations)
    return rendered


def url(inputs: Inputs, live: Object | None) -> str:
    """How clients outside reach the server; empty while that is not known, or not wanted.

    Args:
        inputs: of the renderers.
        live: the Route as cached; a router that admits it tells the host, which the API server
            makes up if the resource names none.
    """
    expose = _exposed(inputs)
    if expose is None:
        return ""
    spec = (live or {}).get("spec") or {}
    host = _admitted(live) or expose.hostname or spec.get("host") or ""
    encrypted = _tls(inputs, expose) or spec.get("tls")
    return f"{'https' if encrypted else 'http'}://{host}" if host else ""


def _exposed(inputs: Inputs) -> Expose | None:
    return inputs.exposed if is_used(inputs) else None


def _tls(inputs: Inputs, expose: Expose) -> dict[str, Any]:
    if expose.tls_secret_name:
        return {
            "termination": "reencrypt" if inputs.tls_secret else "edge",
            "externalCertificate": {"name": expose.tls_secret_name},
            "insecureEdgeTerminationPolicy": "Redirect",
        }
    if inputs.tls_secret:
        return {"termination": "passthrough", "insecureEdgeTerminationPolicy": "Redirect"}
    return {}


def _admitted(live: Object | None) -> str:
    """The host of the first router that lets the Route in."""
    for ingress in ((live or {}).get("status") or {}).get("ingress") or ():
        if is_true({"status": ingress}, "Admitted") and ingress.get("host"):
            return str(ingress["host"])
    return ""
