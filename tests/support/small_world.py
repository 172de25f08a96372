# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A small world around the consistency tracker and the handlers.

An API server that numbers its states, foreigners who change things, watches that lag, lists that
skip states, answers that come late, reconciles that write and fail. Every method of :class:`World`
that takes a ``pick`` is a move that may come at any time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from controller.runtime import handlers
from controller.runtime.consistency import ConsistencyTracker
from controller.runtime.handlers import EnqueueMapped, EnqueueOwner, EnqueueSelf
from informers.dispatch import Handler
from informers.ports import Object, ObjectKey, Resource, key_of
from workqueue.core import QueueCore

OWNERS = Resource("example.org", "v1", "Owner", "owners")
CHILDREN = Resource("apps", "v1", "Child", "children")
RESOURCES = (OWNERS, CHILDREN)
GIVE_UP_S = 5.0
NAMES = ("x", "y")
PARTS = ("a", "b")


class Clocked:
    """The queue's core with the methods that handlers use."""

    def __init__(self) -> None:
        self.core = QueueCore[ObjectKey]()
        self.now = 0.0

    def add(self, key: ObjectKey, *, priority: int = 0) -> None:
        self.core.add(key, self.now, priority=priority)

    def add_after(self, key: ObjectKey, delay_s: float, *, priority: int = 0) -> None:
        self.core.add(key, self.now, priority=priority, delay=delay_s)


@dataclass
class Event:
    type: str
    obj: dict[str, Any]

    @property
    def version(self) -> int:
        return int(self.obj["metadata"]["resourceVersion"])


@dataclass
class Watch:
    """The server's history of one resource, and one informer's cache of it."""

    handlers: list[Handler]
    live: dict[ObjectKey, dict[str, Any]] = field(default_factory=dict)
    history: list[Event] = field(default_factory=list)
    delivered: int = 0
    cache: dict[ObjectKey, Object] = field(default_factory=dict)
    seen: int = 0


@dataclass
class Reconcile:
    """A running reconcile: what is still to be written, and what it knows."""

    owner: ObjectKey
    steps: list[Callable[[], None]]
    spec: int
    statuses: dict[ObjectKey, int]
    answer: Callable[[], None] | None = None


def picked(keys: Collection[ObjectKey], pick: int) -> list[ObjectKey]:
    """One of the keys, if there is one."""
    return [sorted(keys)[pick % len(keys)]] if keys else []


def child_key(owner: ObjectKey, part: str) -> ObjectKey:
    return ObjectKey(owner.namespace, f"{owner.name}-{part}")


def owner_of(child: Object) -> ObjectKey:
    return ObjectKey(child["metadata"]["namespace"], child["metadata"]["name"].partition("-")[0])


