# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is written is read back the same, by a YAML 1.1 reader, a 1.2 reader and ours."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from configs import scalars, yaml_reader
from tests.support.config_specs import JSON
from tests.support.json_places import shuffled

pyyaml: Any = importlib.import_module("yaml")  # it has no types of its own

# Text near what readers disagree on: digits, signs, words, indicators, line breaks.
_TRICKY = st.text(alphabet="yYnNoOfF01289_:.-+eExX~<>=&*!%@`'\"#|[]{}?, \t\n$\\", max_size=8)
_DATA = st.recursive(
    JSON | _TRICKY | st.sampled_from(["yes", "null", "0o17", "1:30:00", "2001-12-14t21:59:43.10Z"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TRICKY, inner, max_size=4),
    max_leaves=20,
)


def _same(left: Any, right: Any) -> bool:
    """Equal in value and in type: True is not 1, and 1.0 is not 1."""
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and list(left) == list(right)
            and all(_same(left[key], right[key]) for key in left)
        )
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(_same, left, right))
    return type(left) is type(right) and left == right


def _sorted(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _sorted(data[key]) for key in sorted(data)}
    return [_sorted(item) for item in data] if isinstance(data, list) else data


def _ruamel(text: str, version: tuple[int, int]) -> Any:
    reader = YAML(typ="safe", pure=True)
    reader.version = version
    return reader.load(text)


@pytest.mark.parametrize("version", [(1, 1), (1, 2)])
@given(data=_DATA)
@example(data={"a": "😀\u2028\x7f\ufeff", "b": ["", " ", "\n", "\n\n", "a\n", "a\n\n", "\ta\nb"]})
@settings(max_examples=250, deadline=None)
def test_readers_of_both_versions_agree_with_what_was_meant(
    version: tuple[int, int], data: Any
) -> None:
    written = yaml_reader.dump(data)

    assert _same(_sorted(data), _ruamel(written, version))


@given(data=_DATA)
@settings(max_examples=150, deadline=None)
def test_the_servers_own_reader_agrees(data: Any) -> None:
    assert _same(_sorted(data), pyyaml.safe_load(yaml_reader.dump(data)))


_NUMBERS = st.from_regex(
    r"[-+]?(?:0[bxo]?)?[0-9_]{0,4}(?:\.[0-9_]{0,3})?(?:[eE][-+]?[0-9]{1,2})?"
    r"|[-+]?[0-9]{1,3}(?::[0-9]{1,2}){1,2}(?:\.[0-9]?)?",
    fullmatch=True,
)
_WORDS = st.sampled_from(
    ["yes", "No", "ON", "off", "y", "N", "true", "FALSE", "tRue", "Null", "~", ".5", "08", "0o17"]
)


@given(text=_NUMBERS | _WORDS)
@example(text="0b1_1")
@example(text="-190:20:30.15")
@settings(max_examples=200, deadline=None)
def test_a_bare_scalar_of_a_base_means_what_it_means_to_the_server(text: str) -> None:
    try:
        expected = pyyaml.safe_load(f"[{text}]")
    except ValueError:
        return  # underscores without a digit end the server's reader

    found = yaml_reader.load(f"[{text}]", resolve=scalars.resolve_as_server)

    assert _same(expected, found)


@given(data=_DATA)
@settings(max_examples=250, deadline=None)
def test_our_own_reader_agrees(data: Any) -> None:
    assert _same(_sorted(data), yaml_reader.load(yaml_reader.dump(data)))


@given(data=_DATA)
@settings(max_examples=100, deadline=None)
def test_unsorted_output_keeps_the_order(data: Any) -> None:
    assert _same(data, yaml_reader.load(yaml_reader.dump(data, sort_keys=False)))


@given(data=_DATA, seed=st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_bytes_do_not_depend_on_the_order_of_keys(data: Any, seed: Any) -> None:
    assert yaml_reader.dump(data) == yaml_reader.dump(shuffled(data, seed))


@given(text=st.text(alphabet="ab01:-?[]{}&*!|>'\"%#,~<= \n\t\\u", max_size=60) | st.text())
@settings(max_examples=300, deadline=None)
def test_any_text_is_data_or_a_clear_refusal(text: str) -> None:
    try:
        found = yaml_reader.load_all(text)
    except yaml_reader.YamlError as error:
        found = [str(error)]

    assert [yaml_reader.load(yaml_reader.dump(data)) for data in found] == found
