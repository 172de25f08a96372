# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Resource versions compare as integers of any size, or not at all (A7, KEP-5504)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from informers import resource_version as rv

versions = st.integers(min_value=1, max_value=10**40)


@given(left=versions, right=versions)
def test_well_formed_versions_compare_as_integers(left: int, right: int) -> None:
    assert rv.compare(str(left), str(right)) == (left > right) - (left < right)
    assert rv.older(str(left), str(right)) == (left < right)
    assert rv.reached(str(left), str(right)) == (left >= right)


@given(left=st.text(max_size=5), right=versions)
def test_anything_else_is_equal_or_unknown(left: str, right: int) -> None:
    if rv.well_formed(left):
        return
    assert rv.compare(left, str(right)) is None
    assert rv.compare(str(right), left) is None
    assert rv.compare(left, left) == 0
    assert not rv.older(left, str(right))
    assert not rv.reached(left, str(right))


@pytest.mark.parametrize(
    "version", ["", "0", "01", "-1", "+1", "1.0", "1e3", " 1", "abc", "\u0661", "\u00b2"]
)
def test_not_well_formed(version: str) -> None:
    assert not rv.well_formed(version)


def test_nothing_seen_has_reached_nothing() -> None:
    assert not rv.reached("", "")
    assert rv.reached("opaque", "opaque")