class World:
    """Server, informers, queue, one worker an owner."""

    def __init__(self, tracker_class: type[ConsistencyTracker] = ConsistencyTracker) -> None:
        self.queue = Clocked()
        self.tracker = tracker_class(clock=lambda: self.queue.now, give_up_s=GIVE_UP_S)
        queue, tracker = self.queue, self.tracker
        by_name = EnqueueMapped(
            queue, CHILDREN, mapper=lambda obj: [owner_of(obj)], tracker=tracker
        )
        by_owner = EnqueueOwner(queue, CHILDREN, owner=OWNERS, tracker=tracker)
        self.watches = {
            OWNERS: Watch([EnqueueSelf(queue, OWNERS, tracker=tracker)]),
            CHILDREN: Watch([by_owner, by_name]),
        }
        self.version = 100
        self.running: dict[ObjectKey, Reconcile] = {}
        self.own_versions: set[int] = set()
        self.writes: list[tuple[ObjectKey, Resource, int, float]] = []
        self.reasons: dict[ObjectKey, int] = {}
        self.calm = True
        self.postponed: set[ObjectKey] = set()
        for name in NAMES:
            metadata = {"namespace": "ns", "name": name, "uid": name}
            self._store(OWNERS, {"metadata": metadata, "spec": 0, "status": {}})

    # --- the server ------------------------------------------------------------------------

    def _store(self, resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
        """Create or change; the object must not be the stored one."""
        key = key_of(obj)
        watch = self.watches[resource]
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        watch.history.append(Event("MODIFIED" if key in watch.live else "ADDED", obj))
        watch.live[key] = obj
        return obj

    def _changed(self, resource: Resource, key: ObjectKey, **parts: Any) -> dict[str, Any]:
        return self._store(resource, {**copy.deepcopy(self.watches[resource].live[key]), **parts})

    def user_edits(self, pick: int) -> None:
        key = ObjectKey("ns", NAMES[pick % 2])
        self._changed(OWNERS, key, spec=self.watches[OWNERS].live[key]["spec"] + 1)

    def child_reports(self, pick: int) -> None:
        for key in picked(self.watches[CHILDREN].live, pick):
            self._changed(CHILDREN, key, status=self.watches[CHILDREN].live[key]["status"] + 1)

    def user_deletes_a_child(self, pick: int) -> None:
        watch = self.watches[CHILDREN]
        for key in picked(watch.live, pick):
            gone = copy.deepcopy(watch.live.pop(key))
            self.version += 1
            gone["metadata"]["resourceVersion"] = str(self.version)
            watch.history.append(Event("DELETED", gone))

    # --- the informers ---------------------------------------------------------------------

    def _tell(self, watch: Watch, changes: list[tuple[str, Object | None, Object]]) -> None:
        for handler in watch.handlers:  # each handler in its own order, as the dispatcher does
            for kind, old, new in changes:
                if kind == "DELETED":
                    handler.on_delete(new, final_state_unknown=False)
                elif kind == "VANISHED":
                    handler.on_delete(new, final_state_unknown=True)
                elif old is None:
                    handler.on_add(new, initial=False)
                else:
                    handler.on_update(old, new)

    def _foreign(self, version: int, obj: Object) -> None:
        if version not in self.own_versions:
            owner = owner_of(obj)
            self.reasons[owner] = self.reasons.get(owner, 0) + 1

    def _deliver(self, resource: Resource) -> None:
        watch = self.watches[resource]
        event = watch.history[watch.delivered]
        watch.delivered += 1
        watch.seen = max(watch.seen, event.version)
        key = key_of(event.obj)
        self._foreign(event.version, event.obj)
        if event.type == "DELETED":
            if watch.cache.pop(key, None) is not None:
                self._tell(watch, [("DELETED", None, event.obj)])
            return
        old = watch.cache.get(key)
        watch.cache[key] = event.obj
        self._tell(watch, [("CHANGED", old, event.obj)])

    def _undelivered(self, resource: Resource) -> int:
        watch = self.watches[resource]
        return len(watch.history) - watch.delivered

    def events_arrive(self, pick: int) -> None:
        resource = RESOURCES[pick % 2]
        for _ in range(min(1 + pick // 2, self._undelivered(resource))):
            self._deliver(resource)

    def watch_breaks_and_lists(self, pick: int) -> None:
        resource = RESOURCES[pick % 2]
        if self._undelivered(resource):
            self.calm = False
        watch = self.watches[resource]
        changes: list[tuple[str, Object | None, Object]] = [
            ("VANISHED", None, old) for key, old in watch.cache.items() if key not in watch.live
        ]
        for key, new in watch.live.items():
            old = watch.cache.get(key)
            if old != new:
                changes.append(("CHANGED", old, new))
        watch.cache = dict(watch.live)
        watch.delivered = len(watch.history)
        watch.seen = self.version
        self._tell(watch, changes)
        self._bookmark(resource)

    def _bookmark(self, resource: Resource) -> None:
        watch = self.watches[resource]
        watch.seen = self.version
        handlers.wake_consistent(
            self.queue, self.tracker, resource, lambda version: int(version) <= watch.seen
        )

    def bookmark_arrives(self, pick: int) -> None:
        resource = RESOURCES[pick % 2]
        if not self._undelivered(resource):
            self._bookmark(resource)

    # --- the controller --------------------------------------------------------------------

    def worker_takes_a_key(self, _: int = 0) -> None:
        item = self.queue.core.take(self.queue.now)
        if item is None:
            return
        owner = item.key
        self.postponed.discard(owner)
        wait = self.tracker.wait_for(owner)
        if wait is not None:
            self.postponed.add(owner)
            self.queue.core.add(owner, self.queue.now, priority=item.priority, delay=wait)
            self.queue.core.done(owner, self.queue.now)
            return
        self._check_nothing_own_is_invisible(owner)
        if self.calm:
            assert self.reasons.get(owner), f"{owner} was woken by our own write"
        self.reasons[owner] = 0
        self.tracker.started(owner)
        self.running[owner] = self._plan(owner)

    def _check_nothing_own_is_invisible(self, owner: ObjectKey) -> None:
        for writer, resource, version, at in self.writes:
            if writer == owner and self.watches[resource].seen < version:
                assert at + GIVE_UP_S <= self.queue.now, "a reconcile started on a stale cache"
                self.calm = False

    def _plan(self, owner: ObjectKey) -> Reconcile:
        cr = self.watches[OWNERS].cache[owner]
        cached = self.watches[CHILDREN].cache
        keys = [child_key(owner, part) for part in PARTS]
        running = Reconcile(
            owner, [], cr["spec"], {k: cached[k]["status"] for k in keys if k in cached}
        )
        for key in keys:
            if key not in cached and key.name.endswith(PARTS[1]):  # takes two writes
                running.steps.append(partial(self._apply_child, running, key))
            if key not in cached or cached[key]["spec"] != cr["spec"]:
                running.steps.append(partial(self._apply_child, running, key))
        running.steps.append(partial(self._apply_status, running, cr["status"]))
        return running

    def _apply_child(self, running: Reconcile, key: ObjectKey) -> None:
        if key in self.watches[CHILDREN].live:
            obj = self._changed(CHILDREN, key, spec=running.spec)
        else:
            reference = {
                "apiVersion": OWNERS.api_version,
                "kind": OWNERS.kind,
                "name": running.owner.name,
                "controller": True,
            }
            metadata = {
                "namespace": key.namespace,
                "name": key.name,
                "uid": f"{key.name}-{self.version}",
                "ownerReferences": [reference],
            }
            obj = self._store(CHILDREN, {"metadata": metadata, "spec": running.spec, "status": 0})
        self._sent(running, CHILDREN, obj)
        # What the cache did not show, only the answer tells; else answers are ignored, which is
        # harder than it has to be.
        running.statuses.setdefault(key, obj["status"])

    def _apply_status(self, running: Reconcile, old: dict[str, Any]) -> None:
        status = {"spec": running.spec} | {str(k): s for k, s in running.statuses.items()}
        if status != old:
            self._sent(running, OWNERS, self._changed(OWNERS, running.owner, status=status))

    def _sent(self, running: Reconcile, resource: Resource, obj: dict[str, Any]) -> None:
        version = int(obj["metadata"]["resourceVersion"])
        self.own_versions.add(version)

        def answer() -> None:
            self.writes.append((running.owner, resource, version, self.queue.now))
            self.tracker.wrote(
                running.owner,
                resource,
                key_of(obj),
                str(version),
                reached=self.watches[resource].seen >= version,
            )

        running.answer = answer

    def pass_goes_on(self, pick: int) -> None:
        for owner in picked(self.running, pick):
            running = self.running[owner]
            if running.answer is not None:
                running.answer()
                running.answer = None
            elif running.steps:
                running.steps.pop(0)()
            else:
                self._end(running, failed=False)

    def pass_fails(self, pick: int) -> None:
        """Also without the answer to its last write: carried out, but nobody knows."""
        for owner in picked(self.running, pick):
            running = self.running[owner]
            if running.answer is not None:
                self.calm = False
            self._end(running, failed=True)

    def _end(self, running: Reconcile, *, failed: bool) -> None:
        owner, now = running.owner, self.queue.now
        del self.running[owner]
        if failed:
            self.queue.core.add(owner, now, delay=0.5)
            self.reasons[owner] = self.reasons.get(owner, 0) + 1
        priority = self.tracker.finished(owner)
        if priority is not None:
            self.queue.core.add(owner, now, priority=priority)
        self.queue.core.done(owner, now)

    def time_passes(self, pick: int) -> None:
        self.queue.now += (0.1, 0.1, 0.1, 1.0, 1.0, 6.0)[pick]

    # --- the checks ------------------------------------------------------------------------

    def all_becomes_quiet(self, _: int = 0) -> None:
        """Without time passing beyond the back-off of failures, and without bookmarks."""
        for _ in range(500):
            for resource in self.watches:
                while self._undelivered(resource):
                    self._deliver(resource)
            if self.running:
                self.pass_goes_on(0)
                continue
            self.worker_takes_a_key()
            if not self.running and not self.queue.core.available:
                deadline = self.queue.core.next_deadline()
                if deadline is None:
                    break
                assert not self.postponed, "an owner waits although everything has arrived"
                self.queue.now = max(self.queue.now, deadline)
        else:
            raise AssertionError("the world never became quiet")
        self._check_the_world_is_right()

    def _check_the_world_is_right(self) -> None:
        for owner, cr in self.watches[OWNERS].live.items():
            children = {child_key(owner, part) for part in PARTS}
            live = self.watches[CHILDREN].live
            assert children <= live.keys(), "a child is missing"
            assert {live[key]["spec"] for key in children} == {cr["spec"]}, "a child is outdated"
            wanted = {"spec": cr["spec"]} | {str(k): live[k]["status"] for k in children}
            assert cr["status"] == wanted, "the status is outdated"
        self.calm = True
        self.reasons.clear()
