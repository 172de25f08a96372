# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How a server is reached, and by whom, as a pass tells it once the children are in place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from controller.llamastack.objects.kinds import INGRESS, ROUTE, SERVICE
from controller.llamastack.render import ingress, names, network_policy, route, service

if TYPE_CHECKING:
    from controller.llamastack.cache.readers import Caches
    from controller.llamastack.render.inputs import Inputs
    from controller.llamastack.status.compute import Facts


def reached(facts: Facts, inputs: Inputs, caches: Caches) -> Facts:
    """The facts, and the addresses of the server.

    Where something could not be written, only what is seen to be there is told.
    """
    done = facts.update_problem is None
    serves = done or caches.owned(SERVICE, names.service(inputs.name), inputs.owner)
    return replace(
        facts,
        service_url=service.url(inputs) if serves else "",
        route_url=_route_url(inputs, caches) if done else None,
        network_note=network_policy.note(inputs),
    )


def _route_url(inputs: Inputs, caches: Caches) -> str:
    if route.is_used(inputs):
        live = caches.owned(ROUTE, names.route(inputs.name), inputs.owner)
        return route.url(inputs, live)
    return ingress.url(inputs, caches.owned(INGRESS, names.ingress(inputs.name), inputs.owner))
