# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How long a key that failed has to rest; client-go's ``default_rate_limiters.go`` (C6, C7).

The controllers here use :class:`PerKeyExponential` alone, as controller-runtime does since its
priority queue became the default (v0.23): a bucket shared by all keys punishes the healthy ones
for one bad neighbour, and API Priority and Fairness protects the server better than a guess on
the client's side can. Whoever wants client-go's classic pair writes
``MaxOf(PerKeyExponential(), TokenBucket())``.

No jitter: the keys of one controller do not start in lockstep, and the exact sequence is what
tests and people reading logs can rely on.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Protocol, TypeVar

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)

BASE_DELAY_S = 0.005
"""Rest after the first failure: most conflicts and races are over by then (client-go's value)."""

MAX_DELAY_S = 1000.0
"""Longest rest, about a quarter of an hour (client-go's value)."""

BUCKET_PER_S = 10.0
"""Tokens that come back each second (client-go's value)."""

BUCKET_BURST = 100
"""Tokens of a full bucket (client-go's value)."""


class RateLimiter(Protocol[K_contra]):
    """Counts failures and turns them into seconds."""

    def delay(self, key: K_contra, now: float) -> float:
        """Count one more failure of a key; seconds (≥ 0) that it has to rest from ``now``."""
        ...

    def forget(self, key: K_contra) -> None:
        """The key is well again: drop its count. Unknown keys are fine."""
        ...

    def requeues(self, key: K_contra) -> int:
        """Failures counted since the last :meth:`forget`."""
        ...


class PerKeyExponential(RateLimiter[K]):
    """``base · 2ⁿ`` seconds after ``n`` earlier failures of the same key, capped."""

    def __init__(self, *, base_s: float = BASE_DELAY_S, cap_s: float = MAX_DELAY_S) -> None:
        """Both in seconds.

        Raises:
            ValueError: not ``0 < base_s ≤ cap_s``.
        """
        if not 0 < base_s <= cap_s < math.inf:
            raise ValueError(f"need 0 < base {base_s} <= cap {cap_s}")
        self._base_s = base_s
        self._cap_s = cap_s
        # From this count on the cap holds, so 2ⁿ is never computed for a large n: a key that
        # fails for months must not die of an OverflowError.
        self._capped_from = math.ceil(math.log2(cap_s / base_s))
        self._failures: dict[K, int] = {}

    def delay(self, key: K, now: float) -> float:
        """Seconds of rest; see :class:`RateLimiter`."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        if failures >= self._capped_from:
            return self._cap_s
        return min(self._cap_s, math.ldexp(self._base_s, failures))

    def forget(self, key: K) -> None:
        """Start again from the base."""
        self._failures.pop(key, None)

    def requeues(self, key: K) -> int:
        """Failures since the last :meth:`forget`."""
        return self._failures.get(key, 0)

    def __len__(self) -> int:
        """Number of keys with a count: what leaks if somebody forgets to forget (C7)."""
        return len(self._failures)


class TokenBucket(RateLimiter[K]):
    """One bucket for all keys: a failure beyond the burst waits until its token has come back.

    Tokens are reserved, not refused (Go's ``rate.Limiter.Reserve``): the bucket goes negative,
    and each further failure waits longer.
    """

    def __init__(self, *, per_s: float = BUCKET_PER_S, burst: int = BUCKET_BURST) -> None:
        """Tokens a second, and tokens of a full bucket.

        Raises:
            ValueError: one of them is not positive.
        """
        if not (0 < per_s < math.inf and burst > 0):
            raise ValueError(f"need a positive rate {per_s} and burst {burst}")
        self._per_s = per_s
        self._burst = float(burst)
        self._tokens = self._burst
        self._filled_at: float | None = None

    def delay(self, key: K, now: float) -> float:
        """Seconds until the token taken by this call has come back; 0 within the burst."""
        if self._filled_at is not None:
            gained = max(0.0, now - self._filled_at) * self._per_s
            self._tokens = min(self._burst, self._tokens + gained)
        self._filled_at = now
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self._per_s)

    def forget(self, key: K) -> None:
        """Nothing: the bucket does not know keys."""

    def requeues(self, key: K) -> int:
        """Always 0."""
        return 0


class MaxOf(RateLimiter[K]):
    """The longest rest that any of several limiters asks for; each of them counts."""

    def __init__(self, *limiters: RateLimiter[K]) -> None:
        """At least one.

        Raises:
            ValueError: none given.
        """
        if not limiters:
            raise ValueError("need at least one rate limiter")
        self._limiters = limiters

    def delay(self, key: K, now: float) -> float:
        """Seconds of rest; see :class:`RateLimiter`."""
        return max([limiter.delay(key, now) for limiter in self._limiters])

    def forget(self, key: K) -> None:
        """Tell all of them."""
        for limiter in self._limiters:
            limiter.forget(key)

    def requeues(self, key: K) -> int:
        """The largest count of any of them."""
        return max(limiter.requeues(key) for limiter in self._limiters)
