# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Any JSON as an OGXServer: it is converted, and nothing in it is dropped without a word."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.conversion.ogx import from_ogx
from tests.support.json_places import put
from tests.support.ogx import EVERYTHING, Place, unaccounted


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Where something else can be put."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for step, child in items:
            yield (*place, step)
            yield from places(child, (*place, step))


PLACES = [place for place in places(EVERYTHING) if place not in {("kind",), ("apiVersion",)}]
NAMES = sorted({step for place in PLACES for step in place if isinstance(step, str)})
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["", "config.yaml", "Ingress", "a", "b", "*", "gpu", "60.5", "responses"])
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)


def test_everything_in_one_object_is_accounted_for() -> None:
    assert unaccounted(EVERYTHING) == []


@settings(max_examples=150, deadline=None)
@given(place=st.sampled_from(PLACES), value=ANYTHING)
@example(place=("spec",), value=None)
@example(place=("metadata",), value=[])
@example(place=("spec", "network", "externalAccess"), value={"enabled": False, "hostname": ""})
@example(place=("spec", "network", "policy", "enabled"), value=False)
@example(place=("spec", "network", "policy", "enabled"), value="no")
@example(place=("spec", "disabledAPIs"), value={"responses": "a"})
@example(place=("spec", "tls", "trust", "caCertificates", 0, "name"), value=None)
def test_anything_in_the_place_of_any_part(place: Place, value: Any) -> None:
    obj = put(EVERYTHING, place, value)
    before = copy.deepcopy(obj)

    conversion = from_ogx(obj)

    assert obj == before
    assert json.loads(json.dumps(conversion.resource)) == conversion.resource
    assert all(warning.path for warning in conversion.warnings)
    assert unaccounted(obj) == []


@settings(max_examples=150, deadline=None)
@given(rest=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), ANYTHING, max_size=4))
def test_anything_at_all(rest: dict[str, Any]) -> None:
    obj = {**rest, "apiVersion": "ogx.io/v1beta1", "kind": "OGXServer"}

    assert unaccounted(obj) == []


def test_depth_is_no_limit() -> None:
    deep: Any = "bottom"
    for _ in range(5_000):
        deep = {"inner": [deep]}

    conversion = from_ogx(put_setting(deep))

    (found,) = conversion.resource["spec"]["providers"]["inference"]
    assert conversion.warnings == ()
    setting = found["settings"]["network"]
    for _ in range(5_000):
        setting = setting["inner"][0]
    assert setting == "bottom"


def put_setting(value: Any) -> dict[str, Any]:
    vendor = {"vertexai": [{"network": value}]}
    return {
        "apiVersion": "ogx.io/v1beta1",
        "kind": "OGXServer",
        "spec": {"providers": {"inference": {"remote": vendor}}},
    }
