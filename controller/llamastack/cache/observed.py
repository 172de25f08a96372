# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What one reconcile sees of the cluster, read from the caches once, at its start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.llamastack.objects.installs import INSTALLS
from controller.llamastack.objects.kinds import DEPLOYMENT, PERSISTENT_VOLUME_CLAIM
from controller.llamastack.objects.leaving import LEAVING
from controller.llamastack.objects.pods import TROUBLE
from controller.llamastack.objects.stored_status import with_readable_status
from controller.llamastack.render import names

if TYPE_CHECKING:
    from controller.llamastack.cache.readers import Caches
    from informers.ports import Object


@dataclass(frozen=True, slots=True)
class Observed:
    """The resource and what is there of its own.

    Attributes:
        cr: the resource; without its status if that cannot be read.
        now: RFC 3339, when it was read.
        deployment: its live Deployment, or ``None``; somebody else's of that name says nothing of
            our server.
        claim: its live claim, or ``None``.
        pods: those of its pods that are in trouble.
        installing: those that install external providers, or have.
        leaving: those that were deleted and are still there.
    """

    cr: Object
    now: str
    deployment: Object | None = None
    claim: Object | None = None
    pods: tuple[Object, ...] = ()
    installing: tuple[Object, ...] = ()
    leaving: tuple[Object, ...] = ()

    @property
    def deleting(self) -> bool:
        """Whether the resource is being deleted."""
        return bool(self.cr["metadata"].get("deletionTimestamp"))


def observe(caches: Caches, cr: Object, now: str) -> Observed:
    """Look at everything that is cached of a resource.

    Args:
        caches: the cached cluster.
        cr: the resource.
        now: RFC 3339.
    """
    name, pods = cr["metadata"]["name"], caches.kept_pods_of(cr)
    return Observed(
        cr=with_readable_status(cr),
        now=now,
        deployment=caches.owned(DEPLOYMENT, names.deployment(name), cr),
        claim=caches.owned(PERSISTENT_VOLUME_CLAIM, names.claim(name), cr),
        pods=tuple(pod for pod in pods if TROUBLE in pod),
        installing=tuple(pod for pod in pods if INSTALLS in pod),
        leaving=tuple(pod for pod in pods if LEAVING in pod),
    )
