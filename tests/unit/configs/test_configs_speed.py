# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A short run of the benchmark, so that it keeps working and a slip of an order of size shows."""

from __future__ import annotations

import pytest

from configs import yaml_events
from tests.bench import bench_configs

pytestmark = pytest.mark.bench


def test_a_short_run_meets_the_bars() -> None:
    found = bench_configs.run(rounds=20)

    # The median: on a busy machine, the 99th percentile of 20 is whoever else was running.
    for name, bar in bench_configs.BARS_MS.items():
        assert found[name]["p50_ms"] < bar
        assert 0 < found[name]["kept_kib"] <= found[name]["peak_kib"] < 4096
    assert found["1000 resources"]["configs"] == 1000
    if yaml_events.HAS_C:
        assert found["read, C"]["p50_ms"] < found["read, Python"]["p50_ms"] / 4
    assert found["write, own emitter"]["p50_ms"] < found["write, ruamel"]["p50_ms"]
