# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Exponential back-off with jitter: the one helper that everybody shares (A11).

The numbers are those of client-go ``reflector.go``: 0.8 s doubling to 30 s, each with up to
100 % on top, so that a thousand clients of a restarted API server spread out by themselves; two
healthy minutes forget the past. Pure: the caller brings the time and the dice.
"""

from __future__ import annotations

from typing import Protocol

INITIAL_S = 0.8
CAP_S = 30.0
RESET_AFTER_S = 120.0

_MOST_POWERS = 60  # beyond any cap, and far from where a float overflows


class Rng(Protocol):
    """What is needed of :class:`random.Random`; injected so that cores stay pure."""

    def random(self) -> float:
        """A number in [0, 1)."""
        ...

    def randint(self, a: int, b: int) -> int:
        """An integer in [a, b]."""
        ...


def exponential(initial_s: float, failures: int, *, factor: float = 2.0, cap_s: float) -> float:
    """The delay after so many failures in a row, before jitter; seconds.

    Args:
        initial_s: after none.
        failures: in a row; any number, the power cannot overflow.
        factor: growth from one delay to the next.
        cap_s: never more.
    """
    return min(initial_s * factor ** min(failures, _MOST_POWERS), cap_s)


class Backoff:
    """Delays between attempts.

    Args:
        rng: source of the jitter.
        initial_s: first delay, in seconds.
        factor: growth from one delay to the next.
        cap_s: largest delay before jitter, in seconds.
        jitter: at most this share of the delay is added, e.g. 1.0 for up to +100 %.
        reset_after_s: seconds without a failure, counted from the end of the last delay, after
            which the next one is the first again.
    """

    def __init__(
        self,
        *,
        rng: Rng,
        initial_s: float = INITIAL_S,
        factor: float = 2.0,
        cap_s: float = CAP_S,
        jitter: float = 1.0,
        reset_after_s: float = RESET_AFTER_S,
    ) -> None:
        self._rng = rng
        self._initial_s = initial_s
        self._factor = factor
        self._cap_s = cap_s
        self._jitter = jitter
        self._reset_after_s = reset_after_s
        self._failures = 0
        self._waited_until: float | None = None

    def next(self, now: float, *, at_least: float = 0.0) -> float:
        """Seconds to wait before the next attempt.

        Args:
            now: monotonic seconds.
            at_least: a lower bound, e.g. what ``Retry-After`` asked for. It is not counted
                against the cap: the server knows better.
        """
        if self._waited_until is not None and now - self._waited_until >= self._reset_after_s:
            self.reset()
        base = exponential(self._initial_s, self._failures, factor=self._factor, cap_s=self._cap_s)
        delay = max(base * (1.0 + self._jitter * self._rng.random()), at_least)
        self._failures += 1
        self._waited_until = now + delay
        return delay

    def reset(self) -> None:
        """Start over with the first delay."""
        self._failures = 0
