# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A short run of the queue's benchmark: no operation is linear in the number of keys (C12)."""

from __future__ import annotations

import pytest

from tests.bench.bench_workqueue import core, measure

pytestmark = pytest.mark.bench


def test_benchmark_measures_every_operation() -> None:
    lines = measure(500)

    assert all(rate > 1000 for rate in lines.values()), lines


def test_operations_do_not_become_linear_with_thirty_two_times_the_keys() -> None:
    small = [core(2_000) for _ in range(3)]
    large = [core(64_000) for _ in range(2)]

    # A linear operation would be 32 times slower; caches and busy cores may cost a few times.
    for name in small[0]:
        fastest = max(lines[name] for lines in large)
        assert fastest > min(lines[name] for lines in small) / 12, name
