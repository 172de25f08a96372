# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Three hundred servers that answer slowly, wrongly or never delay nobody, and are left alone.

One run is shared by all tests. What is counted holds on any machine; the one time that is judged
is compared with the same time without anybody being asked, where the machine is slow.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path

import pytest

from api.conditions import condition
from llamastack_operator.probing.schedule import MOST_TRIES
from tests.bench.slow_servers import MOST_MEDIAN_MS, Crowd, behaviour, measure_crowd
from tests.support.llama_servers import LISTED

pytestmark = [
    pytest.mark.apiserver,
    pytest.mark.bench,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

N, NEW = 300, 15


@pytest.fixture(scope="module")
def crowd(binaries: Mapping[str, Path]) -> Crowd:
    """What was measured."""
    assert binaries  # obtained outside the time-out
    return measure_crowd(N, NEW, print)


def test_new_resource_gets_its_deployment_as_if_nobody_were_asked(crowd: Crowd) -> None:
    assert statistics.median(crowd.open) > 0, "nobody was being asked meanwhile"
    assert crowd.median_ms <= max(MOST_MEDIAN_MS, 2 * crowd.alone_ms)


def test_servers_that_answer_are_described(crowd: Crowd) -> None:
    for number, status in crowd.statuses.items():
        if behaviour(number) == "slow":
            assert status["version"]["llamaStackServerVersion"] == "0.7.3"
            assert len(status["distributionConfig"]["providers"]) == len(LISTED)


@pytest.mark.parametrize(
    ("digit", "why"),
    [
        (4, "the answer is not JSON"),
        (5, "it answers 500"),
        (6, "the answer is longer than 512 KiB"),
        (7, "no answer within 2 s"),
    ],
)
def test_servers_that_do_not_are_said_so(crowd: Crowd, digit: int, why: str) -> None:
    for number, status in crowd.statuses.items():
        if number % 10 == digit:
            assert why in condition({"status": status}, "HealthCheck")["message"]
            assert "providers" not in status["distributionConfig"]


def test_all_of_them_are_ready(crowd: Crowd) -> None:
    assert len(crowd.statuses) == N
    for status in crowd.statuses.values():
        assert condition({"status": status}, "Ready")["status"] == "True"


def test_each_is_asked_once_or_a_few_times_and_costs_one_write(crowd: Crowd) -> None:
    assert len(crowd.questions) == N
    for number, count in crowd.questions.items():
        # A slow one may be too slow at first, where the machine is, too.
        assert count < MOST_TRIES if behaviour(number) == "slow" else count == MOST_TRIES
    assert set(crowd.writes.values()) == {1}


def test_idle_is_silent(crowd: Crowd) -> None:
    assert crowd.asked_idle == 0
    assert crowd.idle == {}
