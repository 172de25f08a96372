# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The queue's rules against a model that is too simple to be wrong (C1, C2, C3, C5, C9, C11).

The model keeps a plain dict and searches it linearly; the core has heaps with lazy deletion.
After every step everything observable must be equal. The machine is itself tested: it has to
find each of the mutants at the end.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.queueing import Recorder
from workqueue.core import _COMPACT_FROM, Item, QueueCore, _Entry

KEYS = st.sampled_from("abcde")
PRIORITIES = st.sampled_from([-100, 0, 0, 7])
DELAYS = st.sampled_from([0.0, 0.0, -3.0, float("nan"), 1.0, 2.0, 2.0, 5.0])


@dataclass
class Known:
    """What the model knows of one queued key."""

    priority: int
    place: int
    ready_at: float | None
    since: float = 0.0


class QueueMachine(RuleBasedStateMachine):
    """Drives core and model side by side."""

    core_class: type[QueueCore[str]] = QueueCore

    def __init__(self) -> None:
        super().__init__()
        self.expected, self.actual = Recorder(), Recorder()
        self.core = self.core_class(metrics=self.actual)
        self.queued: dict[str, Known] = {}
        self.processing: dict[str, float] = {}
        self.now = 0.0
        self.places = 0
        self.closed = False

    def _place(self) -> int:
        self.places += 1
        return self.places

    def _becomes_ready(self, known: Known, since: float) -> None:
        known.ready_at, known.since, known.place = None, since, self._place()
        self.expected.adds += 1

    def _advance(self) -> None:
        due = [k for k in self.queued.values() if k.ready_at is not None and k.ready_at <= self.now]
        for known in sorted(due, key=lambda k: (k.ready_at, k.place)):
            assert known.ready_at is not None
            self._becomes_ready(known, known.ready_at)

    @rule(key=KEYS, priority=PRIORITIES, delay=DELAYS)
    def add(self, key: str, priority: int, delay: float) -> None:
        self.core.add(key, self.now, priority=priority, delay=delay)
        if self.closed:
            return
        self._advance()
        deadline = self.now + delay if delay > 0 else None
        self.expected.retries += deadline is not None
        known = self.queued.get(key)
        if known is None:
            known = self.queued[key] = Known(priority, self._place(), deadline)
            if deadline is None:
                self._becomes_ready(known, self.now)
            return
        if priority > known.priority:
            known.priority = priority
            if known.ready_at is None:
                known.place = self._place()
        if known.ready_at is not None:
            if deadline is None:
                self._becomes_ready(known, self.now)
            elif deadline < known.ready_at:
                known.ready_at, known.place = deadline, self._place()

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def timer_fires(self) -> None:
        self.core.advance(self.now)
        self._advance()

    @rule()
    def take(self) -> None:
        self._advance()
        free = {
            key: known
            for key, known in self.queued.items()
            if known.ready_at is None and key not in self.processing
        }
        expected: Item[str] | None = None
        if free:
            key = min(free, key=lambda k: (-free[k].priority, free[k].place))
            expected = Item(key, self.queued[key].priority)
            self.expected.waits.append(self.now - self.queued.pop(key).since)
            self.processing[key] = self.now

        assert expected == self.core.take(self.now)

    @precondition(lambda self: self.processing)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.processing)))
        self.core.done(key, self.now)
        self.expected.works.append(self.now - self.processing.pop(key))

    @rule(key=KEYS)
    def done_of_a_key_that_is_not_processed(self, key: str) -> None:
        if key not in self.processing:
            with pytest.raises(KeyError):
                self.core.done(key, self.now)

    @precondition(lambda self: len(self.queued) > 2)
    @rule(drain=st.booleans())
    def close(self, drain: bool) -> None:
        self.core.close(drain=drain)
        self.closed = True
        self.queued = {k: v for k, v in self.queued.items() if drain and v.ready_at is None}

    @invariant()
    def everything_observable_is_equal(self) -> None:
        ready = {key: known for key, known in self.queued.items() if known.ready_at is None}
        deadlines = [k.ready_at for k in self.queued.values() if k.ready_at is not None]
        depth = Counter(known.priority for known in ready.values())

        assert len(ready) == len(self.core)
        assert dict(depth) == {p: n for p, n in self.core.depth.items() if n}
        assert len(ready.keys() - self.processing.keys()) == self.core.available
        assert self.processing == self.core.processing
        assert min(deadlines, default=None) == self.core.next_deadline()
        assert self.closed == self.core.closed
        assert (self.closed and not self.queued) == self.core.exhausted
        assert (self.closed and not self.queued and not self.processing) == self.core.finished
        ages = [self.now - started for started in self.processing.values()]
        assert (sum(ages), max(ages, default=0.0)) == self.core.running(self.now)

    @invariant()
    def the_observer_was_told(self) -> None:
        assert vars(self.expected) == vars(self.actual)

    @invariant()
    def stale_heap_items_are_bounded(self) -> None:
        waiting = sum(known.ready_at is not None for known in self.queued.values())
        assert len(self.core._delayed) <= 2 * waiting + _COMPACT_FROM
        assert len(self.core._ready) <= 2 * self.core.available + _COMPACT_FROM


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None, database=None
)


