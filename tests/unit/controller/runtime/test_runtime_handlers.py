# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Handlers: which keys an event concerns, how urgently, and whether at all (B4, B13, C9)."""

from __future__ import annotations

from typing import Any

import pytest

from controller.runtime.consistency import ConsistencyTracker
from controller.runtime.handlers import (
    EnqueueMapped,
    EnqueueOwner,
    EnqueueSelf,
    Handler,
    only_ours,
    wake_consistent,
)
from informers.ports import Object, ObjectKey, Resource
from workqueue import LOW_PRIORITY

THINGS = Resource("example.org", "v1", "Thing", "things")
CLUSTER_THINGS = Resource("example.org", "v1", "Thing", "things", namespaced=False)
PARTS = Resource("apps", "v1", "Part", "parts")
OWNER = ObjectKey("ns", "owner")
PART = ObjectKey("ns", "part")


class Added(list[tuple[ObjectKey, int]]):
    """A queue that only remembers what was added."""

    def __init__(self) -> None:
        super().__init__()
        self.later: list[tuple[ObjectKey, float]] = []

    def add(self, key: ObjectKey, *, priority: int = 0) -> None:
        self.append((key, priority))

    def add_after(self, key: ObjectKey, delay_s: float, *, priority: int = 0) -> None:
        self.later.append((key, delay_s))


@pytest.fixture
def queue() -> Added:
    return Added()


@pytest.fixture
def tracker() -> ConsistencyTracker:
    return ConsistencyTracker(clock=lambda: 0.0)


def thing(version: int = 1, *, key: ObjectKey = OWNER, **parts: Any) -> dict[str, Any]:
    metadata = {"namespace": key.namespace, "name": key.name, "uid": "u"}
    return {"metadata": metadata | {"resourceVersion": str(version)}, **parts}


def part(version: int = 1, *, owner: str = "owner", status: int = 0) -> dict[str, Any]:
    obj = thing(version, key=PART, status=status)
    obj["metadata"]["ownerReferences"] = [reference(name=owner)]
    return obj


def reference(**changes: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.org/v1",
        "kind": "Thing",
        "name": "owner",
        "controller": True,
    } | changes


def parts_handler(queue: Added, tracker: ConsistencyTracker | None = None) -> EnqueueOwner:
    return EnqueueOwner(queue, PARTS, owner=THINGS, tracker=tracker)


# --- which keys -----------------------------------------------------------------------------


def test_handlers_are_handlers(queue: Added) -> None:
    handlers: list[Handler] = [
        EnqueueSelf(queue, THINGS),
        EnqueueOwner(queue, PARTS, owner=THINGS),
        EnqueueMapped(queue, PARTS, mapper=lambda obj: [OWNER]),
    ]

    for handler in handlers:
        handler.on_delete(part(), final_state_unknown=False)

    assert queue == [(PART, 0), (OWNER, 0), (OWNER, 0)]


def test_object_concerns_itself(queue: Added) -> None:
    EnqueueSelf(queue, THINGS).on_add(thing(), initial=False)

    assert queue == [(OWNER, 0)]


@pytest.mark.parametrize(
    "references",
    [
        None,
        [],
        [reference(controller=False)],
        [reference(kind="Stranger")],
        [reference(apiVersion="other.org/v1")],
        [reference(apiVersion="v1")],
        [reference(apiVersion="example.org.evil/v1")],
    ],
)
def test_object_without_our_owner_concerns_nobody(queue: Added, references: Any) -> None:
    obj = thing(key=PART)
    obj["metadata"]["ownerReferences"] = references

    parts_handler(queue).on_add(obj, initial=False)

    assert queue == []


@pytest.mark.parametrize(
    "references",
    [
        [reference()],
        [reference(apiVersion="example.org/v1beta7")],
        [reference(controller=False, name="other"), reference()],
    ],
)
def test_controlling_owner_is_found_in_any_version(queue: Added, references: Any) -> None:
    obj = thing(key=PART)
    obj["metadata"]["ownerReferences"] = references

    parts_handler(queue).on_add(obj, initial=False)

    assert queue == [(OWNER, 0)]


def test_owner_of_the_core_group_is_found(queue: Added) -> None:
    pods = Resource("", "v1", "Pod", "pods")
    obj = thing(key=PART)
    obj["metadata"]["ownerReferences"] = [reference(apiVersion="v1", kind="Pod")]

    EnqueueOwner(queue, PARTS, owner=pods).on_add(obj, initial=False)

    assert queue == [(OWNER, 0)]


