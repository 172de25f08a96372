# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Tells the consistency tracker of every write, so that no reconcile starts on a cache without it.

What this process wrote has to be seen before it acts on the resource again (B13).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from informers.ports import key_of

if TYPE_CHECKING:
    from controller.llamastack.cache.readers import Caches
    from controller.runtime.consistency import ConsistencyTracker
    from informers.ports import Object, Resource


class OwnWrites:
    """What this process wrote for each resource.

    Args:
        consistency: keeps it until the cache shows it.
        caches: may show it already.
    """

    def __init__(self, consistency: ConsistencyTracker, caches: Caches) -> None:
        self._consistency = consistency
        self._caches = caches

    def remember(self, cr: Object, resource: Resource, live: Object) -> None:
        """An object of that kind was written, and this is the answer."""
        key, version = key_of(live), live["metadata"]["resourceVersion"]
        reached = self._caches.of(resource).reached(key, version)
        self._consistency.wrote(key_of(cr), resource, key, version, reached=reached)
