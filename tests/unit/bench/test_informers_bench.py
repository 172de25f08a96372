# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The benchmark runs, and a big sync leaves room for the lease (A20)."""

from __future__ import annotations

import pytest

from tests.bench.bench_informers import measure, without_collector

pytestmark = pytest.mark.bench


def test_benchmark_runs_and_its_numbers_are_sane() -> None:
    result = measure(objects=1_000, seconds=0.2)

    assert result.events_per_s > 1_000
    assert result.kib_per_object < 60


def test_big_sync_never_holds_the_loop_for_a_tenth_of_a_second() -> None:
    lags: list[float] = []
    while not lags or (lags[-1] >= 100 and len(lags) < 3):
        # The best of three: what else runs on the machine can only make it slower.
        lags.append(without_collector(objects=10_000)[1])

    assert lags[-1] < 100
