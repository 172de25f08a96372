# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Never two leaders: whole elections, simulated event by event.

Candidates have clocks that start anywhere and run at different rates; requests and answers are
delayed or lost on their own, so a write may be carried out long after its sender gave up; whole
processes stall, are cut off, crash and come back. After every event, at most one of them may write.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from llamastack_operator.election.core import (
    Action,
    Election,
    Get,
    Lease,
    Record,
    Request,
    Stop,
    Timings,
    Update,
    Wait,
)

TIMINGS = Timings()
FAULTS_END_S = 300.0
END_S = 400.0


class Server:
    """A compare-and-swap store of one lease."""

    def __init__(self) -> None:
        self.version = 0
        self.record: Record | None = None
        self.reads = 0

    def carry_out(self, request: Request) -> Lease | str | None:
        if isinstance(request, Get):
            self.reads += 1
            return None if self.record is None else Lease(self.record, str(self.version))
        expected = request.resource_version if isinstance(request, Update) else "0"
        if expected != str(self.version):
            return "conflict"
        self.version += 1
        self.record = request.record
        return Lease(request.record, str(self.version))


@dataclass
class Candidate:
    """A process: its clock is ``offset + rate * true time``."""

    election: Election
    offset: float
    rate: float
    alive: bool = True
    stalled_until: float = 0.0
    cut_off_until: float = 0.0
    request: int = 0

    def now(self, true: float) -> float:
        return self.offset + self.rate * true


