# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The emitter: form, quoting, refusals. Round trips are in tests/property."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest

from configs.yaml_writer import MAX_DEPTH, MAX_KEY, EmitError, document


def test_form_is_the_one_of_llama_stacks_own_files() -> None:
    data: Any = {"b": [{"id": "x", "of": {}}, [1, [2]], []], "a": {"n": None, "t": True}}

    assert document(data, sort_keys=True) == (
        "a:\n  n: null\n  t: true\nb:\n- id: x\n  of: {}\n- - 1\n  - - 2\n- []\n"
    ).replace("  n: null", '  "n": null')


def test_keys_are_sorted_only_when_asked() -> None:
    assert document({"b": 1, "a": 2}, sort_keys=False) == "b: 1\na: 2\n"
    assert document({"b": 1, "a": 2}, sort_keys=True) == "a: 2\nb: 1\n"


@pytest.mark.parametrize(
    "text",
    ["no", "NO", "on", "y", "N", "off", "null", "~", "", "1", "0777", "1_000", "1:30", "1e5", ".5",
     "0x1f", "2024-01-01", "+1", "-", "- a", "a: b", "a #b", "#a", "&a", "*a", "!a", "%a", "@a",
     "`a", "'a", '"a', "{a", "[a", "?", ":", "a:", " a", "a ", "a\tb", "=", "<<", ".inf", "NaN",
     "---", "...", "${env.X:=y}", "a\x7f", "é", "😀", "\u2028", "\ufeff", "\x00", "true", "Yes"],
)  # fmt: skip
def test_what_some_reader_would_misread_is_quoted(text: str) -> None:
    written = document([text], sort_keys=True)

    assert written.startswith('- "')
    assert written.endswith('"\n')
    assert written.isascii()


@pytest.mark.parametrize(
    "text", ["remote::vllm", "http://vllm:8000/v1", "/.llama/a.db", "meta-llama/Llama-3.2", "a@b:1"]
)
def test_plain_words_stay_bare(text: str) -> None:
    assert document([text], sort_keys=True) == f"- {text}\n"


@pytest.mark.parametrize(
    ("value", "written"),
    [(1e16, "1.0e+16"), (1e-7, "1.0e-07"), (1.5e300, "1.5e+300"), (0.1, "0.1"), (-0.0, "-0.0"),
     (2**64 - 1, "18446744073709551615"), (10**99, "1" + "0" * 99),
     (-(2**63), "-9223372036854775808"), (False, "false")],
)  # fmt: skip
def test_numbers_are_numbers_in_yaml_1_1_too(value: float, written: str) -> None:
    assert document({"x": value}, sort_keys=True) == f"x: {written}\n"


def test_text_of_several_lines_becomes_a_block_where_that_is_exact() -> None:
    data = {"kept": "a: 1\n\n  b\n", "no_end": "x\ny", "spaces": "x \ny", "lead": " x\ny"}

    assert document(data, sort_keys=False) == (
        'kept: |\n  a: 1\n\n    b\nno_end: |-\n  x\n  y\nspaces: "x \\ny"\nlead: " x\\ny"\n'
    )


def test_a_string_of_an_enum_is_written_as_its_value() -> None:
    class Kind(StrEnum):
        ONE = "one"

    assert document({"k": Kind.ONE}, sort_keys=True) == "k: one\n"


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 10**100, -(10**100), {1: "a"}, object(), b"x", "\ud800",
     {"\udfff": 1}],
)  # fmt: skip
def test_what_is_not_plain_json_data_is_refused(value: Any) -> None:
    for data in ({"x": value}, {"x": [{"y": value}]}):
        with pytest.raises(EmitError):
            document(data, sort_keys=True)


@pytest.mark.parametrize(
    ("first", "second", "written"),
    [
        (True, 1, "1"), (1, True, "true"), (1, 1.0, "1.0"), (0.0, -0.0, "-0.0"),
        ([], {}, "{}"), ("1", 1, "1"), ("", None, "null"), ("a", "A", "A"),
    ],
)  # fmt: skip
def test_what_was_written_before_is_not_taken_for_what_only_equals_it(
    first: Any, second: Any, written: str
) -> None:
    def config(value: Any) -> Any:
        return {"providers": {"inference": [{"config": {"key": value}}]}}

    document(config(first), sort_keys=True)

    text = document(config(second), sort_keys=True)

    assert text == f"providers:\n  inference:\n  - config:\n      key: {written}\n"


def test_what_was_written_before_has_the_indent_and_the_order_of_its_new_place() -> None:
    entry: Any = {"b": 1, "a": {"c": 2}}
    document({"x": [entry]}, sort_keys=True)

    assert document({"x": [entry]}, sort_keys=False) == "x:\n- b: 1\n  a:\n    c: 2\n"
    assert document({"x": {"z": [entry]}}, sort_keys=True) == (
        "x:\n  z:\n  - a:\n      c: 2\n    b: 1\n"
    )


def test_nesting_and_keys_have_limits() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH):
        deep = [deep]
    document(deep, sort_keys=True)

    with pytest.raises(EmitError, match="nested deeper"):
        document([deep], sort_keys=True)
    with pytest.raises(EmitError, match="longer than"):
        document({"k" * (MAX_KEY + 1): 1}, sort_keys=True)
