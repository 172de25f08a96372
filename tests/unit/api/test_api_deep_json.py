# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""JSON that is deeper than the usual encoders and decoders go, and specs with more than is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.json_text import deep_json, deep_loads
from api.limits import MOST_VALUES, is_oversized
from api.validation import validate

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES, st.sampled_from([None, 1]))
def test_text_is_read_as_the_usual_decoder_reads_it(value: Any, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    assert deep_loads(text.encode("utf-8", "surrogatepass")) == value


def test_depth_does_not_matter() -> None:
    value: Any = []
    for _ in range(20_000):
        value = [{"a": value}]
    text = deep_json(value)
    assert deep_json(deep_loads(text.encode())) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "[1", "[1,]", "[,1]", "[1 2]", "[1,,2]", "[]]", "[] []", "x", '"', "nul", "01"),
        *('{"a"}', '{"a":}', '{"a":1,}', '{"a" 1}', "{1:2}", "{,}", '{"a":1 "b":2}', "[}", "{]"),
    ],
)
def test_text_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        deep_loads(text.encode())


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        deep_loads(b'"\xff"')


def test_spec_with_too_many_values_is_not_looked_at() -> None:
    assert not is_oversized({"a": [1] * (MOST_VALUES - 1)})
    assert is_oversized({"a": [1] * MOST_VALUES})
    assert is_oversized({"a": [{"b": {}}] * (MOST_VALUES // 2)})
    assert not is_oversized("text")
    obj = {"apiVersion": "llamastack.io/v1alpha2", "spec": {"x": [1] * MOST_VALUES}}
    found = validate(obj)
    assert [str(error) for error in found.errors] == [
        f"spec: has more than {MOST_VALUES} values, which nobody looks at"
    ]
    assert found.resource is None
