# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Runs many cases side by side, with the services that they share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from hack.servers.bed import Bed
from hack.servers.releases import RELEASES, Release
from hack.servers.services import Postgres, Redis
from tests.support.matrix import features, providers
from tests.support.matrix.case import Case, Outcome, Services
from tests.support.matrix.drive import Driver

_LOCKED = "p@:w/d%# x"
"""Password of the second Redis: nothing that a URL takes as it is."""

_WHOLE = ("0.6.1", "0.7.3")
"""Versions that every case is run with: the current era and the one before. Of the others those
of single providers are left out that are also proven together."""


def all_cases() -> tuple[Case, ...]:
    """Every case of every release, in the order of the report."""
    return tuple(case for release in RELEASES for case in cases_of(release))


def cases_of(release: Release) -> Iterator[Case]:
    """The cases of one release."""
    for case in providers.cases(release):
        if release.version in _WHOLE or case.group.endswith("together"):
            yield case
    yield from features.cases(release)


@contextmanager
def running(bed: Bed, cases: Sequence[Case]) -> Iterator[Callable[[Case], Future[Outcome]]]:
    """Starts all cases; the function that it gives returns the outcome of one of them."""
    workers = (os.cpu_count() or 2) + 1  # half of a case is waiting
    with (
        Redis(bed) as redis,
        Redis(bed, _LOCKED) as locked,
        Postgres(bed) as postgres,
        Driver(bed, Services(redis, locked, postgres)) as driver,
        ThreadPoolExecutor(workers, thread_name_prefix="matrix") as pool,
    ):
        futures = {case.id: pool.submit(driver.drive, case) for case in cases}
        try:
            yield lambda case: futures[case.id]
        finally:
            pool.shutdown(cancel_futures=True)
