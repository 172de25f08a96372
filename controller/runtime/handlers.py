# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""From an event to the keys that have to be looked at; controller-runtime's ``handler`` package.

A handler does not carry the event on: it adds keys to the queue, and the reconciler looks at
the whole world (D5). It decides two things only:

**How urgent.** What was there before (initial list) and what did not change (resync: same
resourceVersion on both sides) is :data:`~workqueue.LOW_PRIORITY`, so that a restart with a
thousand objects does not delay the one that somebody just edited (B4, C9).

**Whether at all.** A predicate may drop updates that change nothing of interest, and events that
merely show our own writes wake nobody (B13, see :mod:`controller.runtime.consistency`).

Updates map the old and the new object: an object that moves from one owner to another concerns
both. Handlers are synchronous and only enqueue (B12). They satisfy the ``Handler`` protocol of
the informers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Protocol, TypeAlias, TypedDict, Unpack

from controller.runtime.consistency import ConsistencyTracker, Echo
from informers.dispatch import Handler
from informers.ports import Object, ObjectKey, Resource, key_of
from workqueue import LOW_PRIORITY

__all__ = [
    "Adder",
    "EnqueueMapped",
    "EnqueueOwner",
    "EnqueueSelf",
    "Handler",
    "Predicate",
    "only_ours",
    "wake_consistent",
]


class Adder(Protocol):
    """The one thing that handlers do with a queue."""

    def add(self, key: ObjectKey, *, priority: int = 0) -> None:
        """Somebody has to look at this key."""
        ...

    def add_after(self, key: ObjectKey, delay_s: float, *, priority: int = 0) -> None:
        """Likewise, but not at once; an ``add`` in the meantime replaces it."""
        ...


Predicate: TypeAlias = Callable[[Object, Object], bool]
"""Whether an update from the first object to the second is of interest."""

_NOT_CONTENT = frozenset({"resourceVersion", "managedFields", "finalizers"})


def only_ours(old: Object | None, new: Object, *, itself: bool) -> bool:
    """Whether an event with the version of an own write can show nothing but that write.

    After a gap in the watch one event may hide others: a foreign change that came just before
    our write. Ours touches one half of an object. What a child tells its owner is in the other
    half, its status; what an owner tells itself is everything but its status. If that half
    differs between the state reported before and this one, somebody else was there, too.

    Args:
        old: the state reported before; ``None`` if there was none.
        new: the state now, with the version of an own write.
        itself: the object is the owner.
    """
    if old is None:
        return True
    before, after = old["metadata"], new["metadata"]
    if not itself:
        return (
            old.get("status") == new.get("status")
            and before.get("uid") == after.get("uid")
            and before.get("deletionTimestamp") == after.get("deletionTimestamp")
        )
    return _content(before, _NOT_CONTENT) == _content(after, _NOT_CONTENT) and _content(
        old, _STATUS_AND_METADATA
    ) == _content(new, _STATUS_AND_METADATA)


_STATUS_AND_METADATA = frozenset({"status", "metadata"})


def _content(part: Object, without: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name not in without}


Mapper: TypeAlias = Callable[[Object], Iterable[ObjectKey]]
"""The keys that an object concerns."""


class _Options(TypedDict, total=False):
    """What every handler takes; see :class:`EnqueueSelf`."""

    predicate: Predicate | None
    tracker: ConsistencyTracker | None
    patience_s: float


