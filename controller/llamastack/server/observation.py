# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The step of a reconcile that observes the running server; the children are written already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.llamastack.objects.kinds import SERVICE
from controller.llamastack.render import names
from controller.llamastack.server.probe_port import is_ready, server_of
from controller.llamastack.server.status import is_known

if TYPE_CHECKING:
    from controller.llamastack.cache.readers import Caches
    from controller.llamastack.render.inputs import Inputs
    from controller.llamastack.server.probe_port import ServerProber, ServerReport
    from informers.ports import Object


def observe_server(
    inputs: Inputs, deployment: Object | None, caches: Caches, prober: ServerProber
) -> ServerReport | None:
    """What the server has reported so far. It is never asked here, but in the background.

    Args:
        inputs: of this reconcile.
        deployment: live after the reconcile.
        caches: hold the Service.
        prober: knows what servers reported.
    """
    if deployment is None:
        return None
    owner = inputs.owner
    server = server_of(inputs, deployment, caches.owned(SERVICE, names.service(inputs.name), owner))
    if server is None:
        return None
    known = is_known(owner.get("status") or {}, deployment)
    return prober.look(server, ready=is_ready(deployment), known=known)


def ready_write_delay_s(cr: Object, deployment: Object | None, prober: ServerProber) -> float:
    """For how many seconds the write that says "ready" waits for the first probe result.

    Both go in one write then. What is written meanwhile has to be about this spec.

    Args:
        cr: as it was read.
        deployment: live after the reconcile.
        prober: knows whether a report is expected.
    """
    status = cr.get("status") or {}
    is_current = status.get("observedGeneration") == cr["metadata"].get("generation")
    if not is_current or deployment is None or is_known(status, deployment):
        return 0.0
    return prober.awaited_s(cr["metadata"]["uid"])
