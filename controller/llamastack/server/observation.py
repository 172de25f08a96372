# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The step of a pass that listens to the running server, between the children and the status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.llamastack.objects.kinds import SERVICE
from controller.llamastack.render import names
from controller.llamastack.server.probe_port import is_ready, server_of
from controller.llamastack.server.status import is_known

if TYPE_CHECKING:
    from controller.llamastack.cache.readers import Caches
    from controller.llamastack.render.inputs import Inputs
    from controller.llamastack.server.probe_port import ServerReport, Servers
    from informers.ports import Object


def observe_server(
    inputs: Inputs, deployment: Object | None, caches: Caches, servers: Servers
) -> ServerReport | None:
    """What the server said so far; it is asked behind our back where it has not, never here.

    Args:
        inputs: of this pass.
        deployment: live after the pass.
        caches: hold the Service.
        servers: knows what servers said.
    """
    if deployment is None:
        return None
    owner = inputs.owner
    server = server_of(inputs, deployment, caches.owned(SERVICE, names.service(inputs.name), owner))
    if server is None:
        return None
    known = is_known(owner.get("status") or {}, deployment)
    return servers.look(server, ready=is_ready(deployment), known=known)


def ready_write_delay_s(cr: Object, deployment: Object | None, servers: Servers) -> float:
    """For how many seconds the write that says "ready" waits for the server's first words.

    Both go in one write then. What is written meanwhile has to be about this spec.

    Args:
        cr: as it was read.
        deployment: live after the pass.
        servers: knows what is expected.
    """
    status = cr.get("status") or {}
    told = status.get("observedGeneration") == cr["metadata"].get("generation")
    if not told or deployment is None or is_known(status, deployment):
        return 0.0
    return servers.awaited_s(cr["metadata"]["uid"])
