# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The election as a state machine: each rule on its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llamastack_operator.election.core import (
    Create,
    Election,
    Get,
    Lease,
    Record,
    Stop,
    Timings,
    Update,
    Wait,
)
from llamastack_operator.election.release import NOT_HELD, RELEASED, RETRY_WAIT, Release

OTHER = Record("other", 15, "a0", "r0", 3)


def lease(record: Record, version: str = "7") -> Lease:
    return Lease(record, version)


def leader(*, at: float = 0.0) -> Election:
    """An election that we won at a given time by taking a free lease."""
    election = Election("me", Timings())
    assert election.wake(at, "t0") == Get()
    claim = election.read(None, at, "t0")
    assert isinstance(claim, Create)
    assert election.written(lease(claim.record, "1"), at) == Wait(2.0, 2.0)
    assert election.leading
    return election


@pytest.mark.parametrize(
    ("lease_s", "renew_deadline_s", "retry_s"),
    [(10.0, 10.0, 2.0), (15.0, 2.4, 2.0), (15.0, 10.0, 0.0), (15.0, 10.0, -1.0)],
)
def test_timings_that_cannot_be_safe_are_refused(
    lease_s: float, renew_deadline_s: float, retry_s: float
) -> None:
    with pytest.raises(ValueError, match="is not above"):
        Timings(lease_s, renew_deadline_s, retry_s)


def test_default_timings_are_those_of_client_go() -> None:
    assert Timings() == Timings(15.0, 10.0, 2.0)


def test_absent_lease_is_created_with_no_transition() -> None:
    election = Election("me", Timings())
    election.wake(0.0, "t0")

    assert election.read(None, 0.0, "t0") == Create(Record("me", 15, "t0", "t0", 0))


def test_released_lease_is_taken_at_once_and_counts_as_a_transition() -> None:
    election = Election("me", Timings())
    election.wake(0.0, "t0")
    free = lease(Record("", 1, "a0", "r0", 3))

    assert election.read(free, 0.0, "t0") == Update(Record("me", 15, "t0", "t0", 4), "7")


def test_renewal_keeps_acquire_time_and_transitions() -> None:
    election = leader()

    renewal = election.wake(2.0, "t2")

    assert renewal == Update(Record("me", 15, "t0", "t2", 0), "1")


def test_leader_renews_without_reading_first() -> None:
    assert isinstance(leader().wake(2.0, "t2"), Update)


def test_foreign_lease_expires_by_our_clock_only() -> None:
    election = Election("me", Timings())
    election.wake(100.0, "t")
    ancient = lease(replace(OTHER, renew_time="1970-01-01T00:00:00.000000Z"))

    assert isinstance(election.read(ancient, 100.0, "t"), Wait)
    assert isinstance(election.read(ancient, 114.9, "t"), Wait)
    assert isinstance(election.read(ancient, 115.0, "t"), Update)


def test_renewal_of_the_holder_starts_its_term_again() -> None:
    election = Election("me", Timings())
    election.read(lease(OTHER), 0.0, "t")
    election.read(lease(replace(OTHER, renew_time="r1")), 14.0, "t")

    assert isinstance(election.read(lease(replace(OTHER, renew_time="r1")), 28.9, "t"), Wait)
    assert isinstance(election.read(lease(replace(OTHER, renew_time="r1")), 29.0, "t"), Update)


def test_new_version_with_the_same_record_is_no_sign_of_life() -> None:
    election = Election("me", Timings())
    election.read(lease(OTHER, "7"), 0.0, "t")
    election.read(lease(OTHER, "8"), 14.0, "t")

    assert election.read(lease(OTHER, "9"), 15.0, "t") == Update(Record("me", 15, "t", "t", 4), "9")


def test_term_is_as_long_as_its_holder_wrote() -> None:
    election = Election("me", Timings())
    long = lease(replace(OTHER, duration_s=60))
    election.read(long, 0.0, "t")

    assert isinstance(election.read(long, 59.0, "t"), Wait)
    assert isinstance(election.read(long, 60.0, "t"), Update)


def test_lease_without_a_duration_lasts_as_long_as_ours() -> None:
    election = Election("me", Timings())
    odd = lease(replace(OTHER, duration_s=0))
    election.read(odd, 0.0, "t")

    assert isinstance(election.read(odd, 14.9, "t"), Wait)


def test_deleted_lease_does_not_end_the_term_of_its_holder() -> None:
    election = Election("me", Timings())
    election.read(lease(OTHER), 0.0, "t")

    assert isinstance(election.read(None, 5.0, "t"), Wait)
    assert election.read(None, 15.0, "t") == Create(Record("me", 15, "t", "t", 4))


def test_leader_whose_lease_was_deleted_writes_it_again() -> None:
    election = leader()
    election.wake(2.0, "t2")
    assert election.conflicted(2.0) == Get()

    assert election.read(None, 2.0, "t2") == Create(Record("me", 15, "t0", "t2", 0))


def test_standby_sleeps_exactly_until_the_term_ends() -> None:
    election = Election("me", Timings())
    election.read(lease(OTHER), 0.0, "t")

    wait = election.read(lease(OTHER), 14.75, "t")

    assert wait == Wait(0.25, 0.25)