def test_cluster_scoped_owner_has_no_namespace(queue: Added) -> None:
    EnqueueOwner(queue, PARTS, owner=CLUSTER_THINGS).on_add(part(), initial=False)

    assert queue == [(ObjectKey("", "owner"), 0)]


def test_object_that_changes_hands_concerns_both_owners(queue: Added) -> None:
    parts_handler(queue).on_update(part(1, owner="old"), part(2, owner="new"))

    assert queue == [(ObjectKey("ns", "old"), 0), (ObjectKey("ns", "new"), 0)]


def test_function_maps_old_and_new_each_key_once(queue: Added) -> None:
    def users(obj: Object) -> list[ObjectKey]:
        return [ObjectKey("ns", name) for name in obj["users"]]

    handler = EnqueueMapped(queue, PARTS, mapper=users)

    handler.on_update(thing(1, users="ab"), thing(2, users="bc"))

    assert [key.name for key, _ in queue] == ["a", "b", "c"]


# --- how urgently ---------------------------------------------------------------------------


def test_initial_list_has_low_priority(queue: Added) -> None:
    EnqueueSelf(queue, THINGS).on_add(thing(), initial=True)

    assert queue == [(OWNER, LOW_PRIORITY)]


def test_resync_has_low_priority(queue: Added, tracker: ConsistencyTracker) -> None:
    tracker.wrote(OWNER, THINGS, OWNER, "7", reached=False)
    obj = thing(7)

    EnqueueSelf(queue, THINGS, tracker=tracker).on_update(obj, obj)

    assert queue == [(OWNER, LOW_PRIORITY)]


def test_change_has_normal_priority(queue: Added) -> None:
    EnqueueSelf(queue, THINGS).on_update(thing(1), thing(2))

    assert queue == [(OWNER, 0)]


# --- whether at all -------------------------------------------------------------------------


def test_predicate_drops_updates_and_nothing_else(queue: Added) -> None:
    handler = EnqueueSelf(queue, THINGS, predicate=lambda old, new: False)

    handler.on_update(thing(1), thing(2))
    assert queue == []
    handler.on_add(thing(1), initial=False)
    handler.on_delete(thing(1), final_state_unknown=False)
    handler.on_update(thing(1), thing(1))
    assert queue == [(OWNER, 0), (OWNER, 0), (OWNER, LOW_PRIORITY)]


def test_dropped_update_still_ends_a_wait(queue: Added, tracker: ConsistencyTracker) -> None:
    handler = EnqueueSelf(queue, THINGS, predicate=lambda old, new: False, tracker=tracker)
    tracker.wrote(OWNER, THINGS, OWNER, "2", reached=False)
    tracker.wait_for(OWNER)

    handler.on_update(thing(1), thing(2))

    assert queue == [(OWNER, LOW_PRIORITY)]


def test_echo_of_an_own_write_wakes_nobody(queue: Added, tracker: ConsistencyTracker) -> None:
    handler = parts_handler(queue, tracker)
    tracker.wrote(OWNER, PARTS, PART, "2", reached=False)
    tracker.wrote(OWNER, PARTS, PART, "3", reached=False)

    handler.on_add(part(2), initial=False)
    handler.on_update(part(2), part(3))

    assert queue == []


def test_echo_wakes_who_waits_for_it_without_raising_its_priority(
    queue: Added, tracker: ConsistencyTracker
) -> None:
    tracker.wrote(OWNER, PARTS, PART, "2", reached=False)
    tracker.wait_for(OWNER)

    parts_handler(queue, tracker).on_add(part(2), initial=False)

    assert queue == [(OWNER, LOW_PRIORITY)]


def test_echo_wakes_others_whom_the_object_concerns(
    queue: Added, tracker: ConsistencyTracker
) -> None:
    other = ObjectKey("ns", "other")
    handler = EnqueueMapped(queue, PARTS, mapper=lambda obj: [OWNER, other], tracker=tracker)
    tracker.wrote(OWNER, PARTS, PART, "2", reached=False)

    handler.on_update(part(1), part(2))

    assert queue == [(other, 0)]


def test_foreign_change_wakes(queue: Added, tracker: ConsistencyTracker) -> None:
    handler = parts_handler(queue, tracker)
    tracker.wrote(OWNER, PARTS, PART, "2", reached=False)

    handler.on_update(part(2), part(3))

    assert queue == [(OWNER, 0)]


