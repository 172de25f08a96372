# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The step of a pass that listens to the running server, between the children and the status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.llamastack.kinds import SERVICE
from controller.llamastack.render import names
from controller.llamastack.server_status import is_known
from controller.llamastack.servers import is_ready, server_of

if TYPE_CHECKING:
    from controller.llamastack.caches import Caches
    from controller.llamastack.render.inputs import Inputs
    from controller.llamastack.servers import Heard, Servers
    from informers.ports import Object


def heard_of(
    inputs: Inputs, deployment: Object | None, caches: Caches, servers: Servers
) -> Heard | None:
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
