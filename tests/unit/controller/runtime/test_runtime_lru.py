# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The memory with a limit."""

from __future__ import annotations

from controller.runtime.lru import LruCache


def test_cache_keeps_what_was_used_last() -> None:
    cache = LruCache[str, int](10)
    for number, name in enumerate("abc"):
        cache.put(name, number, 4)
    assert cache.get("a") is None
    assert cache.get("b") == 1

    cache.put("d", 3, 4)

    assert (cache.get("b"), cache.get("c"), cache.get("d")) == (1, None, 3)


def test_cache_counts_a_value_once_when_it_is_put_again() -> None:
    cache = LruCache[str, int](10)
    cache.put("a", 1, 4)
    for number in range(20):
        cache.put("b", number, 4)

    assert (cache.get("a"), cache.get("b"), len(cache)) == (1, 19, 2)


def test_cache_takes_one_thing_that_is_too_big_for_it() -> None:
    cache = LruCache[str, int](10)
    cache.put("a", 1, 4)

    cache.put("big", 2, 11)

    assert (cache.get("a"), cache.get("big")) == (None, 2)


def test_number_of_values_has_a_limit_of_its_own() -> None:
    cache = LruCache[str, int](100, most=2)

    for number, name in enumerate("abc"):
        cache.put(name, number)

    assert "a" not in cache
    assert (cache.get("b"), cache.get("c")) == (1, 2)