def test_event_during_a_reconcile_is_left_to_its_end(
    queue: Added, tracker: ConsistencyTracker
) -> None:
    handler = parts_handler(queue, tracker)
    tracker.started(OWNER)

    handler.on_add(part(2), initial=False)
    assert queue == []
    tracker.wrote(OWNER, PARTS, PART, "2", reached=True)

    assert tracker.finished(OWNER) is None


def test_event_during_a_reconcile_that_cannot_be_ours_is_not_left(
    queue: Added, tracker: ConsistencyTracker
) -> None:
    handler = parts_handler(queue, tracker)
    tracker.started(OWNER)

    handler.on_update(part(1, status=0), part(2, status=1))

    assert queue == [(OWNER, 0)]


def test_event_about_a_write_known_to_be_outstanding_is_not_left(
    queue: Added, tracker: ConsistencyTracker
) -> None:
    handler = parts_handler(queue, tracker)
    tracker.started(OWNER)
    tracker.wrote(OWNER, PARTS, PART, "5", reached=False)

    handler.on_update(part(1), part(4))

    assert queue == [(OWNER, 0)]


def test_merged_event_that_hides_a_foreign_change_wakes(
    queue: Added, tracker: ConsistencyTracker
) -> None:
    tracker.wrote(OWNER, PARTS, PART, "3", reached=False)

    parts_handler(queue, tracker).on_update(part(1, status=0), part(3, status=1))

    assert queue == [(OWNER, 0)]


@pytest.mark.parametrize("final_state_unknown", [True, False])
def test_delete_wakes_and_ends_a_wait(
    queue: Added, tracker: ConsistencyTracker, final_state_unknown: bool
) -> None:
    tracker.wrote(OWNER, PARTS, PART, "2", reached=False)
    tracker.wait_for(OWNER)

    parts_handler(queue, tracker).on_delete(part(3), final_state_unknown=final_state_unknown)

    assert queue == [(OWNER, LOW_PRIORITY), (OWNER, 0)]
    assert tracker.wait_for(OWNER) is None


def test_tombstone_with_an_old_version_ends_a_wait(
    queue: Added, tracker: ConsistencyTracker
) -> None:
    tracker.wrote(OWNER, PARTS, PART, "5", reached=False)

    parts_handler(queue, tracker).on_delete(part(1), final_state_unknown=True)

    assert tracker.wait_for(OWNER) is None


def test_progress_wakes_who_waits(queue: Added, tracker: ConsistencyTracker) -> None:
    tracker.wrote(OWNER, PARTS, PART, "2", reached=False)
    tracker.wait_for(OWNER)

    wake_consistent(queue, tracker, PARTS, lambda version: int(version) <= 2)

    assert queue == [(OWNER, LOW_PRIORITY)]


# --- what only our write can have changed ---------------------------------------------------


def changed(path: str, value: Any) -> dict[str, Any]:
    obj = thing(2, spec={"size": 1}, status={"ready": True})
    head, _, tail = path.partition(".")
    obj[head] = {**obj[head], tail: value}
    return obj


@pytest.mark.parametrize(
    ("path", "of_child", "of_itself"),
    [
        ("spec.size", True, False),
        ("status.ready", False, True),
        ("metadata.labels", True, False),
        ("metadata.finalizers", True, True),
        ("metadata.managedFields", True, True),
        ("metadata.generation", True, False),
        ("metadata.deletionTimestamp", False, False),
        ("metadata.uid", False, False),
    ],
)
def test_what_may_change_in_an_event_that_is_only_ours(
    path: str, of_child: bool, of_itself: bool
) -> None:
    old = thing(1, spec={"size": 1}, status={"ready": True})
    new = changed(path, "changed")

    assert of_child == only_ours(old, new, itself=False)
    assert of_itself == only_ours(old, new, itself=True)


def test_creation_can_be_only_ours() -> None:
    assert only_ours(None, thing(), itself=False)


def test_patient_handler_lets_changes_wait_but_no_deletion(queue: Added) -> None:
    handler = EnqueueMapped(queue, PARTS, mapper=lambda _: [OWNER], patience_s=1.5)

    handler.on_add(part(1), initial=True)
    handler.on_add(part(1), initial=False)
    handler.on_update(part(1), part(2, status=1))
    handler.on_delete(part(2), final_state_unknown=False)

    assert queue.later == [(OWNER, 1.5), (OWNER, 1.5)]
    assert queue == [(OWNER, LOW_PRIORITY), (OWNER, 0)]
