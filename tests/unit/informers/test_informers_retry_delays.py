# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How long a reflector waits after a failure."""

from __future__ import annotations

import random

import pytest

from informers.errors import ApiError, Initializing, NotFound, ServerError, TransportError
from informers.retry_delays import RetryDelays

MISSING = NotFound("the server could not find the requested resource", code=404)
FILLING = Initializing("storage is (re)initializing", code=429, retry_after=1.0)


def delays(*errors: ApiError) -> list[float]:
    """After errors that follow each other."""
    waits, now = RetryDelays(rng=random.Random(1)), 0.0
    found = []
    for error in errors:
        found.append(waits.after(error, now))
        now += found[-1]
    return found


@pytest.mark.parametrize("error", [MISSING, FILLING])
def test_kind_that_is_not_served_is_looked_for_every_few_seconds(error: ApiError) -> None:
    found = delays(*[error] * 100)

    assert 0.8 <= found[0] < 1.6
    assert all(2.5 <= delay < 5.0 for delay in found[2:])


@pytest.mark.parametrize("error", [TransportError("refused"), ServerError("away", code=503)])
def test_what_went_before_does_not_hold_up_a_kind_that_is_about_to_be_served(
    error: ApiError,
) -> None:
    assert max(delays(*[error] * 10)) >= 30.0
    assert delays(*[error] * 10, FILLING)[-1] < 1.6


def test_server_may_ask_for_more() -> None:
    patient = Initializing("storage is (re)initializing", code=429, retry_after=20.0)

    assert delays(patient) == [20.0]
