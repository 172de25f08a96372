# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which server is asked when: a state machine against what must hold, and named examples."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from controller.llamastack.server.probe_port import Server, ServerReport
from llamastack_operator.probing.schedule import (
    AWAITED_S,
    AWAITED_TRIES,
    FIRST_REST_S,
    LATER_S,
    MOST_TRIES,
    REPORTED_AFTER,
    REST_GROWS,
    SPREAD,
    Schedule,
)
from tests.support.llama_servers import server

WELL = ServerReport("0.7.3", ())
ILL = ServerReport(problem="could not be asked")
NAMES = ("a", "b", "c")
REPEATS = 1
UID = server().uid


class Asking(RuleBasedStateMachine):
    """Reconciles come by, servers answer well, badly or late, pods come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule = Schedule(most_repeats=REPEATS)
        self.now = 0.0
        self.world = {name: server(name) for name in NAMES}
        self.ready = dict.fromkeys(NAMES, False)
        self.seen: dict[str, Server] = {}
        self.asked: list[Server] = []
        self.counter = 0

    def look(self, name: str, *, known: bool = False) -> None:
        current = self.world[name]
        report = self.schedule.look(current, ready=self.ready[name], known=known, now=self.now)
        self.seen[name] = current
        # What is told is of the template that runs, in the words of a server of that template.
        assert report is None or report.problem or report.version == current.template

    @rule(name=st.sampled_from(NAMES), known=st.booleans())
    def pass_comes_by(self, name: str, known: bool) -> None:
        self.look(name, known=known)

    @rule(name=st.sampled_from(NAMES), new_template=st.booleans(), ready=st.booleans())
    def pods_change(self, name: str, new_template: bool, ready: bool) -> None:
        self.counter += 1
        template = f"t{self.counter}" if new_template else self.world[name].template
        self.world[name] = server(name, template=template, occasion=f"o{self.counter}")
        self.ready[name] = ready
        self.look(name)

    @rule(name=st.sampled_from(NAMES), ready=st.booleans())
    def readiness_changes(self, name: str, ready: bool) -> None:
        self.ready[name] = ready
        self.look(name)

    @rule()
    def somebody_is_asked(self) -> None:
        found = self.schedule.take(self.now)
        if found is not None:
            name = found.key.name
            assert found.uid not in {s.uid for s in self.asked}, "two questions to one server"
            assert self.ready[name], "a server was asked whose pods are not there"
            assert found == self.seen[name], "somebody else was asked"
            self.asked.append(found)

    @rule(pick=st.integers(0, 2), well=st.booleans())
    def somebody_answers(self, pick: int, well: bool) -> None:
        if self.asked:
            asked = self.asked.pop(pick % len(self.asked))
            report = replace(WELL, version=asked.template) if well else ILL
            self.schedule.answered(asked, report, now=self.now, spread=0.5)

    @rule(name=st.sampled_from(NAMES))
    def resource_goes(self, name: str) -> None:
        self.schedule.forget(f"uid-{name}")
        self.seen.pop(name, None)
        self.ready[name] = False

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 40.0, LATER_S]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def all_becomes_quiet_and_true(self) -> None:
        """With servers that answer well from now on, everything ready is known in the end."""
        for asked in self.asked:
            self.schedule.answered(
                asked, replace(WELL, version=asked.template), now=self.now, spread=0.5
            )
        self.asked = []
        for _ in range(50):
            found = self.schedule.take(self.now)
            if found is None:
                due = self.schedule.next_due()
                if due is None:
                    break
                assert due > self.now, "it says that there is something, and there is not"
                self.now = due
                continue
            self.schedule.answered(
                found, replace(WELL, version=found.template), now=self.now, spread=0.5
            )
        else:
            raise AssertionError("it never becomes quiet")

    @invariant()
    def only_seen_servers_are_remembered(self) -> None:
        assert len(self.schedule) == len(self.seen)


TestAsking = Asking.TestCase
TestAsking.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def look(
    schedule: Schedule, it: Server, now: float = 0.0, *, known: bool = False
) -> ServerReport | None:
    return schedule.look(it, ready=True, known=known, now=now)


def fails(schedule: Schedule, times: int, it: Server) -> list[float]:
    """The moments at which a server was asked that never answers well."""
    now, moments = 0.0, []
    for _ in range(times):
        due = schedule.next_due()
        assert due is not None
        now = max(now, due)
        assert schedule.take(now) == it
        moments.append(now)
        schedule.answered(it, ILL, now=now, spread=0.0)
    return moments


def test_ready_server_is_asked_once() -> None:
    schedule = Schedule()
    look(schedule, server())

    asked = schedule.take(0.0)
    assert asked == server()
    assert schedule.answered(server(), WELL, now=1.0, spread=0.0)

    assert look(schedule, server(), 2.0) == WELL
    assert schedule.take(10_000.0) is None
    assert schedule.next_due() is None


def test_server_is_not_asked_before_its_pods_are_there() -> None:
    schedule = Schedule()
    schedule.look(server(), ready=False, known=False, now=0.0)
    assert schedule.take(0.0) is None

    look(schedule, server())
    assert schedule.take(0.0) == server()


def test_server_whose_status_has_it_all_is_not_asked() -> None:
    schedule = Schedule()
    look(schedule, server(), known=True)

    assert schedule.take(0.0) is None


def test_pods_that_went_and_came_are_a_reason_to_ask_again() -> None:
    schedule = Schedule()
    look(schedule, server(), known=True)
    schedule.look(server(occasion="two of three"), ready=False, known=True, now=1.0)
    look(schedule, server(), 2.0, known=True)

    assert schedule.take(2.0) == server()


def test_words_of_another_template_are_dropped_at_once() -> None:
    schedule = Schedule()
    look(schedule, server())
    schedule.take(0.0)
    schedule.answered(server(), WELL, now=0.0, spread=0.0)

    assert look(schedule, server(template="t2", occasion="o2")) is None
    assert look(schedule, server(template="t2", occasion="o2")) is None


def test_answer_to_an_older_occasion_is_thrown_away() -> None:
    schedule = Schedule()
    newer = server(template="t2", occasion="o2")
    look(schedule, server())
    schedule.take(0.0)
    look(schedule, newer)

    assert not schedule.answered(server(), WELL, now=1.0, spread=0.0)
    assert look(schedule, newer) is None
    assert schedule.take(1.0) == newer


def test_server_is_asked_one_question_at_a_time() -> None:
    schedule = Schedule()
    newer = server(occasion="o2")
    look(schedule, server())
    schedule.take(0.0)
    look(schedule, newer)

    assert schedule.take(0.0) is None, "the first question is not answered yet"
    schedule.answered(server(), WELL, now=1.0, spread=0.0)
    assert schedule.take(1.0) == newer


def test_answered_server_is_not_asked_again_because_its_readiness_flickered() -> None:
    schedule = Schedule()
    look(schedule, server())
    schedule.take(0.0)
    schedule.look(server(), ready=False, known=False, now=0.0)
    look(schedule, server())
    schedule.answered(server(), WELL, now=1.0, spread=0.0)

    assert schedule.take(1.0) is None


def test_silent_server_is_asked_a_few_times_and_left_alone() -> None:
    schedule = Schedule()
    look(schedule, server())

    moments = fails(schedule, MOST_TRIES, server())

    rests = [after - before for before, after in itertools.pairwise(moments)]
    assert rests == [FIRST_REST_S * REST_GROWS**n for n in range(MOST_TRIES - 1)]
    assert schedule.next_due() is None
    look(schedule, server(), moments[-1] + LATER_S - 1)
    assert schedule.take(moments[-1] + LATER_S - 1) is None


def test_reconcile_much_later_is_one_more_try() -> None:
    schedule = Schedule()
    look(schedule, server())
    last = fails(schedule, MOST_TRIES, server())[-1]
    later = last + LATER_S

    look(schedule, server(), later)
    assert schedule.take(later) == server()
    schedule.answered(server(), ILL, now=later, spread=0.0)

    assert schedule.next_due() is None


def test_failure_is_told_when_it_has_repeated_itself() -> None:
    schedule = Schedule()
    look(schedule, server())

    fails(schedule, REPORTED_AFTER - 1, server())
    assert look(schedule, server()) is None
    fails(schedule, 1, server())

    assert look(schedule, server()) == ILL


def test_rests_are_spread() -> None:
    schedule = Schedule()
    look(schedule, server())
    schedule.take(0.0)
    schedule.answered(server(), ILL, now=0.0, spread=1.0)

    assert schedule.next_due() == FIRST_REST_S * (1 + SPREAD)


def test_crowd_of_silent_servers_does_not_take_all_places() -> None:
    schedule = Schedule(most_repeats=2)
    silent = [server(f"s{n}") for n in range(5)]
    for it in silent:
        look(schedule, it)
        schedule.take(0.0)
        schedule.answered(it, ILL, now=0.0, spread=0.0)

    assert [schedule.take(100.0) for _ in range(3)] == [silent[0], silent[1], None]
    look(schedule, server("new"), 100.0)
    assert schedule.take(100.0) == server("new")


def test_who_may_not_ask_is_told_nothing_and_knocks_no_more() -> None:
    schedule = Schedule()
    look(schedule, server())
    schedule.take(0.0)

    schedule.refused(server(), now=0.0)

    assert look(schedule, server(), 1.0) is None
    assert schedule.take(1.0) is None


def test_only_another_report_queues_the_resource() -> None:
    schedule = Schedule()
    look(schedule, server())
    schedule.take(0.0)
    assert schedule.answered(server(), WELL, now=0.0, spread=0.0)
    again = server(occasion="o2")
    look(schedule, again)
    schedule.take(0.0)

    assert not schedule.answered(again, WELL, now=1.0, spread=0.0)


def test_first_answer_is_awaited_for_a_moment() -> None:
    schedule = Schedule()
    assert schedule.awaited_s(UID, now=0.0) == 0.0, "nobody knows of it"
    schedule.look(server(), ready=False, known=False, now=0.0)
    assert schedule.awaited_s(UID, now=0.0) == 0.0, "it is not asked yet"

    look(schedule, server(), 5.0)

    assert schedule.awaited_s(UID, now=5.0) == AWAITED_S
    assert schedule.awaited_s(UID, now=5.0 + AWAITED_S / 4) == AWAITED_S * 3 / 4
    assert schedule.awaited_s(UID, now=60.0) == 0.0


def test_nothing_is_awaited_from_whom_is_known_or_has_answered() -> None:
    known, answered, failed = Schedule(), Schedule(), Schedule()
    look(known, server(), known=True)
    for schedule in (answered, failed):
        look(schedule, server())
    answered.take(0.0)
    answered.answered(server(), WELL, now=0.0, spread=0.0)
    fails(failed, AWAITED_TRIES, server())

    assert [it.awaited_s(UID, now=0.0) for it in (known, answered, failed)] == [0.0, 0.0, 0.0]


def test_moment_is_not_prolonged_by_pods_that_come_and_go() -> None:
    schedule = Schedule()
    look(schedule, server())
    for number in range(1, 5):
        occasion = server(occasion=f"o{number}")
        schedule.look(occasion, ready=False, known=False, now=AWAITED_S * number / 4)
        look(schedule, occasion, AWAITED_S * number / 4)

    assert schedule.awaited_s(UID, now=AWAITED_S) == 0.0


def test_another_template_has_a_moment_of_its_own() -> None:
    schedule = Schedule()
    look(schedule, server())
    schedule.take(0.0)
    schedule.answered(server(), WELL, now=0.0, spread=0.0)

    look(schedule, server(template="t2", occasion="o2"), 9.0)

    assert schedule.awaited_s(UID, now=9.0) == AWAITED_S
