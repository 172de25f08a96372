# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The result table (C8, G16, D3)."""

from __future__ import annotations

import asyncio

import pytest

from controller.runtime.result import (
    Cause,
    Result,
    TerminalError,
    Then,
    Verdict,
    describe,
    judge_error,
    judge_result,
)
from informers.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    DeadlineExceeded,
    FieldManagerConflict,
    Forbidden,
    MalformedApply,
    ServerError,
    StatusError,
    TooManyRequests,
    TransportError,
)


def answer(
    kind: type[StatusError], code: int = 400, *, retry_after: float | None = None
) -> StatusError:
    return kind("no", code=code, retry_after=retry_after)


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (Result.done(), Verdict(Cause.RESULT, "success", Then.FORGET)),
        (Result(), Verdict(Cause.RESULT, "success", Then.FORGET)),
        (Result.after(60), Verdict(Cause.RESULT, "requeue_after", Then.LATER, 60)),
        (Result.after(0), Verdict(Cause.RESULT, "requeue_after", Then.LATER, 0)),
        (Result.after(-3), Verdict(Cause.RESULT, "requeue_after", Then.LATER, -3)),
        (Result.retry(), Verdict(Cause.RESULT, "requeue", Then.RETRY)),
    ],
)
def test_verdict_on_a_result(result: Result, verdict: Verdict) -> None:
    assert verdict == judge_result(result)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (TransportError("reset"), Verdict(Cause.ERROR, "error", Then.RETRY)),
        (DeadlineExceeded("slow"), Verdict(Cause.ERROR, "error", Then.RETRY)),
        (TimeoutError("of its own"), Verdict(Cause.ERROR, "error", Then.RETRY)),
        (answer(Forbidden), Verdict(Cause.ERROR, "error", Then.RETRY)),
        (answer(BadRequest), Verdict(Cause.ERROR, "error", Then.RETRY)),
        (answer(ServerError), Verdict(Cause.ERROR, "error", Then.RETRY)),
        (TerminalError("Broken", "for good"), Verdict(Cause.TERMINAL, "error", Then.FORGET)),
        (answer(MalformedApply), Verdict(Cause.TERMINAL, "error", Then.FORGET)),
        (answer(Conflict), Verdict(Cause.CONFLICT, "requeue", Then.RETRY)),
        (answer(AlreadyExists), Verdict(Cause.CONFLICT, "requeue", Then.RETRY)),
        (answer(FieldManagerConflict), Verdict(Cause.ERROR, "error", Then.RETRY)),
        (
            answer(TooManyRequests, retry_after=7.5),
            Verdict(Cause.ERROR, "error", Then.RETRY, 7.5),
        ),
        (answer(TooManyRequests), Verdict(Cause.ERROR, "error", Then.RETRY)),
        (answer(ServerError, retry_after=2), Verdict(Cause.ERROR, "error", Then.RETRY, 2)),
        (KeyError("spec"), Verdict(Cause.PANIC, "error", Then.RETRY)),
        (AssertionError(), Verdict(Cause.PANIC, "error", Then.RETRY)),
        (asyncio.CancelledError(), Verdict(Cause.PANIC, "error", Then.RETRY)),
    ],
)
def test_verdict_on_an_error(error: BaseException, verdict: Verdict) -> None:
    assert verdict == judge_error(error)


@pytest.mark.parametrize("error", [TimeoutError(), TransportError("cut"), KeyError("clean-up")])
def test_an_exceeded_limit_is_the_cause_whatever_the_reconcile_made_of_it(
    error: Exception,
) -> None:
    verdict = judge_error(error, timed_out=True)

    assert verdict == Verdict(Cause.TIMEOUT, "error", Then.RETRY)


def test_server_cannot_ask_for_so_much_patience_that_a_key_is_lost() -> None:
    verdict = judge_error(answer(TooManyRequests, retry_after=float("inf")))

    assert verdict.delay_s == 1000.0


@pytest.mark.parametrize(
    ("members", "cause"),
    [
        ([answer(Conflict), answer(Conflict)], Cause.CONFLICT),
        ([TerminalError("A", "b"), answer(Conflict)], Cause.CONFLICT),
        ([TerminalError("A", "b"), TransportError("c")], Cause.ERROR),
        ([TerminalError("A", "b"), TerminalError("C", "d")], Cause.TERMINAL),
        ([answer(Conflict), ZeroDivisionError()], Cause.PANIC),
    ],
)
def test_worst_member_of_a_group_counts(members: list[Exception], cause: Cause) -> None:
    group = ExceptionGroup("outer", [ExceptionGroup("inner", members[:1]), *members[1:]])

    assert cause == judge_error(group).cause


def test_longest_patience_asked_for_in_a_group_counts() -> None:
    group = ExceptionGroup(
        "writes",
        [answer(TooManyRequests, retry_after=2), answer(ServerError, retry_after=9)],
    )

    assert judge_error(group).delay_s == 9


def test_group_is_described_by_what_its_members_say_each_once() -> None:
    group = ExceptionGroup(
        "writes", [TransportError("reset"), TransportError("reset"), KeyError(1)]
    )

    assert describe(group) == "TransportError: reset; KeyError: 1"


def test_terminal_error_carries_a_reason_for_conditions() -> None:
    error = TerminalError("PortOutOfRange", "port 99999 is not in 1..65535")

    assert (error.reason, error.message) == ("PortOutOfRange", "port 99999 is not in 1..65535")
    assert str(error) == "PortOutOfRange: port 99999 is not in 1..65535"


@pytest.mark.parametrize("reason", ["", "lowerCase", "With Space", "Snake_case"])
def test_reason_of_a_terminal_error_is_upper_camel_case(reason: str) -> None:
    with pytest.raises(ValueError, match="UpperCamelCase"):
        TerminalError(reason, "message")


@pytest.mark.parametrize("seconds", [float("inf"), float("nan")])
def test_senseless_wish_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Result.after(seconds)


def test_two_wishes_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="excludes"):
        Result(requeue_after_s=1, rate_limited=True)
