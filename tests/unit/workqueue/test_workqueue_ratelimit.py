# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Rate limiters: how long a failing key rests (C6, C7)."""

from __future__ import annotations

import pytest

from workqueue.ratelimit import MaxOf, PerKeyExponential, TokenBucket


def test_rest_doubles_from_five_milliseconds() -> None:
    limiter = PerKeyExponential[str]()

    delays = [limiter.delay("a", 0.0) for _ in range(5)]

    assert delays == [0.005, 0.01, 0.02, 0.04, 0.08]


def test_rest_is_capped_at_a_thousand_seconds_from_the_eighteenth_failure_on() -> None:
    limiter = PerKeyExponential[str]()

    delays = [limiter.delay("a", 0.0) for _ in range(20)]

    assert delays[16:] == [0.005 * 2**16, 0.005 * 2**17, 1000.0, 1000.0]


def test_a_key_that_fails_for_years_does_not_overflow() -> None:
    limiter = PerKeyExponential[str]()
    limiter._failures["a"] = 10**9

    assert limiter.delay("a", 0.0) == 1000.0
    assert limiter.requeues("a") == 10**9 + 1


def test_cap_below_twice_the_base_holds_from_the_second_failure_on() -> None:
    limiter = PerKeyExponential[str](base_s=1.0, cap_s=1.5)

    assert [limiter.delay("a", 0.0) for _ in range(3)] == [1.0, 1.5, 1.5]


def test_keys_do_not_share_their_failures() -> None:
    limiter = PerKeyExponential[str]()
    limiter.delay("a", 0.0)
    limiter.delay("a", 0.0)

    assert limiter.delay("b", 0.0) == 0.005
    assert (limiter.requeues("a"), limiter.requeues("b"), limiter.requeues("c")) == (2, 1, 0)


def test_forgotten_key_starts_again_and_leaves_no_counter() -> None:
    limiter = PerKeyExponential[str]()
    limiter.delay("a", 0.0)
    limiter.delay("a", 0.0)

    limiter.forget("a")
    limiter.forget("never seen")

    assert len(limiter) == 0
    assert limiter.delay("a", 0.0) == 0.005


def test_bucket_lets_the_burst_pass_and_spaces_the_rest() -> None:
    bucket = TokenBucket[str](per_s=10.0, burst=100)

    delays = [bucket.delay("any", 50.0) for _ in range(103)]

    assert delays[:100] == [0.0] * 100
    assert delays[100:] == pytest.approx([0.1, 0.2, 0.3])


def test_bucket_refills_with_time_but_not_beyond_its_burst() -> None:
    bucket = TokenBucket[str](per_s=10.0, burst=2)
    for _ in range(2):
        bucket.delay("any", 0.0)

    assert bucket.delay("any", 0.0) == pytest.approx(0.1)
    assert bucket.delay("any", 0.2) == 0.0
    assert [bucket.delay("any", 3600.0) for _ in range(3)] == pytest.approx([0.0, 0.0, 0.1])


def test_bucket_survives_a_clock_that_steps_back() -> None:
    bucket = TokenBucket[str](per_s=10.0, burst=1)
    bucket.delay("any", 100.0)

    assert bucket.delay("any", 90.0) == pytest.approx(0.1)
    assert bucket.delay("any", 90.1) == pytest.approx(0.1)


def test_bucket_knows_no_keys() -> None:
    bucket = TokenBucket[str](per_s=10.0, burst=1)
    bucket.delay("a", 0.0)

    bucket.forget("a")

    assert bucket.requeues("a") == 0
    assert bucket.delay("a", 0.0) == pytest.approx(0.1)


def test_classic_pair_takes_the_longer_rest_and_counts_in_both() -> None:
    exponential = PerKeyExponential[str]()
    pair = MaxOf(exponential, TokenBucket[str](per_s=10.0, burst=1))

    delays = [pair.delay("a", 0.0) for _ in range(2)]
    other = pair.delay("b", 0.0)

    assert delays == pytest.approx([0.005, 0.1])
    assert other == pytest.approx(0.2)
    assert pair.requeues("a") == 2


def test_forget_reaches_every_limiter_of_the_pair() -> None:
    first, second = PerKeyExponential[str](), PerKeyExponential[str](base_s=1.0)
    pair = MaxOf(first, second)
    pair.delay("a", 0.0)

    pair.forget("a")

    assert (len(first), len(second)) == (0, 0)


@pytest.mark.parametrize(("base_s", "cap_s"), [(0.0, 1.0), (2.0, 1.0), (1.0, float("inf"))])
def test_senseless_exponential_is_refused(base_s: float, cap_s: float) -> None:
    with pytest.raises(ValueError, match="base"):
        PerKeyExponential[str](base_s=base_s, cap_s=cap_s)


@pytest.mark.parametrize(("per_s", "burst"), [(0.0, 1), (1.0, 0)])
def test_senseless_bucket_is_refused(per_s: float, burst: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        TokenBucket[str](per_s=per_s, burst=burst)


def test_maximum_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        MaxOf[str]()
