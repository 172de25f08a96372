# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How a server is reached, and by whom, as a reconcile tells it once the children are in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.llamastack.objects.differences import differences
from controller.llamastack.objects.kinds import INGRESS, ROUTE, SERVICE
from controller.llamastack.render import ingress, names, network_policy, route, service

if TYPE_CHECKING:
    from controller.llamastack.cache.readers import Caches
    from controller.llamastack.render.inputs import Inputs
    from informers.ports import Object


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses of a server.

    Attributes:
        service_url: inside the cluster; empty while there is no Service.
        service_problem: why that does not lead to the server; empty if it does.
        route_url: from outside; empty while there is none, ``None`` if it was not looked at.
        network_note: what should be known of who may connect.
    """

    service_url: str = ""
    service_problem: str = ""
    route_url: str | None = None
    network_note: str = ""


UNKNOWN = Endpoints()
"""Of a server that was not written."""


def endpoints_of(
    inputs: Inputs, caches: Caches, *, written: Object | None, complete: bool
) -> Endpoints:
    """The addresses of a server whose Deployment is in place.

    Args:
        inputs: what its children were rendered from.
        caches: the cached cluster.
        written: the Service, as it is after this reconcile; ``None`` if that could not write it.
        complete: whether every child could be written; otherwise only what is seen to be there
            is told.
    """
    live = written or caches.owned(SERVICE, names.service(inputs.name), inputs.owner)
    return Endpoints(
        service_url=service.url(inputs) if live else "",
        service_problem=_service_problem(inputs, live) if live else "",
        route_url=_route_url(inputs, caches) if complete else None,
        network_note=network_policy.note(inputs),
    )


def _service_problem(inputs: Inputs, live: Object) -> str:
    found = differences(service.render(inputs).manifest, live)
    fields = [one.place for one in found if one.path[0] == "spec"]
    if not fields:
        return ""
    name = names.service(inputs.name)
    return f'Service "{name}" does not lead to the server: it differs in {", ".join(fields)}'


def _route_url(inputs: Inputs, caches: Caches) -> str:
    if route.is_used(inputs):
        live = caches.owned(ROUTE, names.route(inputs.name), inputs.owner)
        return route.url(inputs, live)
    return ingress.url(inputs, caches.owned(INGRESS, names.ingress(inputs.name), inputs.owner))
