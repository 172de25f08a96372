# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Results remembered by content: what counts as the same, and how much is kept."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest

from configs.content_cache import by_content


class Calls:
    """A function that remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def __call__(self, data: Any, *more: Any) -> str:
        self.seen.append((data, *more))
        return repr((data, *more))


def test_a_copy_is_the_same_and_a_change_is_not() -> None:
    calls = Calls()
    remembered = by_content(calls)
    data: Any = {"a": [1, {"b": "c"}]}

    assert remembered(data) == remembered({"a": [1, {"b": "c"}]}) == repr((data,))
    assert len(calls.seen) == 1

    data["a"][1]["b"] = "d"
    assert remembered(data) == repr((data,))
    assert len(calls.seen) == 2


@pytest.mark.parametrize(
    ("one", "other"), [(1, True), (1, 1.0), (0.0, -0.0), ("1", 1), ([], {}), (None, False)]
)
def test_what_is_only_equal_is_not_the_same(one: Any, other: Any) -> None:
    remembered = by_content(repr)

    assert remembered([one]) == repr([one])
    assert remembered([other]) == repr([other])


def test_other_arguments_count() -> None:
    remembered = by_content(Calls())

    assert remembered({"a": 1}, "x") != remembered({"a": 1}, "y")


def test_an_error_is_raised_each_time() -> None:
    def refuse(data: Any) -> str:
        raise LookupError(data)

    remembered = by_content(refuse)
    for _ in range(2):
        with pytest.raises(LookupError, match="a"):
            remembered("a")


def test_the_result_used_longest_ago_goes_first() -> None:
    calls = Calls()
    remembered = by_content(calls, size=2)
    for data in ("a", "b", "a", "c", "a", "b"):
        remembered(data)

    assert [data for (data,) in calls.seen] == ["a", "b", "c", "b"]


class Kind(StrEnum):
    ONE = "one"


@pytest.mark.parametrize("data", [Kind.ONE, "x" * 5000])
def test_foreign_types_and_large_data_are_not_kept(data: Any) -> None:
    calls = Calls()
    remembered = by_content(calls)

    assert remembered(data) == remembered(data) == repr((data,))
    assert len(calls.seen) == 2
