# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The benchmark runs, and a big sync leaves room for the lease (A20)."""

from __future__ import annotations

import pytest

from tests.bench.bench_informers import measure

pytestmark = pytest.mark.bench


def test_big_sync_never_holds_the_loop_for_a_tenth_of_a_second() -> None:
    result = measure(objects=10_000, seconds=0.3)

    assert result.max_lag_ms < 100
    assert result.events_per_s > 2_000
    assert 5 < result.kib_per_object < 40
