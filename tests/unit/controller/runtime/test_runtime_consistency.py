# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The consistency tracker, one situation at a time (B13, KEP-5647).

The orders in which situations follow each other are the business of ``test_runtime_world.py``.
"""

from __future__ import annotations

import pytest

from controller.runtime.consistency import (
    _DEFERRED_LIMIT,
    _RECENT_LIMIT,
    _RECENT_S,
    MEMORY_S,
    ConsistencyTracker,
    Echo,
)
from informers.ports import ObjectKey, Resource

THINGS = Resource("example.org", "v1", "Thing", "things")
PARTS = Resource("", "v1", "Part", "parts")
OWNER = ObjectKey("ns", "owner")
OTHER = ObjectKey("ns", "other")
PART = ObjectKey("ns", "owner-part")
PART_2 = ObjectKey("ns", "owner-part-2")
NOTHING = Echo()
FOREIGN = Echo(foreign=True)


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Counts:
    def __init__(self) -> None:
        self.echoes: list[float] = []
        self.given_up = 0

    def echoed(self, seconds: float) -> None:
        self.echoes.append(seconds)

    def gave_up(self) -> None:
        self.given_up += 1


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def tracker(time: Time, counts: Counts) -> ConsistencyTracker:
    return ConsistencyTracker(clock=time, give_up_s=5.0, metrics=counts)


def wrote(
    tracker: ConsistencyTracker,
    version: str,
    *,
    key: ObjectKey = PART,
    owner: ObjectKey = OWNER,
    reached: bool = False,
) -> None:
    tracker.wrote(owner, PARTS, key, version, reached=reached)


# --- waiting --------------------------------------------------------------------------------


def test_owner_without_writes_goes_on(tracker: ConsistencyTracker) -> None:
    assert tracker.wait_for(OWNER) is None


def test_owner_waits_while_its_write_is_invisible(tracker: ConsistencyTracker, time: Time) -> None:
    wrote(tracker, "11")
    time.now = 2.0

    assert tracker.wait_for(OWNER) == 3.0
    assert tracker.wait_for(OTHER) is None


def test_owner_goes_on_when_the_echo_came(tracker: ConsistencyTracker) -> None:
    wrote(tracker, "11")
    tracker.observed(PARTS, PART, "11")

    assert tracker.wait_for(OWNER) is None


def test_last_echo_wakes_who_waits_and_only_once(tracker: ConsistencyTracker) -> None:
    wrote(tracker, "11")
    wrote(tracker, "12", key=PART_2)
    tracker.wait_for(OWNER)

    assert tracker.observed(PARTS, PART, "11") == Echo(writer=OWNER)
    assert tracker.observed(PARTS, PART_2, "12") == Echo(writer=OWNER, wake=(OWNER,))
    assert tracker.observed(PARTS, PART_2, "12") == Echo(writer=OWNER)


def test_same_version_of_another_object_or_kind_is_no_echo(tracker: ConsistencyTracker) -> None:
    wrote(tracker, "11")

    assert tracker.observed(PARTS, PART_2, "11") == NOTHING
    assert tracker.observed(THINGS, PART, "11") == NOTHING
    assert tracker.wait_for(OWNER) is not None


def test_write_that_the_cache_has_already_is_not_waited_for(tracker: ConsistencyTracker) -> None:
    wrote(tracker, "11", reached=True)

    assert tracker.wait_for(OWNER) is None


def test_write_that_changed_nothing_twice_is_one_write(tracker: ConsistencyTracker) -> None:
    wrote(tracker, "11")
    wrote(tracker, "11")
    tracker.observed(PARTS, PART, "11")
    wrote(tracker, "11")

    assert tracker.wait_for(OWNER) is None


def test_waiting_ends_after_the_last_write_grew_old(
    tracker: ConsistencyTracker, time: Time, counts: Counts
) -> None:
    wrote(tracker, "11")
    time.now = 1.0
    wrote(tracker, "12", key=PART_2)

    assert tracker.wait_for(OWNER) == 5.0
    time.now = 6.0
    assert tracker.wait_for(OWNER) is None
    assert counts.given_up == 2


def test_echo_that_comes_after_giving_up_counts_as_foreign(
    tracker: ConsistencyTracker, time: Time
) -> None:
    wrote(tracker, "11")
    time.now = 5.0
    tracker.wait_for(OWNER)

    assert tracker.observed(PARTS, PART, "11") == FOREIGN


def test_echo_is_measured(tracker: ConsistencyTracker, time: Time, counts: Counts) -> None:
    wrote(tracker, "11")
    time.now = 0.25
    tracker.observed(PARTS, PART, "11")

    assert counts.echoes == [0.25]


# --- foreign events -------------------------------------------------------------------------


def test_older_event_is_foreign_and_leaves_the_write_outstanding(
    tracker: ConsistencyTracker,
) -> None:
    wrote(tracker, "11")

    assert tracker.observed(PARTS, PART, "9") == FOREIGN
    assert tracker.wait_for(OWNER) is not None


def test_newer_event_is_foreign_and_supersedes_the_write(tracker: ConsistencyTracker) -> None:
    wrote(tracker, "99")
    tracker.wait_for(OWNER)

    assert tracker.observed(PARTS, PART, "100") == FOREIGN._replace(wake=(OWNER,))
    assert tracker.wait_for(OWNER) is None


def test_opaque_versions_are_only_compared_for_equality(tracker: ConsistencyTracker) -> None:
    wrote(tracker, "v11")

    assert tracker.observed(PARTS, PART, "v12") == FOREIGN
    assert tracker.wait_for(OWNER) is not None
    assert tracker.observed(PARTS, PART, "v11") == Echo(writer=OWNER, wake=(OWNER,))


def test_injected_order_of_versions_rules(time: Time) -> None:
    tracker = ConsistencyTracker(clock=time, newer=lambda left, right: left < right)
    wrote(tracker, "5")

    tracker.observed(PARTS, PART, "4")

    assert tracker.wait_for(OWNER) is None


def test_event_that_skipped_an_earlier_own_write_may_hide_something(
    tracker: ConsistencyTracker,
) -> None:
    wrote(tracker, "11")
    wrote(tracker, "13")
    tracker.wait_for(OWNER)

    assert tracker.observed(PARTS, PART, "13") == FOREIGN._replace(wake=(OWNER,))


def test_two_own_writes_of_one_object_echo_one_after_the_other(
    tracker: ConsistencyTracker,
) -> None:
    wrote(tracker, "11")
    wrote(tracker, "12")

    for version in ("11", "11", "12", "12"):  # two handlers hear of each
        assert tracker.observed(PARTS, PART, version) == Echo(writer=OWNER)


def test_write_of_one_owner_is_foreign_to_another(tracker: ConsistencyTracker) -> None:
    wrote(tracker, "11", owner=OTHER)

    assert tracker.observed(PARTS, PART, "11").writer == OTHER


# --- deletes --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["12", "", "opaque"])
def test_delete_ends_the_wait_for_the_object(tracker: ConsistencyTracker, version: str) -> None:
    wrote(tracker, "11")
    tracker.wait_for(OWNER)

    assert tracker.observed(PARTS, PART, version, gone=True).wake == (OWNER,)
    assert tracker.wait_for(OWNER) is None


def test_delete_is_never_an_echo(tracker: ConsistencyTracker) -> None:
    wrote(tracker, "11")

    assert tracker.observed(PARTS, PART, "11", gone=True) == FOREIGN


def test_delete_before_our_creation_leaves_that_outstanding(tracker: ConsistencyTracker) -> None:
    wrote(tracker, "11")

    assert tracker.observed(PARTS, PART, "10", gone=True) == FOREIGN
    assert tracker.wait_for(OWNER) is not None


# --- progress -------------------------------------------------------------------------------


def test_bookmark_replaces_an_event_that_never_comes(tracker: ConsistencyTracker) -> None:
    wrote(tracker, "11")
    wrote(tracker, "12", key=PART_2)
    tracker.wait_for(OWNER)

    assert tracker.progressed(PARTS, lambda version: int(version) <= 11) == [OWNER]
    assert tracker.wait_for(OWNER) is not None
    assert tracker.progressed(PARTS, lambda version: int(version) <= 12) == [OWNER]
    assert tracker.wait_for(OWNER) is None


def test_bookmark_of_another_kind_says_nothing(tracker: ConsistencyTracker) -> None:
    wrote(tracker, "11")

    assert tracker.progressed(THINGS, lambda version: True) == []
    assert tracker.wait_for(OWNER) is not None


def test_bookmark_of_one_namespace_says_nothing_of_the_others(tracker: ConsistencyTracker) -> None:
    wrote(tracker, "11")

    assert tracker.progressed(PARTS, lambda version: True, namespace="elsewhere") == []
    assert tracker.progressed(PARTS, lambda version: True, namespace="ns") == [OWNER]


def test_writer_of_what_no_event_ever_showed_is_woken_though_it_does_not_wait(
    tracker: ConsistencyTracker,
) -> None:
    wrote(tracker, "11")

    assert tracker.progressed(PARTS, lambda version: True) == [OWNER]
    assert tracker.progressed(PARTS, lambda version: True) == []


# --- the watch is faster than the answer ----------------------------------------------------


def test_event_is_not_deferred_outside_a_reconcile(tracker: ConsistencyTracker) -> None:
    assert not tracker.is_reconciling(OWNER)
    assert not tracker.defer(OWNER, PARTS, PART, "11", priority=0)


def test_event_before_its_answer_is_recognised(tracker: ConsistencyTracker, counts: Counts) -> None:
    tracker.started(OWNER)
    assert tracker.observed(PARTS, PART, "11") == NOTHING
    assert tracker.defer(OWNER, PARTS, PART, "11", priority=0)

    wrote(tracker, "11", reached=True)

    assert tracker.finished(OWNER) is None
    assert tracker.wait_for(OWNER) is None
    assert tracker.observed(PARTS, PART, "11") == Echo(writer=OWNER)  # the second handler
    assert counts.echoes == [0.0]


def test_deferred_event_counts_as_arrived_even_if_the_writer_does_not_know(
    tracker: ConsistencyTracker,
) -> None:
    tracker.started(OWNER)
    tracker.defer(OWNER, PARTS, PART, "11", priority=0)

    wrote(tracker, "11", reached=False)

    assert tracker.finished(OWNER) is None
    assert tracker.wait_for(OWNER) is None


def test_deferred_event_that_is_not_ours_wakes_at_the_end_with_the_highest_priority(
    tracker: ConsistencyTracker,
) -> None:
    tracker.started(OWNER)
    tracker.defer(OWNER, PARTS, PART, "10", priority=-100)
    tracker.defer(OWNER, PARTS, PART, "11", priority=0)
    tracker.defer(OWNER, PARTS, PART_2, "12", priority=-7)
    wrote(tracker, "11", reached=True)

    assert tracker.finished(OWNER) == -7
    assert tracker.finished(OWNER) is None


def test_write_of_somebody_else_does_not_explain_a_deferred_event(
    tracker: ConsistencyTracker,
) -> None:
    tracker.started(OWNER)
    tracker.defer(OWNER, PARTS, PART, "11", priority=0)

    wrote(tracker, "11", owner=OTHER, reached=True)

    assert tracker.finished(OWNER) == 0


def test_too_many_deferred_events_wake_instead(tracker: ConsistencyTracker) -> None:
    tracker.started(OWNER)
    for version in range(_DEFERRED_LIMIT):
        assert tracker.defer(OWNER, PARTS, PART, str(version), priority=0)

    assert not tracker.defer(OWNER, PARTS, PART, "one more", priority=0)


def test_write_that_a_list_skipped_during_the_reconcile_wakes_its_owner(
    tracker: ConsistencyTracker,
) -> None:
    tracker.started(OWNER)
    tracker.progressed(PARTS, lambda version: True)
    wrote(tracker, "11", reached=True)

    assert tracker.finished(OWNER) == 0


def test_write_that_changed_nothing_wakes_nobody(tracker: ConsistencyTracker) -> None:
    tracker.progressed(PARTS, lambda version: True)
    tracker.started(OWNER)
    tracker.progressed(THINGS, lambda version: True)
    wrote(tracker, "11", reached=True)

    assert tracker.finished(OWNER) is None


# --- bounds ---------------------------------------------------------------------------------


def test_nothing_is_left_when_all_has_been_seen(tracker: ConsistencyTracker) -> None:
    for number in range(100):
        wrote(tracker, str(number + 10), key=ObjectKey("ns", str(number)))
    for number in range(100):
        tracker.observed(PARTS, ObjectKey("ns", str(number)), str(number + 10))
    wrote(tracker, "9", reached=True)

    assert (tracker._writes, tracker._owners, len(tracker._by_age)) == ({}, {}, 0)


def test_forgotten_owner_leaves_nothing(tracker: ConsistencyTracker, time: Time) -> None:
    wrote(tracker, "11")
    time.now = 5.0
    tracker.wait_for(OWNER)
    wrote(tracker, "12", key=PART_2)

    tracker.forget(OWNER)
    tracker.forget(OWNER)

    assert tracker.wait_for(OWNER) is None
    assert (tracker._writes, tracker._owners) == ({}, {})


def test_write_that_nobody_ever_sees_is_dropped_in_the_end(
    tracker: ConsistencyTracker, time: Time
) -> None:
    wrote(tracker, "11")
    time.now = MEMORY_S
    wrote(tracker, "12", key=PART_2, owner=OTHER)

    assert tracker.wait_for(OWNER) is None
    assert set(tracker._owners) == {OTHER}


def test_echoes_are_remembered_for_the_handlers_of_one_event_only(
    tracker: ConsistencyTracker, time: Time
) -> None:
    for number in range(2 * _RECENT_LIMIT):
        wrote(tracker, str(number), key=ObjectKey("ns", str(number)), reached=True)
    last = ObjectKey("ns", str(2 * _RECENT_LIMIT - 1))

    assert len(tracker._recent) == _RECENT_LIMIT
    assert tracker.observed(PARTS, last, last.name) == Echo(writer=OWNER)
    time.now = _RECENT_S + 1
    assert tracker.observed(PARTS, last, last.name) == NOTHING