def test_standby_always_looks_again_within_one_period() -> None:
    election = Election("me", Timings())
    for look in range(14):
        wait = election.read(lease(OTHER), float(look), "t")

        assert isinstance(wait, Wait)
        assert 0 < wait.at_least_s <= wait.at_most_s <= 2.0


def test_conflict_makes_a_leader_read_and_swap_again() -> None:
    election = leader()
    election.wake(2.0, "t2")

    assert election.conflicted(2.0) == Get()
    labelled = lease(Record("me", 15, "t0", "t0", 0), "9")
    assert election.read(labelled, 2.1, "t2") == Update(Record("me", 15, "t0", "t2", 0), "9")
    assert election.slow_paths == 1


def test_conflicts_without_end_become_a_failed_attempt() -> None:
    election = leader()
    election.wake(2.0, "t2")

    assert [election.conflicted(2.0) for _ in range(3)] == [Get(), Get(), Wait(2.0, 2.0)]
    assert election.leading


def test_leader_that_sees_another_holder_stops_at_once() -> None:
    election = leader()
    election.wake(2.0, "t2")
    election.conflicted(2.0)

    assert election.read(lease(OTHER), 2.1, "t2") == Stop("other leads")
    assert not election.leading
    assert not election.maybe_held


def test_failures_are_retried_each_period_until_the_renew_deadline() -> None:
    election = leader()
    now, waits = 2.0, []
    while isinstance(action := election.wake(now, "t"), Update):
        wait = election.failed(now)
        if isinstance(wait, Stop):
            action = wait
            break
        assert isinstance(wait, Wait)
        waits.append(wait.at_most_s)
        now += wait.at_most_s

    assert isinstance(action, Stop)
    assert (now, waits) == (10.0, [2.0] * 4)


def test_hung_request_leaves_time_for_another_before_the_deadline() -> None:
    election = leader()
    election.wake(2.0, "t2")
    assert election.budget_s(2.0) == 5.0

    retry = election.failed(7.0)

    assert isinstance(retry, Wait)
    assert retry.at_most_s < 0.01
    assert election.budget_s(7.0) == 3.0


def test_term_counts_from_when_the_renewal_was_sent() -> None:
    election = leader()
    claim = election.wake(2.0, "t2")
    assert isinstance(claim, Update)
    election.written(lease(claim.record, "2"), 6.5)

    assert election.may_write(11.9)
    assert not election.may_write(12.0)


def test_renewal_answered_after_the_deadline_is_a_lost_term() -> None:
    election = leader()
    claim = election.wake(2.0, "t2")
    assert isinstance(claim, Update)

    assert isinstance(election.written(lease(claim.record, "2"), 22.0), Stop)


def test_lease_won_by_an_answer_that_came_too_late_is_claimed_again() -> None:
    election = Election("me", Timings())
    election.wake(0.0, "t0")
    claim = election.read(None, 0.0, "t0")
    assert isinstance(claim, Create)

    assert election.written(lease(claim.record, "1"), 20.0) == Wait(0.0, 0.0)
    assert not election.leading
    assert election.wake(20.0, "t20") == Get()
    assert election.read(lease(claim.record, "1"), 20.0, "t20") == Update(
        Record("me", 15, "t0", "t20", 0), "1"
    )


def test_stalled_leader_may_not_write_before_it_learns_that_it_lost() -> None:
    election = leader()

    assert election.may_write(9.9)
    assert election.leading
    assert not election.may_write(10.0)


def test_standby_may_never_write() -> None:
    assert not Election("me", Timings()).may_write(0.0)


def test_overdue_counts_from_the_end_of_the_lease() -> None:
    election = leader()

    assert election.overdue_s(15.0) == 0.0
    assert election.overdue_s(36.0) == 21.0
    assert Election("me", Timings()).overdue_s(1e9) == 0.0


def test_release_frees_what_we_hold() -> None:
    ours = Record("me", 15, "a", "r", 4)

    assert Release("me", lease(ours), maybe_held=True).start("t9") == Update(
        Record("", 1, "a", "t9", 4), "7"
    )
    assert Release("me", lease(ours), maybe_held=True).written() == RELEASED


def test_release_asks_nothing_of_the_server_when_nothing_was_claimed() -> None:
    assert Release("me", lease(OTHER), maybe_held=False).start("t") == NOT_HELD


def test_release_after_a_lost_answer_reads_who_holds() -> None:
    release = Release("me", lease(OTHER), maybe_held=True)

    assert release.start("t9") == Get()
    assert release.read(lease(Record("me", 15, "a", "r", 4), "8"), "t9") == Update(
        Record("", 1, "a", "t9", 4), "8"
    )


def test_release_leaves_the_lease_of_others_alone() -> None:
    release = Release("me", lease(Record("me", 15, "a", "r", 4)), maybe_held=True)
    release.start("t9")

    assert release.conflicted() == Get()
    assert release.read(lease(OTHER), "t9") == NOT_HELD
    assert release.read(None, "t9") == NOT_HELD


def test_release_goes_on_after_a_failure() -> None:
    assert Release("me", None, maybe_held=True).failed() == RETRY_WAIT
