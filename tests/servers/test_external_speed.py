# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What external providers add to the start of a pod is within the bars of the benchmark."""

from __future__ import annotations

import pytest

from hack.servers.bed import Bed
from tests.bench import bench_external

pytestmark = [pytest.mark.servers, pytest.mark.bench, pytest.mark.timeout(600)]

# The bars of seconds are ten times what it takes; the start is not, and everything else that runs
# on the machine only adds to it.
ROOM = {"merge-run-yaml: start": 3.0}


def test_ten_providers_with_ten_dependencies_each_meet_the_bars(bed: Bed) -> None:
    times = bench_external.measure(bed, providers=10)

    late = [bar for bar in times.bars() if bar.value > bar.most * ROOM.get(bar.what, 1.0)]
    assert late == []
    assert times.files > 1000
    assert times.wheels_mib > 5
    assert times.merge_all < bench_external.INSTALL_BAR_S
    assert times.preflight_one < times.preflight_all