class World:
    """The discrete-event simulation."""

    def __init__(self, seed: int, *, candidates: int, faults: float, max_skew: float) -> None:
        self.random = random.Random(seed)
        self.faults = faults
        self.max_skew = max_skew
        self.server = Server()
        self.true = 0.0
        self.order = itertools.count()
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.candidates: list[Candidate] = []
        self.terms: list[tuple[float, str]] = []
        self.names = itertools.count()
        for _ in range(candidates):
            self.at(self.random.uniform(0, 3), self.spawn)

    def at(self, true: float, act: Callable[[], None]) -> None:
        heapq.heappush(self.agenda, (true, next(self.order), act))

    def faulty(self) -> bool:
        return self.true < FAULTS_END_S and self.random.random() < self.faults

    def spawn(self) -> None:
        candidate = Candidate(
            Election(f"c{next(self.names)}", TIMINGS),
            offset=self.random.uniform(-4000, 4000),
            rate=self.random.uniform(1 - self.max_skew, 1 + self.max_skew),
        )
        self.candidates.append(candidate)
        self.act(candidate, candidate.election.wake(candidate.now(self.true), self.stamp()))

    def stamp(self) -> str:
        return f"{next(self.order)}"

    def run(self) -> None:
        while self.agenda and self.agenda[0][0] < END_S:
            self.true, _, act = heapq.heappop(self.agenda)
            act()
            writers = [
                c.election.identity
                for c in self.candidates
                if c.alive and c.election.may_write(c.now(self.true))
            ]
            assert len(writers) <= 1, f"{writers} may all write at {self.true}"
            if writers and (not self.terms or self.terms[-1][1] != writers[0]):
                self.terms.append((self.true, writers[0]))

    def deliver(self, candidate: Candidate, react: Callable[[], Action]) -> None:
        """Let a process react, once it runs again."""
        if not candidate.alive:
            return
        if candidate.stalled_until > self.true:
            self.at(candidate.stalled_until, lambda: self.deliver(candidate, react))
            return
        self.act(candidate, react())

    def act(self, candidate: Candidate, action: Action) -> None:
        if self.faulty() and self.random.random() < 0.1:
            candidate.stalled_until = self.true + self.random.uniform(0, 40)
        if self.faulty() and self.random.random() < 0.2:
            candidate.cut_off_until = self.true + self.random.uniform(0, 40)
        if self.faulty() and self.random.random() < 0.05:
            self.end(candidate)
            return
        match action:
            case Stop():
                self.end(candidate)
            case Wait(at_least_s, at_most_s):
                seconds = self.random.uniform(at_least_s, at_most_s) / candidate.rate
                self.at(
                    self.true + seconds,
                    lambda: self.deliver(candidate, lambda: self.wake(candidate)),
                )
            case _:
                self.send(candidate, action)

    def wake(self, candidate: Candidate) -> Action:
        return candidate.election.wake(candidate.now(self.true), self.stamp())

    def end(self, candidate: Candidate) -> None:
        candidate.alive = False
        self.at(self.true + self.random.uniform(0.1, 5), self.spawn)

    def lost(self, candidate: Candidate) -> bool:
        return candidate.cut_off_until > self.true or self.faulty()

    def latency(self) -> float:
        slow = self.faulty()
        return self.random.uniform(0.0, 6.0) if slow else self.random.uniform(0.001, 0.05)

    def send(self, candidate: Candidate, request: Request) -> None:
        candidate.request += 1
        number = candidate.request
        budget = candidate.election.budget_s(candidate.now(self.true)) / candidate.rate
        if not self.lost(candidate):

            def carry_out() -> None:
                answer = self.server.carry_out(request)
                if not self.lost(candidate):
                    self.at(
                        self.true + self.latency(),
                        lambda: self.deliver(
                            candidate, lambda: self.answered(candidate, number, request, answer)
                        ),
                    )

            self.at(self.true + self.latency(), carry_out)
        self.at(
            self.true + max(budget, 0.0),
            lambda: self.deliver(candidate, lambda: self.timed_out(candidate, number)),
        )

    def answered(
        self, candidate: Candidate, number: int, request: Request, answer: Lease | str | None
    ) -> Action:
        if number != candidate.request:
            return Wait(1e9, 1e9)  # an answer to a request that was given up
        candidate.request += 1
        election, now = candidate.election, candidate.now(self.true)
        if isinstance(answer, str):
            return election.conflicted(now)
        if answer is None or isinstance(request, Get):
            return election.read(answer, now, self.stamp())
        return election.written(answer, now)

    def timed_out(self, candidate: Candidate, number: int) -> Action:
        if number != candidate.request:
            return Wait(1e9, 1e9)  # it was answered
        candidate.request += 1
        return candidate.election.failed(candidate.now(self.true))


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    candidates=st.integers(2, 4),
    faults=st.sampled_from([0.05, 0.1, 0.2]),
)
def test_never_two_may_write_and_somebody_leads_again_after_the_faults(
    seed: int, candidates: int, faults: float
) -> None:
    # Rates differ by up to 1.19 / 0.81 = 1.47, just below lease / renew deadline = 1.5.
    world = World(seed, candidates=candidates, faults=faults, max_skew=0.19)

    world.run()

    leaders = [c for c in world.candidates if c.alive and c.election.may_write(c.now(world.true))]
    assert len(leaders) == 1
    assert world.terms[-1][0] < FAULTS_END_S + 60


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_without_faults_the_first_leader_stays_and_standbys_read_little(seed: int) -> None:
    world = World(seed, candidates=2, faults=0.0, max_skew=0.0)

    world.run()

    assert len(world.terms) == 1
    periods = END_S / TIMINGS.retry_s
    assert world.server.reads < 1.5 * periods


def test_simulation_finds_the_fault_of_counting_from_the_answer() -> None:
    """The simulation is worth something: the classic mistake does not pass it."""

    class CountsFromAnswer(Election):
        def written(self, lease: Lease, now: float) -> Action:
            self._sent_at = now
            return super().written(lease, now)

    class WrongWorld(World):
        def spawn(self) -> None:
            super().spawn()
            self.candidates[-1].election.__class__ = CountsFromAnswer

    broken = 0
    for seed in range(100):
        try:
            WrongWorld(seed, candidates=3, faults=0.2, max_skew=0.19).run()
        except AssertionError:
            broken += 1

    assert broken > 0
