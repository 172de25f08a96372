# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A whole small world around the consistency tracker and the handlers (B13, C3, D5, D6).

An API server that numbers its states, foreigners who change things, watches that lag, lists that
skip states, answers that come late, reconciles that write and fail. Hypothesis orders the steps;
three things must hold whatever the order:

- *nothing is lost*: when all is quiet, the world is what the owners ask for;
- *no reconcile is blind*: none starts on a cache that lacks a write of its owner, before giving up;
- *the operator is quiet*: without gaps in the watch, no reconcile is caused by our own writes.

The checks are tested, too: each of the seeded bugs at the end has to be found.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from controller.runtime import handlers
from controller.runtime.consistency import ConsistencyTracker, Echo, _Write
from informers.ports import ObjectKey, Resource
from tests.support.small_world import World

EVERY_MOVE: list[Callable[[World, int], None]] = [
    World.pass_goes_on,
    World.worker_takes_a_key,
    World.events_arrive,
    World.user_edits,
    World.child_reports,
    World.user_deletes_a_child,
    World.watch_breaks_and_lists,
    World.bookmark_arrives,
    World.pass_fails,
    World.time_passes,
]
MOVES = [*EVERY_MOVE, *EVERY_MOVE[:5], *EVERY_MOVE[:3] * 3]
PICKS = st.integers(0, 5)


@given(moves=st.lists(st.tuples(st.sampled_from(MOVES), PICKS), min_size=60, max_size=120))
@settings(max_examples=150)
def test_nothing_is_lost_no_reconcile_is_blind_and_the_operator_is_quiet(
    moves: list[tuple[Callable[[World, int], None], int]],
) -> None:
    world = World()

    for move, pick in moves:
        move(world, pick)

    world.all_becomes_quiet()


def walk(seed: int, tracker_class: type[ConsistencyTracker] = ConsistencyTracker) -> None:
    """The same with plain random moves, some of them left out: rare orders come up sooner."""
    rng = random.Random(seed)
    world = World(tracker_class)
    for _ in range(12):
        weights = [rng.choice((0, 1, 1, 6)) for _ in EVERY_MOVE]
        weights[0] = weights[1] = 6
        for move in rng.choices(EVERY_MOVE, weights, k=rng.randrange(10, 80)):
            move(world, rng.randrange(6))
        world.all_becomes_quiet()


def test_the_same_on_long_random_walks() -> None:
    for seed in range(100):
        walk(seed)


def found(tracker_class: type[ConsistencyTracker] = ConsistencyTracker) -> str:
    """What the first walk that fails complains about."""
    for seed in range(400):
        try:
            walk(seed, tracker_class)
        except AssertionError as error:
            return str(error)
    return ""


class NeverWakesWhoWaits(ConsistencyTracker):
    def observed(
        self, resource: Resource, key: ObjectKey, resource_version: str, *, gone: bool = False
    ) -> Echo:
        return super().observed(resource, key, resource_version, gone=gone)._replace(wake=())


class NeverPostpones(ConsistencyTracker):
    def wait_for(self, owner: ObjectKey) -> float | None:
        super().wait_for(owner)
        return None


class TakesAnOlderEventForTheEcho(ConsistencyTracker):
    def _reaches(self, version: str, write: _Write, gone: bool) -> bool:
        return True


class DropsWhatWasDeferred(ConsistencyTracker):
    def finished(self, owner: ObjectKey) -> int | None:
        super().finished(owner)
        return None


class NeverDefers(ConsistencyTracker):
    def is_reconciling(self, owner: ObjectKey) -> bool:
        return False


class TellsOnlyTheFirstHandler(ConsistencyTracker):
    def _remember(
        self, event: tuple[Resource, ObjectKey, str], owner: ObjectKey, now: float
    ) -> None:
        pass


class WakesOnEveryEcho(ConsistencyTracker):
    def _close(self, write: _Write) -> bool:
        super()._close(write)
        return True


class IgnoresWhatListsSkip(ConsistencyTracker):
    def finished(self, owner: ObjectKey) -> int | None:
        self._running[owner].unseen.clear()
        return super().finished(owner)


class IsNotMovedByProgress(ConsistencyTracker):
    def progressed(
        self, resource: Resource, reached: Callable[[str], bool], *, namespace: str = ""
    ) -> list[ObjectKey]:
        return []


@pytest.mark.parametrize(
    ("mutant", "complaint"),
    [
        (NeverWakesWhoWaits, "waits although"),
        (NeverPostpones, "stale cache"),
        (TakesAnOlderEventForTheEcho, "stale cache"),
        (DropsWhatWasDeferred, "outdated|missing"),
        (NeverDefers, "own write"),
        (TellsOnlyTheFirstHandler, "own write"),
        (WakesOnEveryEcho, "own write"),
        (IgnoresWhatListsSkip, "missing"),
        (IsNotMovedByProgress, "missing|waits although"),
    ],
)
def test_world_finds_seeded_bug(mutant: type[ConsistencyTracker], complaint: str) -> None:
    assert re.search(complaint, found(mutant))


def test_world_finds_out_that_merged_events_hide_foreign_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handlers, "only_ours", lambda old, new, *, itself: True)

    assert "outdated" in found()
