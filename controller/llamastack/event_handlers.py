# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""From an event of any watched kind to the key of one LlamaStackDistribution."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from controller.llamastack.cache.reference_index import (
    REFERENCE_INDEX,
    Referenced,
    reference_index,
    referred_object,
)
from controller.llamastack.children import table
from controller.llamastack.objects.installs import INSTALLS
from controller.llamastack.objects.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    DEPLOYMENT,
    LLAMA_STACK,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    RETAINED_FOR,
    SECRET,
)
from controller.llamastack.objects.leaving import LEAVING
from controller.llamastack.objects.pods import TROUBLE, instance_index
from controller.llamastack.objects.rollout import assess
from controller.llamastack.status.claim import (
    BOUND_REPORT_DELAY_S,
    may_change_status,
    needs_reconcile,
)
from controller.runtime.handlers import EnqueueMapped, EnqueueOwner, EnqueueSelf, Handler
from informers.ports import ObjectKey, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from controller.llamastack.cache.readers import CacheKey, Caches
    from controller.llamastack.reconciler import LlamaStackReconciler
    from controller.llamastack.references.read_cache import VersionedReadCache
    from controller.runtime.consistency import ConsistencyTracker
    from controller.runtime.handlers import Predicate
    from informers.ports import Object, Resource
    from workqueue import RateLimitingQueue

PATIENCE_S = 1.0
"""The trouble of a pod only explains why a rollout is no further, and nearly every pod has some for
a moment when it starts: so it waits this long for the event of the Deployment that it explains."""

CHILDREN = (*table.RESOURCES, CONFIG_MAP, SECRET)


def handlers(
    *,
    queue: RateLimitingQueue[ObjectKey],
    consistency: ConsistencyTracker,
    caches: Caches,
    read_caches: Mapping[Resource, VersionedReadCache[Any]],
    reconciler: LlamaStackReconciler,
) -> Iterator[tuple[CacheKey, Handler]]:
    """Every handler and the cache whose events it wants; memories first, then the queue.

    Args:
        queue: gets the keys.
        consistency: recognises our own writes.
        caches: hold the index that maps an object to the resources that name it.
        read_caches: by kind; are told when one may be out of date, before anybody is woken.
        reconciler: is told what is gone.
    """
    yield LLAMA_STACK, _Forgetting(reconciler, read_caches, caches)
    yield LLAMA_STACK, EnqueueSelf(queue, LLAMA_STACK, tracker=consistency)
    for child in CHILDREN:
        yield child, _ForgettingChildren(reconciler)
        yield (
            child,
            EnqueueOwner(
                queue,
                child,
                owner=LLAMA_STACK,
                predicate=_PREDICATES.get(child),
                tracker=consistency,
            ),
        )
    for handler in _of_claims(queue, consistency):
        yield PERSISTENT_VOLUME_CLAIM, handler
    yield (
        POD,
        EnqueueMapped(
            queue,
            POD,
            mapper=_owners_of_pod,
            predicate=_other_trouble,
            patience_s=PATIENCE_S,
        ),
    )
    # Users may name a ConfigMap that has our label, too.
    for cache in (Referenced(SECRET), Referenced(CONFIG_MAP), CONFIG_MAP):
        kind = cache.resource if isinstance(cache, Referenced) else cache
        users = functools.partial(caches.users_of, kind)
        yield cache, _Outdating(read_caches[kind])
        yield cache, EnqueueMapped(queue, kind, mapper=users)


def _of_claims(
    queue: RateLimitingQueue[ObjectKey], consistency: ConsistencyTracker
) -> Iterator[Handler]:
    """Updates that need no reconcile may change the status all the same, but not at once."""
    kind, later = PERSISTENT_VOLUME_CLAIM, BOUND_REPORT_DELAY_S
    for predicate, patience_s in ((needs_reconcile, 0.0), (may_change_status, later)):
        yield EnqueueMapped(
            queue,
            kind,
            mapper=_kept_for,
            predicate=predicate,
            tracker=consistency,
            patience_s=patience_s,
        )
    yield EnqueueOwner(
        queue,
        kind,
        owner=LLAMA_STACK,
        predicate=may_change_status,
        tracker=consistency,
        patience_s=later,
    )


