# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which server is asked when: a state machine against what must hold, and named examples."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from controller.llamastack.server.probe_port import Heard, Server
from llamastack_operator.probing.schedule import (
    AWAITED_S,
    AWAITED_TRIES,
    FIRST_REST_S,
    LATER_S,
    MOST_TRIES,
    REST_GROWS,
    SPREAD,
    TOLD_AFTER,
    Ledger,
)
from tests.support.llama_servers import server

WELL = Heard("0.7.3", ())
ILL = Heard(problem="could not be asked")
NAMES = ("a", "b", "c")
REPEATS = 1
UID = server().uid


class Asking(RuleBasedStateMachine):
    """Passes come by, servers answer well, badly or late, pods come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(most_repeats=REPEATS)
        self.now = 0.0
        self.world = {name: server(name) for name in NAMES}
        self.ready = dict.fromkeys(NAMES, False)
        self.seen: dict[str, Server] = {}
        self.asked: list[Server] = []
        self.counter = 0

    def look(self, name: str, *, known: bool = False) -> None:
        current = self.world[name]
        heard = self.ledger.look(current, ready=self.ready[name], known=known, now=self.now)
        self.seen[name] = current
        # What is told is of the template that runs, in the words of a server of that template.
        assert heard is None or heard.problem or heard.version == current.template

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
        found = self.ledger.take(self.now)
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
            heard = replace(WELL, version=asked.template) if well else ILL
            self.ledger.answered(asked, heard, now=self.now, spread=0.5)

    @rule(name=st.sampled_from(NAMES))
    def resource_goes(self, name: str) -> None:
        self.ledger.forget(f"uid-{name}")
        self.seen.pop(name, None)
        self.ready[name] = False

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 40.0, LATER_S]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def all_becomes_quiet_and_true(self) -> None:
        """With servers that answer well from now on, everything ready is known in the end."""
        for asked in self.asked:
            self.ledger.answered(
                asked, replace(WELL, version=asked.template), now=self.now, spread=0.5
            )
        self.asked = []
        for _ in range(50):
            found = self.ledger.take(self.now)
            if found is None:
                due = self.ledger.next_due()
                if due is None:
                    break
                assert due > self.now, "it says that there is something, and there is not"
                self.now = due
                continue
            self.ledger.answered(
                found, replace(WELL, version=found.template), now=self.now, spread=0.5
            )
        else:
            raise AssertionError("it never becomes quiet")

    @invariant()
    def only_seen_servers_are_remembered(self) -> None:
        assert len(self.ledger) == len(self.seen)


TestAsking = Asking.TestCase
TestAsking.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def look(ledger: Ledger, it: Server, now: float = 0.0, *, known: bool = False) -> Heard | None:
    return ledger.look(it, ready=True, known=known, now=now)


def fails(ledger: Ledger, times: int, it: Server) -> list[float]:
    """The moments at which a server was asked that never answers well."""
    now, moments = 0.0, []
    for _ in range(times):
        due = ledger.next_due()
        assert due is not None
        now = max(now, due)
        assert ledger.take(now) == it
        moments.append(now)
        ledger.answered(it, ILL, now=now, spread=0.0)
    return moments


def test_ready_server_is_asked_once() -> None:
    ledger = Ledger()
    look(ledger, server())

    asked = ledger.take(0.0)
    assert asked == server()
    assert ledger.answered(server(), WELL, now=1.0, spread=0.0)

    assert look(ledger, server(), 2.0) == WELL
    assert ledger.take(10_000.0) is None
    assert ledger.next_due() is None


def test_server_is_not_asked_before_its_pods_are_there() -> None:
    ledger = Ledger()
    ledger.look(server(), ready=False, known=False, now=0.0)
    assert ledger.take(0.0) is None

    look(ledger, server())
    assert ledger.take(0.0) == server()


def test_server_whose_status_has_it_all_is_not_asked() -> None:
    ledger = Ledger()
    look(ledger, server(), known=True)

    assert ledger.take(0.0) is None


def test_pods_that_went_and_came_are_a_reason_to_ask_again() -> None:
    ledger = Ledger()
    look(ledger, server(), known=True)
    ledger.look(server(occasion="two of three"), ready=False, known=True, now=1.0)
    look(ledger, server(), 2.0, known=True)

    assert ledger.take(2.0) == server()


def test_words_of_another_template_are_dropped_at_once() -> None:
    ledger = Ledger()
    look(ledger, server())
    ledger.take(0.0)
    ledger.answered(server(), WELL, now=0.0, spread=0.0)

    assert look(ledger, server(template="t2", occasion="o2")) is None
    assert look(ledger, server(template="t2", occasion="o2")) is None


def test_answer_to_an_older_occasion_is_thrown_away() -> None:
    ledger = Ledger()
    newer = server(template="t2", occasion="o2")
    look(ledger, server())
    ledger.take(0.0)
    look(ledger, newer)

    assert not ledger.answered(server(), WELL, now=1.0, spread=0.0)
    assert look(ledger, newer) is None
    assert ledger.take(1.0) == newer


def test_server_is_asked_one_question_at_a_time() -> None:
    ledger = Ledger()
    newer = server(occasion="o2")
    look(ledger, server())
    ledger.take(0.0)
    look(ledger, newer)

    assert ledger.take(0.0) is None, "the first question is not answered yet"
    ledger.answered(server(), WELL, now=1.0, spread=0.0)
    assert ledger.take(1.0) == newer


def test_answered_server_is_not_asked_again_because_its_readiness_flickered() -> None:
    ledger = Ledger()
    look(ledger, server())
    ledger.take(0.0)
    ledger.look(server(), ready=False, known=False, now=0.0)
    look(ledger, server())
    ledger.answered(server(), WELL, now=1.0, spread=0.0)

    assert ledger.take(1.0) is None


def test_silent_server_is_asked_a_few_times_and_left_alone() -> None:
    ledger = Ledger()
    look(ledger, server())

    moments = fails(ledger, MOST_TRIES, server())

    rests = [after - before for before, after in itertools.pairwise(moments)]
    assert rests == [FIRST_REST_S * REST_GROWS**n for n in range(MOST_TRIES - 1)]
    assert ledger.next_due() is None
    look(ledger, server(), moments[-1] + LATER_S - 1)
    assert ledger.take(moments[-1] + LATER_S - 1) is None


def test_pass_that_comes_by_much_later_is_one_more_try() -> None:
    ledger = Ledger()
    look(ledger, server())
    last = fails(ledger, MOST_TRIES, server())[-1]
    later = last + LATER_S

    look(ledger, server(), later)
    assert ledger.take(later) == server()
    ledger.answered(server(), ILL, now=later, spread=0.0)

    assert ledger.next_due() is None


def test_failure_is_told_when_it_has_repeated_itself() -> None:
    ledger = Ledger()
    look(ledger, server())

    fails(ledger, TOLD_AFTER - 1, server())
    assert look(ledger, server()) is None
    fails(ledger, 1, server())

    assert look(ledger, server()) == ILL


def test_rests_are_spread() -> None:
    ledger = Ledger()
    look(ledger, server())
    ledger.take(0.0)
    ledger.answered(server(), ILL, now=0.0, spread=1.0)

    assert ledger.next_due() == FIRST_REST_S * (1 + SPREAD)


def test_crowd_of_silent_servers_does_not_take_all_places() -> None:
    ledger = Ledger(most_repeats=2)
    silent = [server(f"s{n}") for n in range(5)]
    for it in silent:
        look(ledger, it)
        ledger.take(0.0)
        ledger.answered(it, ILL, now=0.0, spread=0.0)

    assert [ledger.take(100.0) for _ in range(3)] == [silent[0], silent[1], None]
    look(ledger, server("new"), 100.0)
    assert ledger.take(100.0) == server("new")


def test_who_may_not_ask_is_told_nothing_and_knocks_no_more() -> None:
    ledger = Ledger()
    look(ledger, server())
    ledger.take(0.0)

    ledger.refused(server(), now=0.0)

    assert look(ledger, server(), 1.0) is None
    assert ledger.take(1.0) is None


def test_only_another_answer_is_news() -> None:
    ledger = Ledger()
    look(ledger, server())
    ledger.take(0.0)
    assert ledger.answered(server(), WELL, now=0.0, spread=0.0)
    again = server(occasion="o2")
    look(ledger, again)
    ledger.take(0.0)

    assert not ledger.answered(again, WELL, now=1.0, spread=0.0)


def test_first_answer_is_awaited_for_a_moment() -> None:
    ledger = Ledger()
    assert ledger.awaited_s(UID, now=0.0) == 0.0, "nobody knows of it"
    ledger.look(server(), ready=False, known=False, now=0.0)
    assert ledger.awaited_s(UID, now=0.0) == 0.0, "it is not asked yet"

    look(ledger, server(), 5.0)

    assert ledger.awaited_s(UID, now=5.0) == AWAITED_S
    assert ledger.awaited_s(UID, now=5.0 + AWAITED_S / 4) == AWAITED_S * 3 / 4
    assert ledger.awaited_s(UID, now=60.0) == 0.0


def test_nothing_is_awaited_from_whom_is_known_or_has_answered() -> None:
    known, answered, failed = Ledger(), Ledger(), Ledger()
    look(known, server(), known=True)
    for ledger in (answered, failed):
        look(ledger, server())
    answered.take(0.0)
    answered.answered(server(), WELL, now=0.0, spread=0.0)
    fails(failed, AWAITED_TRIES, server())

    assert [it.awaited_s(UID, now=0.0) for it in (known, answered, failed)] == [0.0, 0.0, 0.0]


def test_moment_is_not_prolonged_by_pods_that_come_and_go() -> None:
    ledger = Ledger()
    look(ledger, server())
    for number in range(1, 5):
        occasion = server(occasion=f"o{number}")
        ledger.look(occasion, ready=False, known=False, now=AWAITED_S * number / 4)
        look(ledger, occasion, AWAITED_S * number / 4)

    assert ledger.awaited_s(UID, now=AWAITED_S) == 0.0


def test_another_template_has_a_moment_of_its_own() -> None:
    ledger = Ledger()
    look(ledger, server())
    ledger.take(0.0)
    ledger.answered(server(), WELL, now=0.0, spread=0.0)

    look(ledger, server(template="t2", occasion="o2"), 9.0)

    assert ledger.awaited_s(UID, now=9.0) == AWAITED_S
