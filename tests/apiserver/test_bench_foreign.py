# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The benchmark of foreign Secrets and ConfigMaps, with a few of them: none is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.bench.bench_foreign import Costs, measure, table, within_bar

pytestmark = [pytest.mark.apiserver, pytest.mark.bench]


def test_no_foreign_object_is_kept(binaries: Mapping[str, Path]) -> None:
    assert binaries  # obtained outside the time-out

    before, after = measure(400, 256)

    assert (before.foreign, after.foreign) == (0, 400)
    assert after.kept == 0
    assert within_bar(before, after), table(before, after)


@pytest.mark.parametrize(
    ("kept", "rss_mib", "within"), [(0, 140.0, True), (1, 110.0, False), (0, 141.0, False)]
)
def test_bar_is_for_what_stays(kept: int, rss_mib: float, within: bool) -> None:
    before = Costs(0, 1.0, 1.0, 100.0, 100.0, 0, 0.1)
    after = Costs(9, 2.0, 2.0, rss_mib, 300.0, kept, 0.1)

    assert within_bar(before, after) is within
