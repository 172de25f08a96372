# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which image this process runs in: pods with external providers merge their configuration in it.

Told by a setting, or found out from the operator's own pod, whose name and namespace come from the
downward API. It is listed, not read: the operator lists pods anyway. There is no image to fall back
to: one of another version would make another configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from controller.llamastack.objects.kinds import POD
from informers.errors import Forbidden

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from llamastack_operator.kube.rest import Client
    from llamastack_operator.settings import Settings

log = structlog.get_logger(__name__)

CONTAINER: Final = "manager"
"""The operator's container in ``deploy/manager``."""

_TIMEOUT_S: Final = 10.0


async def own_image(client: Client, settings: Settings, pod_name: str) -> str:
    """The image; empty if it cannot be told.

    Args:
        client: of the cluster.
        settings: with the image, if somebody said it, and the operator's own namespace.
        pod_name: of the operator's pod; empty outside of a cluster.

    Raises:
        ApiError: the question failed.
    """
    namespace = settings.leader_elect_namespace
    if settings.operator_image or not (pod_name and namespace):
        return settings.operator_image
    query = {"fieldSelector": f"metadata.name={pod_name}"}
    try:
        found = await client.request(
            "GET", POD.path(namespace=namespace), query=query, timeout_s=_TIMEOUT_S
        )
    except Forbidden:
        log.warning(
            "Left the operator's own image unknown, because the right to list pods is missing",
            namespace=namespace,
        )
        return ""
    return next(map(_image_of, found.get("items") or ()), "")


def _image_of(pod: Mapping[str, Any]) -> str:
    containers = pod["spec"]["containers"]
    ours = [each for each in containers if each["name"] == CONTAINER]
    found = ours or (containers if len(containers) == 1 else ())
    return str(found[0]["image"]) if found else ""
