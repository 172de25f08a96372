# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the engine writes, the real server runs: every case of ``tests.support.matrix``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from hack.servers.bed import Bed
from tests.support.matrix.__main__ import BEGIN, END, PAGE
from tests.support.matrix.case import Case, Outcome
from tests.support.matrix.report import tables
from tests.support.matrix.running import all_cases, running

pytestmark = [pytest.mark.servers, pytest.mark.matrix, pytest.mark.timeout(1800)]

CASES = all_cases()


@pytest.fixture(scope="module")
def outcome_of(
    bed: Bed, request: pytest.FixtureRequest
) -> Iterator[Callable[[Case], Future[Outcome]]]:
    """All selected cases, running side by side since the first one was asked for."""
    mine = [item for item in request.session.items if item.path == Path(__file__)]
    names = {item.name for item in mine}
    chosen = [case for case in CASES if any(case.id in name for name in names)]
    with running(bed, chosen) as ask:
        yield ask


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """Those that were seen."""
    return []


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_the_real_server_does_what_the_spec_says(
    case: Case,
    outcome_of: Callable[[Case], Future[Outcome]],
    outcomes: list[Outcome],
) -> None:
    outcome = outcome_of(case).result()
    outcomes.append(outcome)
    assert not outcome.failure


def test_the_documented_matrix_is_what_was_seen(outcomes: list[Outcome]) -> None:
    if len(outcomes) < len(CASES) or any(outcome.failure for outcome in outcomes):
        pytest.skip("not all of the matrix was seen to work")
    page = PAGE.read_text("utf-8")
    documented = page.partition(BEGIN)[2].partition(END)[0].strip()
    assert documented == tables(outcomes), "run: make matrix"
