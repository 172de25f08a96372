# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is watched, how much of it is kept, and which resource an event concerns.

The table is read by the manager, which makes one informer of each row and namespace. Rows that
keep only what is referred to start when the others have synced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controller.llamastack.cache.readers import OWNER_INDEX, owner_index
from controller.llamastack.cache.reference_index import REFERENCE_INDEX, Referenced, reference_index
from controller.llamastack.objects.author import keep_version
from controller.llamastack.objects.claims import keep_claim
from controller.llamastack.objects.kinds import (
    ANYUID_ROLE,
    AUTOSCALER,
    CLUSTER_ROLE,
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    INGRESS,
    LLAMA_STACK,
    MANAGED_BY_SELECTOR,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    ROLE_BINDING,
    ROUTE,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    UNMANAGED_SELECTOR,
)
from controller.llamastack.objects.pause import keep_pause
from controller.llamastack.objects.pods import POD_INDEX, instance_index, keep_trouble
from controller.llamastack.references.storage_content import keep_held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from controller.llamastack.cache.readers import CacheKey
    from informers.ports import Object, Resource


@dataclass(frozen=True, slots=True)
class Watch:
    """One row.

    Attributes:
        resource: the kind.
        label_selector: limits what the server sends.
        metadata_only: whether spec, status and data stay with the server.
        referenced_only: keep only objects that a resource refers to; the cluster may hold
            thousands that are none of our business.
        transform: what is kept of an object, ``None`` to hide it; all but noise by default.
        indexers: by name.
    """

    resource: Resource
    label_selector: str = ""
    metadata_only: bool = False
    referenced_only: bool = False
    transform: Callable[[dict[str, Any]], Object | None] | None = None
    indexers: Mapping[str, Callable[[Object], Iterable[str]]] = field(default_factory=dict)

    @property
    def key(self) -> CacheKey:
        """Names the cache; no two rows have the same."""
        return Referenced(self.resource) if self.referenced_only else self.resource


POD_SELECTOR = "app=llama-stack"
"""The label that every pod of ours has, by the selector of its Deployment (R-D10)."""

WATCHES = (
    Watch(LLAMA_STACK, transform=keep_version, indexers={REFERENCE_INDEX: reference_index}),
    Watch(DEPLOYMENT, MANAGED_BY_SELECTOR, transform=keep_pause),
    Watch(SERVICE, MANAGED_BY_SELECTOR),
    Watch(SERVICE_ACCOUNT, MANAGED_BY_SELECTOR),
    Watch(POD_DISRUPTION_BUDGET, MANAGED_BY_SELECTOR),
    Watch(AUTOSCALER, MANAGED_BY_SELECTOR),
    Watch(INGRESS, MANAGED_BY_SELECTOR),
    Watch(PERSISTENT_VOLUME_CLAIM, MANAGED_BY_SELECTOR, transform=keep_claim),
    Watch(NETWORK_POLICY, MANAGED_BY_SELECTOR),
    Watch(CONFIG_MAP, MANAGED_BY_SELECTOR, metadata_only=True, indexers={OWNER_INDEX: owner_index}),
    # With the names of the keys that we wrote, which tells whether somebody changed them.
    Watch(SECRET, MANAGED_BY_SELECTOR, metadata_only=True, transform=keep_held),
    # Only pods in trouble or on their way out are kept, and of them no more than that.
    Watch(POD, POD_SELECTOR, transform=keep_trouble, indexers={POD_INDEX: instance_index}),
    # No label is demanded of users, so all are streamed, without data, and few are kept.
    Watch(CONFIG_MAP, UNMANAGED_SELECTOR, metadata_only=True, referenced_only=True),
    Watch(SECRET, metadata_only=True, referenced_only=True),
)

OPTIONAL_WATCHES = (
    Watch(ROUTE, MANAGED_BY_SELECTOR),
    Watch(ROLE_BINDING, MANAGED_BY_SELECTOR),
)
"""Only where the cluster has them (``llamastack_operator.capabilities``)."""


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource, needed in every watched namespace.

    Attributes:
        verb: e.g. ``list``.
        resource: which kind.
        subresource: e.g. ``status``; empty for the object itself.
        name: of the one object that it is needed for; empty for all.
    """

    verb: str
    resource: Resource
    subresource: str = ""
    name: str = ""


def _rights(resource: Resource, *verbs: str, subresource: str = "") -> list[Right]:
    return [Right(verb, resource, subresource) for verb in verbs]


RIGHTS: tuple[Right, ...] = (
    *_rights(LLAMA_STACK, "list", "watch"),
    *_rights(LLAMA_STACK, "patch", subresource="status"),
    # Owner references with blockOwnerDeletion need it where that admission plug-in is on.
    *_rights(LLAMA_STACK, "update", subresource="finalizers"),
    *_rights(DEPLOYMENT, "get", "list", "watch", "create", "patch"),
    *_rights(REPLICA_SET, "list"),
    *_rights(SERVICE, "get", "list", "watch", "create", "patch"),
    *_rights(SERVICE_ACCOUNT, "get", "list", "watch", "create", "patch"),
    *_rights(POD, "list", "watch"),
    *_rights(INGRESS, "get", "list", "watch", "create", "patch", "delete"),
    # Never deleted: it goes with its owner reference, or stays.
    *_rights(PERSISTENT_VOLUME_CLAIM, "get", "list", "watch", "create", "patch"),
    *_rights(NETWORK_POLICY, "get", "list", "watch", "create", "patch", "delete"),
    *_rights(POD_DISRUPTION_BUDGET, "get", "list", "watch", "create", "patch", "delete"),
    *_rights(AUTOSCALER, "get", "list", "watch", "create", "patch", "delete"),
    *_rights(CONFIG_MAP, "get", "list", "watch", "create", "patch", "delete"),
    *_rights(SECRET, "get", "list", "watch", "create", "patch", "delete"),
    *_rights(EVENT, "create", "patch"),
)
"""What the controller does in every cluster; ``deploy/rbac`` grants it, the start checks it."""

ROUTE_RIGHTS: tuple[Right, ...] = (
    *_rights(ROUTE, "get", "list", "watch", "create", "patch", "delete"),
    # OpenShift asks for them when a Route names its host or certificate, or another one.
    *_rights(ROUTE, "create", "update", subresource="custom-host"),
)
"""Where there are Routes; ``deploy/rbac`` grants them, too: what is not served is not granted."""

BINDING_RIGHTS: tuple[Right, ...] = (
    *_rights(ROLE_BINDING, "get", "list", "watch", "create", "patch", "delete"),
    Right("get", CLUSTER_ROLE, name=ANYUID_ROLE),
    Right("bind", CLUSTER_ROLE, name=ANYUID_ROLE),
)
"""Granted by ``deploy/openshift-anyuid`` only; without them no RoleBinding is made."""
