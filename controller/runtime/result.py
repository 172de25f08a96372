# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How a reconcile ends, and what becomes of its key: the result table (C8), as data.

================================  ============  ==========================================
the reconcile …                   result label  and then
================================  ============  ==========================================
returns ``Result.done()``         success       forget the failures
returns ``Result.after(s)``       requeue_after forget the failures, look again in ``s``
returns ``Result.retry()``        requeue       look again, rate-limited; no error
raises ``Conflict``               requeue       the same: somebody was faster (G16)
raises ``TerminalError``          error         not again until something changes
raises ``MalformedApply``         error         the same: our own bug (G6)
takes too long                    error         look again, rate-limited
raises another ``ApiError``       error         the same, not before its Retry-After
raises anything else              error         the same, and it counts as a panic (D3)
================================  ============  ==========================================

``reconcileHandler`` of controller-runtime's ``controller.go`` is the model, with two differences:
a conflict is no error (as in cert-manager), and a terminal error forgets its failures, because a
key that nobody will look at again must not keep a counter (C7).

A reconcile may raise an ``ExceptionGroup``, as task groups do. Its worst member counts, in the
order of the causes below: one retryable failure among terminal ones means retry.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from controller.runtime.metrics import ReconcileResult
from informers.errors import (
    ApiError,
    Conflict,
    FieldManagerConflict,
    MalformedApply,
    StatusError,
)

_LONGEST_PATIENCE_S = 1000.0
"""Whatever a server asks for, a key is not lost; the cap of the rate limiter."""

_REASON = re.compile(r"[A-Z][A-Za-z0-9]*")


@dataclass(frozen=True, slots=True)
class Result:
    """What a reconcile that did not fail asks for.

    Attributes:
        requeue_after_s: look again in that many seconds, if nothing happens before; at once if
            it is not positive; ``None`` for no such wish.
        rate_limited: look again after the rest that the key's failures call for. Exclusive.
    """

    requeue_after_s: float | None = None
    rate_limited: bool = False

    def __post_init__(self) -> None:
        if self.requeue_after_s is not None and (
            self.rate_limited or not math.isfinite(self.requeue_after_s)
        ):
            raise ValueError("requeue_after_s must be finite, and excludes rate_limited")

    @classmethod
    def done(cls) -> Result:
        """The world is as it should be; an event will tell when it is not."""
        return cls()

    @classmethod
    def after(cls, seconds: float) -> Result:
        """Look again then, because time itself changes something, or no event will tell."""
        return cls(requeue_after_s=seconds)

    @classmethod
    def retry(cls) -> Result:
        """Look again soon, without calling it an error; more slowly each time."""
        return cls(rate_limited=True)


class TerminalError(Exception):
    """What no retry can fix: only a change of the object will, and that wakes us anyway.

    Attributes:
        reason: UpperCamelCase, for conditions and Events.
        message: for people.
    """

    def __init__(self, reason: str, message: str) -> None:
        """Both are shown to users.

        Raises:
            ValueError: the reason is not UpperCamelCase.
        """
        if not _REASON.fullmatch(reason):
            raise ValueError(f"reason {reason!r} is not UpperCamelCase")
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class Cause(enum.IntEnum):
    """Why a key is where it is after a reconcile. Of several, the greatest counts."""

    RESULT = 0
    TERMINAL = 1
    CONFLICT = 2
    ERROR = 3
    TIMEOUT = 4
    PANIC = 5


class Then(enum.Enum):
    """What becomes of the key."""

    FORGET = enum.auto()
    """Forget its failures; it comes back when something happens."""

    LATER = enum.auto()
    """Forget its failures and queue it with a delay."""

    RETRY = enum.auto()
    """Queue it again, rate-limited."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row of the table.

    Attributes:
        cause: what happened.
        label: for the metric.
        then: what becomes of the key.
        delay_s: of ``LATER``, or the least of ``RETRY``; seconds.
    """

    cause: Cause
    label: ReconcileResult
    then: Then
    delay_s: float = 0.0


_CONSEQUENCES: dict[Cause, tuple[ReconcileResult, Then]] = {
    Cause.TERMINAL: ("error", Then.FORGET),
    Cause.CONFLICT: ("requeue", Then.RETRY),
    Cause.ERROR: ("error", Then.RETRY),
    Cause.TIMEOUT: ("error", Then.RETRY),
    Cause.PANIC: ("error", Then.RETRY),
}


def judge_result(result: Result) -> Verdict:
    """The verdict on a reconcile that returned."""
    if result.rate_limited:
        return Verdict(Cause.RESULT, "requeue", Then.RETRY)
    if result.requeue_after_s is not None:
        return Verdict(Cause.RESULT, "requeue_after", Then.LATER, result.requeue_after_s)
    return Verdict(Cause.RESULT, "success", Then.FORGET)


def judge_error(error: BaseException, *, timed_out: bool = False) -> Verdict:
    """The verdict on a reconcile that raised.

    Args:
        error: what it raised.
        timed_out: the controller's own limit was exceeded. Whatever the reconcile made of the
            interruption, this is the cause.
    """
    leaves = list(_leaves(error))
    cause = Cause.TIMEOUT if timed_out else max(_cause_of(leaf) for leaf in leaves)
    label, then = _CONSEQUENCES[cause]
    asked = [leaf.retry_after or 0.0 for leaf in leaves if isinstance(leaf, StatusError)]
    patience = min(max(asked, default=0.0), _LONGEST_PATIENCE_S)
    return Verdict(cause, label, then, patience if then is Then.RETRY else 0.0)


def describe(error: BaseException) -> str:
    """What went wrong, for a log line; of a group, what its members say, each once."""
    return "; ".join(dict.fromkeys(f"{type(leaf).__name__}: {leaf}" for leaf in _leaves(error)))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _leaves(member)
    else:
        yield error


def _cause_of(error: BaseException) -> Cause:
    match error:
        case TerminalError() | MalformedApply():
            return Cause.TERMINAL
        case FieldManagerConflict():  # nobody was faster: somebody owns the field
            return Cause.ERROR
        case Conflict():
            return Cause.CONFLICT
        case ApiError() | TimeoutError():
            return Cause.ERROR
        case _:
            return Cause.PANIC