class _Enqueue:
    """What all handlers have in common; a subclass says which keys an object concerns."""

    _itself: ClassVar[bool] = False

    def __init__(
        self,
        queue: Adder,
        resource: Resource,
        *,
        predicate: Predicate | None = None,
        tracker: ConsistencyTracker | None = None,
        patience_s: float = 0.0,
    ) -> None:
        """One handler for one informer (or several of the same resource).

        Args:
            queue: of the controller.
            resource: of the objects.
            predicate: which updates are of interest; all of them by default. Additions,
                deletions and resyncs are not asked about.
            tracker: recognises own writes; without it they wake like all others.
            patience_s: how long an event may wait for another one that says more.
        """
        self._queue = queue
        self._resource = resource
        self._predicate = predicate
        self._tracker = tracker
        self._patience_s = patience_s

    def keys(self, obj: Object) -> Iterable[ObjectKey]:
        """The keys to reconcile."""
        raise NotImplementedError

    def on_add(self, obj: Object, *, initial: bool) -> None:
        """An object appeared; nothing happened just now if ``initial``."""
        echo = self._observed(obj)
        if initial:
            self._add(self.keys(obj), LOW_PRIORITY)
        else:
            self._wake(self.keys(obj), echo, None, obj)

    def on_update(self, old: Object, new: Object) -> None:
        """An object changed, or is merely shown again."""
        if _version(old) == _version(new):
            self._add(self.keys(new), LOW_PRIORITY)
            return
        echo = self._observed(new)
        if self._predicate is None or self._predicate(old, new):
            keys = dict.fromkeys((*self.keys(old), *self.keys(new)))
            self._wake(keys, echo, old, new)

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        """An object is not visible any more. That is never the echo of a version we know."""
        if self._tracker is not None:
            version = "" if final_state_unknown else _version(obj)
            echo = self._tracker.observed(self._resource, key_of(obj), version, gone=True)
            self._add(echo.wake, LOW_PRIORITY)
        self._add(self.keys(obj), 0)

    def _observed(self, obj: Object) -> Echo:
        if self._tracker is None:
            return Echo(foreign=True)
        echo = self._tracker.observed(self._resource, key_of(obj), _version(obj))
        # Whoever waits is in the queue, with its own priority: this one does not lower it.
        self._add(echo.wake, LOW_PRIORITY)
        return echo

    def _wake(
        self, owners: Iterable[ObjectKey], echo: Echo, old: Object | None, new: Object
    ) -> None:
        for owner in owners:
            if echo.foreign or not self._is_quiet(owner, echo, old, new):
                self._look_at(owner)

    def _look_at(self, owner: ObjectKey) -> None:
        if self._patience_s:
            self._queue.add_after(owner, self._patience_s)
        else:
            self._queue.add(owner)

    def _is_quiet(self, owner: ObjectKey, echo: Echo, old: Object | None, new: Object) -> bool:
        """Whether the event is, or may turn out to be, nothing but a write of this owner."""
        tracker = self._tracker
        if tracker is None:
            return False
        if echo.writer is None:
            if not tracker.is_reconciling(owner):
                return False
        elif echo.writer != owner:
            return False
        if not only_ours(old, new, itself=self._itself):
            return False
        if echo.writer is not None:
            return True
        return tracker.defer(owner, self._resource, key_of(new), _version(new), priority=0)

    def _add(self, keys: Iterable[ObjectKey], priority: int) -> None:
        for key in keys:
            self._queue.add(key, priority=priority)


class EnqueueSelf(_Enqueue):
    """For the kind that is reconciled: the object's own key."""

    _itself = True

    def keys(self, obj: Object) -> Iterable[ObjectKey]:
        """The key of the object."""
        return (key_of(obj),)


class EnqueueOwner(_Enqueue):
    """For children: the controlling owner, if it is of the kind that is reconciled.

    Group and kind must match, the version need not: references live through upgrades. The uid is
    left to the reconciler: only it knows which incarnation is alive.
    """

    def __init__(
        self, queue: Adder, resource: Resource, *, owner: Resource, **options: Unpack[_Options]
    ) -> None:
        """``owner`` is the kind that is reconciled; for the rest see :class:`EnqueueSelf`."""
        super().__init__(queue, resource, **options)
        self._owner = owner

    def keys(self, obj: Object) -> Iterable[ObjectKey]:
        """The key of the controlling owner, or nothing."""
        metadata = obj["metadata"]
        for reference in metadata.get("ownerReferences") or ():
            if reference.get("controller") and self._is_ours(reference):
                namespace = metadata.get("namespace", "") if self._owner.namespaced else ""
                return (ObjectKey(namespace, reference["name"]),)
        return ()

    def _is_ours(self, reference: Object) -> bool:
        group = str(reference.get("apiVersion", "")).rpartition("/")[0]
        return reference.get("kind") == self._owner.kind and group == self._owner.group


class EnqueueMapped(_Enqueue):
    """For whatever else is referred to: a function, usually a look into an index."""

    def __init__(
        self, queue: Adder, resource: Resource, *, mapper: Mapper, **options: Unpack[_Options]
    ) -> None:
        """``mapper`` gives the keys; for the rest see :class:`EnqueueSelf`."""
        super().__init__(queue, resource, **options)
        self._mapper = mapper

    def keys(self, obj: Object) -> Iterable[ObjectKey]:
        """What the function says."""
        return self._mapper(obj)


def wake_consistent(
    queue: Adder,
    tracker: ConsistencyTracker,
    resource: Resource,
    reached: Callable[[str], bool],
    *,
    namespace: str = "",
) -> None:
    """A bookmark or a list moved a store: wake who waited for it. A progress listener.

    Args:
        queue: of the controller.
        tracker: of the controller.
        resource: of the store.
        reached: whether the store has seen a version.
        namespace: of the store, if it is limited to one.
    """
    for owner in tracker.progressed(resource, reached, namespace=namespace):
        queue.add(owner, priority=LOW_PRIORITY)


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))
