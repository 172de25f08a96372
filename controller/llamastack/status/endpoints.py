# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How a server is reached, and by whom, as a reconcile tells it once the children are in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.llamastack.objects.kinds import INGRESS, ROUTE, SERVICE
from controller.llamastack.render import ingress, names, network_policy, route, service

if TYPE_CHECKING:
    from controller.llamastack.cache.readers import Caches
    from controller.llamastack.render.inputs import Inputs


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses of a server.

    Attributes:
        service_url: inside the cluster; empty while there is no Service.
        route_url: from outside; empty while there is none, ``None`` if it was not looked at.
        network_note: what should be known of who may connect.
    """

    service_url: str = ""
    route_url: str | None = None
    network_note: str = ""


UNKNOWN = Endpoints()
"""Of a server that was not written."""


def endpoints_of(inputs: Inputs, caches: Caches, *, complete: bool) -> Endpoints:
    """The addresses of a server whose Deployment is in place.

    Args:
        inputs: what its children were rendered from.
        caches: the cached cluster.
        complete: whether every child could be written; otherwise only what is seen to be there
            is told.
    """
    serves = complete or caches.owned(SERVICE, names.service(inputs.name), inputs.owner)
    return Endpoints(
        service_url=service.url(inputs) if serves else "",
        route_url=_route_url(inputs, caches) if complete else None,
        network_note=network_policy.note(inputs),
    )


def _route_url(inputs: Inputs, caches: Caches) -> str:
    if route.is_used(inputs):
        live = caches.owned(ROUTE, names.route(inputs.name), inputs.owner)
        return route.url(inputs, live)
    return ingress.url(inputs, caches.owned(INGRESS, names.ingress(inputs.name), inputs.owner))
