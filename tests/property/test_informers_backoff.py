# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The back-off sequence stays within its bounds for every seed (A11)."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from informers.backoff import Backoff

seeds = st.integers(0, 2**32)


@given(seed=seeds)
def test_delays_double_from_800_ms_to_30_s_with_up_to_as_much_jitter(seed: int) -> None:
    backoff = Backoff(rng=random.Random(seed))
    now = 0.0
    for attempt in range(2_000):  # far beyond where a power would overflow
        base = min(0.8 * 2 ** min(attempt, 10), 30.0)
        delay = backoff.next(now)
        assert base <= delay < 2 * base
        now += delay


def test_jitter_is_spread_over_its_whole_range() -> None:
    first = [Backoff(rng=random.Random(seed)).next(0.0) for seed in range(500)]

    assert min(first) < 0.85
    assert max(first) > 1.55


@given(seed=seeds, healthy=st.floats(120.1, 1e6))
def test_two_healthy_minutes_forget_the_past(seed: int, healthy: float) -> None:
    backoff = Backoff(rng=random.Random(seed))
    now = sum(backoff.next(0.0) for _ in range(10))
    now += backoff.next(now)

    assert backoff.next(now + healthy) < 1.6


@given(seed=seeds, healthy=st.floats(0.0, 119.0))
def test_shorter_health_forgets_nothing(seed: int, healthy: float) -> None:
    backoff = Backoff(rng=random.Random(seed))
    now = 0.0
    for _ in range(10):
        now += backoff.next(now)

    assert backoff.next(now + healthy) >= 30.0


@given(seed=seeds, asked=st.floats(0.0, 1000.0))
def test_server_may_ask_for_more_but_not_for_less(seed: int, asked: float) -> None:
    own = Backoff(rng=random.Random(seed)).next(0.0)

    assert Backoff(rng=random.Random(seed)).next(0.0, at_least=asked) == max(own, asked)


def test_long_wait_that_the_server_asked_for_is_not_health() -> None:
    backoff = Backoff(rng=random.Random(1))
    for _ in range(10):
        backoff.next(0.0)
    waited = backoff.next(0.0, at_least=600.0)

    assert backoff.next(waited) >= 30.0


def test_reset_starts_over() -> None:
    backoff = Backoff(rng=random.Random(1))
    for _ in range(10):
        backoff.next(0.0)
    backoff.reset()

    assert backoff.next(0.0) < 1.6
