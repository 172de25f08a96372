# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Sharing changes what objects cost, never what they say."""

from __future__ import annotations

import copy
import operator
import tracemalloc
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from informers.interning import Sharing

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
)
KEYS = st.text() | st.just("ownerReferences")
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=5)


@given(st.lists(OBJECTS, max_size=8), st.integers(1, 30), st.integers(1, 30))
def test_shared_objects_are_the_objects_that_were_given(
    objects: list[dict[str, Any]], limit: int, owners_limit: int
) -> None:
    """Byte for byte, so also 1 and 1.0 and true, and the order of keys; however small the table."""
    sharing = Sharing(limit=limit, owners_limit=owners_limit)

    shared = [sharing(copy.deepcopy(obj)) for obj in objects]

    assert list(map(repr, shared)) == list(map(repr, objects))


@given(OBJECTS)
def test_equal_objects_become_one(obj: dict[str, Any]) -> None:
    sharing = Sharing()

    assert sharing(copy.deepcopy(obj)) is sharing(copy.deepcopy(obj))


def test_values_that_are_merely_equal_stay_apart() -> None:
    sharing = Sharing()

    shared = [sharing({"v": value}) for value in (1, True, 1.0, 0, False)]

    assert [repr(obj["v"]) for obj in shared] == ["1", "True", "1.0", "0", "False"]


def test_an_owner_is_shared_however_many_children_of_others_came_between() -> None:
    """As after a restart: all Services, then all Ingresses."""

    def owners(kind: str, number: int) -> Any:
        metadata = {"name": f"d-{number}", "ownerReferences": [{"uid": f"uid-{number}"}]}
        return sharing({"kind": kind, "metadata": metadata})["metadata"]["ownerReferences"]

    sharing = Sharing(limit=100)
    services = [owners("Service", number) for number in range(1000)]
    ingresses = [owners("Ingress", number) for number in range(1000)]

    assert all(map(operator.is_, services, ingresses))


def test_objects_that_differ_in_a_name_cost_a_fraction() -> None:
    def decoded(number: int) -> dict[str, Any]:
        container = {"name": "c", "env": [{"name": f"V{n}", "value": "x" * 20} for n in range(20)]}
        obj = {
            "metadata": {"name": f"d-{number}"},
            "spec": {"template": {"containers": [container]}},
        }
        result: dict[str, Any] = orjson.loads(orjson.dumps(obj))
        return result

    def cost(transform: Any) -> int:
        tracemalloc.start()
        kept = [transform(decoded(number)) for number in range(500)]
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(kept) == 500
        return size

    assert cost(Sharing()) < 0.25 * cost(lambda obj: obj)
