# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""May servers be asked? Found out once at the start, so that nobody knocks in vain later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from controller.llamastack.objects.kinds import SERVICE
from controller.llamastack.watches import Right
from llamastack_operator.kube.preflight import missing_rights
from llamastack_operator.probing.routes import route_of

if TYPE_CHECKING:
    from llamastack_operator.kube.rest import Client
    from llamastack_operator.settings import Settings

log = structlog.get_logger(__name__)

PROXY: Final = Right("get", SERVICE, "proxy")
"""Needed outside the cluster only; without it there is a line in the log and no version."""


async def may_probe(client: Client, settings: Settings) -> bool:
    """Whether servers are to be asked, and can be.

    Where rights differ between namespaces, some may refuse later; the prober bears with that.

    Raises:
        ApiError: the review failed.
    """
    mode = settings.probe_servers
    if mode == "off":
        return False
    if not route_of(mode, client.connection).through_api:
        return True
    missing = await missing_rights(client, settings.namespaces, (PROXY,))
    if missing and len(missing) >= len(settings.namespaces):
        log.info("Left servers unasked for want of a right", missing="; ".join(missing))
        return False
    return True
