# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The three rules of correlation, over random histories."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.runtime.lru import LruCache
from llamastack_operator.events.correlator import (
    BURST,
    COMBINED,
    MOST_SIMILAR,
    REFILL_S,
    SIMILAR_WINDOW_S,
    Correlator,
    Occurrence,
    Regarding,
    Series,
)


def occurrence(note: str = "n", *, reason: str = "Up", name: str = "web") -> Occurrence:
    return Occurrence(Regarding("v1", "Pod", "ns", name, f"u-{name}"), "Normal", reason, "A", note)


histories = st.lists(
    st.tuples(
        st.one_of(st.just(0.0), st.floats(0, 30), st.floats(0, 700)),  # seconds since the last
        st.sampled_from(["web", "db"]),
        st.sampled_from(["Up", "Down"]),
        st.integers(0, 30).map(str),  # note
    ),
    max_size=150,
)


def test_equal_occurrences_are_one_series_that_grows() -> None:
    correlator = Correlator()
    seen = [correlator.observe(occurrence(), float(i), f"t{i}") for i in range(3)]

    assert seen[0] is seen[1] is seen[2]
    assert seen[0] is not None
    assert (seen[0].count, seen[0].first_seen, seen[0].last_seen) == (3, "t0", "t2")


def test_note_reason_or_object_that_differs_is_another_series() -> None:
    correlator = Correlator()
    series = [
        correlator.observe(occurrence("a"), 0.0, "t"),
        correlator.observe(occurrence("b"), 0.0, "t"),
        correlator.observe(occurrence("a", reason="Down"), 0.0, "t"),
        correlator.observe(occurrence("a", name="db"), 0.0, "t"),
    ]

    assert len({id(one) for one in series}) == 4


def test_eleventh_different_note_is_combined_and_so_are_all_that_follow() -> None:
    correlator = Correlator()
    series = [correlator.observe(occurrence(str(i)), 0.0, "t") for i in range(13)]

    notes = [one.occurrence.note for one in series if one is not None]
    assert notes[:10] == [str(i) for i in range(10)]
    assert notes[10:] == [f"{COMBINED}10"] * 3
    assert series[10] is series[12]
    assert series[12] is not None
    assert series[12].count == 3


def test_note_that_is_known_stays_itself_beside_combined_ones() -> None:
    correlator = Correlator()
    for i in range(12):
        correlator.observe(occurrence(str(i)), 0.0, "t")

    again = correlator.observe(occurrence("3"), 1.0, "t")

    assert again is not None
    assert (again.occurrence.note, again.count) == ("3", 2)


def test_notes_are_individual_again_after_the_window() -> None:
    correlator = Correlator()
    for i in range(12):
        correlator.observe(occurrence(str(i)), 0.0, "t")

    later = correlator.observe(occurrence("new"), SIMILAR_WINDOW_S, "t")

    assert later is not None
    assert later.occurrence.note == "new"


def test_object_that_used_up_its_burst_sends_one_in_five_minutes() -> None:
    correlator = Correlator()
    sent = [
        second
        for second in range(0, 1800, 10)
        if correlator.observe(occurrence(), float(second), "t") is not None
    ]

    # The first 25 take 240 s, in which most of one more is earned.
    assert sent[:BURST] == list(range(0, 250, 10))
    assert sent[BURST:] == [300, 600, 900, 1200, 1500]


def test_spam_of_one_object_does_not_silence_another() -> None:
    correlator = Correlator()
    for _ in range(100):
        correlator.observe(occurrence(), 0.0, "t")

    assert correlator.observe(occurrence(), 0.0, "t") is None
    assert correlator.observe(occurrence(name="db"), 0.0, "t") is not None


def test_filtered_occurrences_still_count() -> None:
    correlator = Correlator()
    for _ in range(BURST + 5):
        correlator.observe(occurrence(), 0.0, "t")

    series = correlator.observe(occurrence(), REFILL_S, "t")

    assert series is not None
    assert series.count == BURST + 6


@settings(max_examples=80)
@given(histories)
def test_counts_add_up_and_limits_hold(history: list[tuple[float, str, str, str]]) -> None:
    correlator = Correlator()
    now = 0.0
    alive: dict[int, Series] = {}
    sent: dict[str, list[float]] = defaultdict(list)
    individual: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
    for gap, name, reason, note in history:
        now += gap
        series = correlator.observe(occurrence(note, reason=reason, name=name), now, "t")
        if series is None:
            continue
        alive[id(series)] = series
        sent[name].append(now)
        if not series.occurrence.note.startswith(COMBINED):
            individual[name, reason].append((now, note))

    assert sum(one.count for one in alive.values()) <= len(history)
    for times in sent.values():
        for first, at in enumerate(times):
            for more, until in enumerate(times[first:], 1):
                assert more <= BURST + (until - at) / REFILL_S + 1e-6
    for seen in individual.values():
        for at, _ in seen:
            window = {note for then, note in seen if at - SIMILAR_WINDOW_S < then <= at}
            assert len(window) <= MOST_SIMILAR


@given(st.lists(st.integers(0, 20), max_size=200), st.integers(1, 8))
def test_memory_is_bounded_and_keeps_what_was_used_last(keys: list[int], capacity: int) -> None:
    recent: LruCache[int, int] = LruCache(capacity)
    order: list[int] = []
    for key in keys:
        if recent.get(key) is None:
            recent.put(key, key)
        order = [*(other for other in order if other != key), key][-capacity:]

    assert len(recent) == len(order)
    assert [key for key in range(21) if recent.get(key) is not None] == sorted(order)


def test_event_that_vanished_starts_again_with_what_was_not_stored() -> None:
    series = Series(occurrence(), "t0", "t0")
    series.seen("t0")
    series.seen("t1")
    series.was_stored("web.1", 2)
    series.seen("t9")
    series.vanished()

    assert (series.name, series.count, series.stored, series.first_seen) == ("", 1, 0, "t9")
