# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""JSON text of values that are deeper than the usual encoders go."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api.json_text import deep_json

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(_JSON)
def test_it_is_what_the_usual_encoder_writes(value: Any) -> None:
    usual = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert deep_json(value) == usual


def test_depth_is_no_limit() -> None:
    value: Any = 1
    for _ in range(5_000):
        value = {"a": [value]}
    assert deep_json(value) == '{"a":[' * 5_000 + "1" + "]}" * 5_000
