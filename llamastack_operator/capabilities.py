# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What kind of cluster is this, and is it fit for us? Asked once, before anything starts.

An API that not every cluster has is used where its group is served, and where it is not, nothing is
ever asked of it: no list, no watch. An API that appears later is found by the next start; OpenShift
has its own from the beginning. The list of groups is one request, and it names the groups of an
aggregated API also while the server behind it is away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from controller.llamastack.objects.kinds import (
    ANYUID_ROLE,
    CLUSTER_ROLE,
    LLAMA_STACK,
    ROLE_BINDING,
    ROUTE,
    SECURITY_CONTEXT_CONSTRAINTS,
)
from controller.llamastack.render.inputs import Options
from controller.llamastack.watches import BINDING_RIGHTS, OPTIONAL_WATCHES, RIGHTS, ROUTE_RIGHTS
from informers.errors import NotFound
from informers.ports import ObjectKey
from llamastack_operator.kube.preflight import check_rights, check_served
from llamastack_operator.operator_config_watch import RIGHTS as OWN_RIGHTS
from llamastack_operator.own_image import own_image

if TYPE_CHECKING:
    from controller.llamastack.watches import Watch
    from llamastack_operator.kube.preflight import Rules
    from llamastack_operator.kube.rest import Client
    from llamastack_operator.settings import Settings

log = structlog.get_logger(__name__)

_TIMEOUT_S = 10.0

IMAGE_VOLUMES_SINCE: Final = 35
"""Kubernetes 1.35 has them switched on."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The cluster, as far as it makes a difference.

    Attributes:
        options: what shapes children.
        watches: rows of the watch table that only some clusters have.
    """

    options: Options
    watches: tuple[Watch, ...]


async def detect_capabilities(
    client: Client, settings: Settings, *, pod_name: str = ""
) -> Capabilities:
    """See what is there and whether we may do all that we are going to do.

    Args:
        client: of the cluster.
        settings: from flags and environment.
        pod_name: of the operator's own pod; empty outside of a cluster.

    Raises:
        NotFit: something is missing, and the message says what.
        ApiError: a question failed.
    """
    await check_served(client, LLAMA_STACK)
    groups = await api_groups(client)
    routes = ROUTE.api_version in groups
    needed = (*RIGHTS, *(ROUTE_RIGHTS if routes else ()))
    rules = await check_rights(client, settings.namespaces, needed)
    own = settings.leader_elect_namespace
    if own and settings.namespaces and own not in settings.namespaces:
        # It lives where it does not work, and has few rights there.
        await check_rights(client, (own,), OWN_RIGHTS)
    fixed_uids = settings.fixed_uids == "true" or (
        settings.fixed_uids == "auto" and SECURITY_CONTEXT_CONSTRAINTS.api_version not in groups
    )
    options = Options(
        fixed_uids=fixed_uids,
        operator_namespace=own,
        routes=routes,
        role_bindings=await _may_bind(client, settings, rules),
        merge_image=await own_image(client, settings, pod_name),
        image_volumes=await _mounts_images(client, settings),
        preflight=settings.preflight,
        install_memory=settings.external_provider_memory,
        install_size=settings.external_provider_volume,
    )
    log.info(
        "Detected capabilities",
        routes=options.routes,
        fixed_uids=options.fixed_uids,
        role_bindings=options.role_bindings,
        operator_image=options.merge_image,
        image_volumes=options.image_volumes,
    )
    there = {ROUTE: options.routes, ROLE_BINDING: options.role_bindings}
    return Capabilities(options, tuple(w for w in OPTIONAL_WATCHES if there[w.resource]))


async def api_groups(client: Client) -> set[str]:
    """Every group that the cluster serves, with each of its versions.

    Raises:
        ApiError: the question failed.
    """
    answer = await client.request("GET", "/apis", timeout_s=_TIMEOUT_S)
    return {
        str(version.get("groupVersion"))
        for group in answer.get("groups") or ()
        for version in group.get("versions") or ()
    }


async def _mounts_images(client: Client, settings: Settings) -> bool:
    """Whether pods mount the images of external providers (KEP-4639)."""
    if settings.external_provider_delivery != "auto":
        return settings.external_provider_delivery == "image-volume"
    version = await client.request("GET", "/version", timeout_s=_TIMEOUT_S)
    digits = re.match(r"\d+", str(version.get("minor", "")))
    return int(digits.group()) >= IMAGE_VOLUMES_SINCE if digits else False


async def _may_bind(client: Client, settings: Settings, rules: Rules) -> bool:
    """Whether an administrator gave us the right to bind the ClusterRole, and there is one.

    A Role cannot give the right to look at a ClusterRole, so this is for whole clusters only.
    """
    if settings.namespaces or not all(rules.allow(right) for right in BINDING_RIGHTS):
        return False
    try:
        await client.get(CLUSTER_ROLE, ObjectKey("", ANYUID_ROLE))
    except NotFound:
        return False
    return True
