# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The benchmark runs, and a big sync leaves room for the lease (A20)."""

from __future__ import annotations

import pytest

from tests.bench.bench_informers import measure

pytestmark = pytest.mark.bench


def test_big_sync_never_holds_the_loop_for_a_tenth_of_a_second() -> None:
    # The best of three: what else runs on the machine can only make it slower.
    results = [measure(objects=10_000, seconds=0.1)]
    while results[-1].max_lag_ms >= 100 and len(results) < 3:
        results.append(measure(objects=10_000, seconds=0.1))

    assert results[-1].max_lag_ms < 100
    assert results[-1].events_per_s > 1_000
    assert results[-1].kib_per_object < 40