def _owners_of_pod(pod: Object) -> list[ObjectKey]:
    return [ObjectKey(*key.split("/", 1)) for key in instance_index(pod)]


def _kept_for(claim: Object) -> list[ObjectKey]:
    """A claim that outlives its resource has no owner reference."""
    key, annotations = key_of(claim), claim["metadata"].get("annotations") or {}
    return (
        [ObjectKey(key.namespace, annotations[RETAINED_FOR])] if RETAINED_FOR in annotations else []
    )


def _other_trouble(old: Object, new: Object) -> bool:
    """Whether the trouble reads differently; a crash loop restarts its container many times."""
    return any(old.get(key) != new.get(key) for key in (TROUBLE, INSTALLS, LEAVING))


def _rollout_changed(old: Object, new: Object) -> bool:
    """Whether an update of a Deployment can change what a reconcile would do or report.

    A rollout updates the status half a dozen times; most of that reads the same in our words.
    """
    before, after = dict(old["metadata"]), dict(new["metadata"])
    before["resourceVersion"] = after["resourceVersion"]
    return before != after or old["spec"] != new["spec"] or assess(old) != assess(new)


def _content_changed(old: Object, new: Object) -> bool:
    """Whether anything but the status changed, which its controller writes every few seconds."""
    before, after = dict(old["metadata"]), dict(new["metadata"])
    before["resourceVersion"] = after["resourceVersion"]
    return before != after or old.get("spec") != new.get("spec")


_PREDICATES: dict[Resource, Predicate] = {
    DEPLOYMENT: _rollout_changed,
    AUTOSCALER: _content_changed,
    POD_DISRUPTION_BUDGET: _content_changed,
    PERSISTENT_VOLUME_CLAIM: needs_reconcile,
}
"""Which updates of a child are of interest; all of them where there is no row."""


class _Quiet:
    """A handler of which subclasses override the events that they want."""

    def on_add(self, obj: Object, *, initial: bool) -> None:
        """Nothing to do."""

    def on_update(self, old: Object, new: Object) -> None:
        """Nothing to do."""

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        """Nothing to do."""


class _Forgetting(_Quiet):
    """What was remembered of a resource goes with it, or with its references."""

    def __init__(
        self,
        reconciler: LlamaStackReconciler,
        read_caches: Mapping[Resource, VersionedReadCache[Any]],
        caches: Caches,
    ) -> None:
        self._reconciler = reconciler
        self._read_caches = read_caches
        self._caches = caches

    def on_update(self, old: Object, new: Object) -> None:
        """A new uid is another resource of the same name."""
        if old["metadata"].get("uid") != new["metadata"].get("uid"):
            self._reconciler.forget(old)
        if old["metadata"].get("generation") != new["metadata"].get("generation"):
            self._forget_summaries(old)

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        """Gone."""
        self._reconciler.forget(obj)
        self._forget_summaries(obj)

    def _forget_summaries(self, cr: Object) -> None:
        for entry in reference_index(cr):
            resource, key = referred_object(entry)
            if not any(self._caches.resources.by_index(REFERENCE_INDEX, entry)):
                self._read_caches[resource].forget(key)


class _ForgettingChildren(_Quiet):
    """Likewise for a child."""

    def __init__(self, reconciler: LlamaStackReconciler) -> None:
        self._reconciler = reconciler

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        """Gone."""
        self._reconciler.forget_child(obj)


class _Outdating(_Quiet):
    """Tells a read cache which summaries are out of date."""

    def __init__(self, read_cache: VersionedReadCache[Any]) -> None:
        self._read_cache = read_cache

    def on_add(self, obj: Object, *, initial: bool) -> None:
        """Appeared, or changed while nobody referred to it."""
        self._read_cache.changed(key_of(obj), _version(obj))

    def on_update(self, old: Object, new: Object) -> None:
        """Changed."""
        self._read_cache.changed(key_of(new), _version(new))

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        """Gone."""
        self._read_cache.changed(key_of(obj), "")


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))