class HandsOutTwice(QueueCore[str]):
    def _make_ready(self, entry: _Entry[str], since: float) -> None:
        if entry.key in self._processing:
            self._push_ready(entry)
        super()._make_ready(entry, since)


class LosesAddsDuringProcessing(QueueCore[str]):
    def done(self, key: str, now: float) -> None:
        if key in self._processing and (entry := self._entries.get(key)):
            if entry.ready_at is None:
                del self._entries[key]
            entry.ticket = -1
        super().done(key, now)


class LatestDeadlineWins(QueueCore[str]):
    def add(self, key: str, now: float, *, priority: int = 0, delay: float = 0.0) -> None:
        super().add(key, now, priority=priority, delay=delay)
        entry = self._entries.get(key)
        if entry is not None and entry.ready_at is not None and now + delay > entry.ready_at:
            self._delay(entry, now + delay)


class RaisedKeyKeepsItsPlace(QueueCore[str]):
    def _raise(self, entry: _Entry[str], priority: int) -> None:
        place = entry.ticket
        super()._raise(entry, priority)
        if entry.ready_at is None and entry.key not in self._processing:
            self._ready[:] = [item for item in self._ready if item[2] is not entry]
            entry.ticket = place
            self._push_ready(entry)
            self._available -= 1


class LastPriorityWins(QueueCore[str]):
    def _raise(self, entry: _Entry[str], priority: int) -> None:
        pass


class LastInFirstOut(QueueCore[str]):
    def _push_ready(self, entry: _Entry[str]) -> None:
        entry.ticket = -entry.ticket
        super()._push_ready(entry)


class PlainAddWaitsForTheDeadline(QueueCore[str]):
    def add(self, key: str, now: float, *, priority: int = 0, delay: float = 0.0) -> None:
        entry = self._entries.get(key)
        if entry is None or entry.ready_at is None or delay > 0:
            super().add(key, now, priority=priority, delay=delay)


class KeepsDelayedOnClose(QueueCore[str]):
    def close(self, *, drain: bool) -> None:
        delayed = [item for item in self._delayed if item[2].ticket == item[1]]
        super().close(drain=drain)
        for _, ticket, entry in delayed:
            entry.ticket = ticket
            self._entries[entry.key] = entry
        self._delayed.extend(delayed)
        self._waiting = len(delayed)


class BelievesStaleItems(QueueCore[str]):
    def advance(self, now: float) -> None:
        for _, ticket, entry in self._delayed:
            if self._entries.get(entry.key) is entry and entry.ready_at is None:
                entry.ticket = ticket
        super().advance(now)


@pytest.mark.parametrize(
    "mutant",
    [
        HandsOutTwice,
        LosesAddsDuringProcessing,
        LatestDeadlineWins,
        RaisedKeyKeepsItsPlace,
        LastPriorityWins,
        LastInFirstOut,
        PlainAddWaitsForTheDeadline,
        KeepsDelayedOnClose,
        BelievesStaleItems,
    ],
)
def test_machine_finds_seeded_bug(mutant: type[QueueCore[str]]) -> None:
    class Mutated(QueueMachine):
        core_class = mutant

    with pytest.raises((AssertionError, KeyError)):
        run_state_machine_as_test(
            Mutated,
            settings=settings(
                max_examples=3000,  # it stops at the first that fails
                stateful_step_count=40,
                phases=[Phase.generate],
                derandomize=True,
                deadline=None,
                database=None,
            ),
        )


def test_years_of_merging_do_not_grow_the_heaps() -> None:
    core = QueueCore[str]()
    core.add("starved", 0.0, priority=-50)

    for step in range(5_000):
        now = float(step)
        core.add("busy", now, delay=36_000.0, priority=-100)
        core.add("busy", now, priority=-100)
        core.add("busy", now, priority=0)
        item = core.take(now)
        assert item == ("busy", 0)
        core.done("busy", now)

    assert len(core._delayed) <= _COMPACT_FROM + 2
    assert len(core._ready) <= _COMPACT_FROM + 4
