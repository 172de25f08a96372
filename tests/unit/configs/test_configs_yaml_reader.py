# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reading YAML of strangers."""

from __future__ import annotations

import contextlib
import time

import pytest

from configs import yaml_reader
from configs.yaml_reader import YamlError, dump, dump_all, load, load_all
from configs.yaml_writer import Json


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: {b: [1, x]}", {"a": {"b": [1, "x"]}}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        ("a: &x {b: 1}\nc: *x\n", {"a": {"b": 1}, "c": {"b": 1}}),
        ("d: &d {a: 1, b: 2}\ne: {<<: *d, b: 3}", {"d": {"a": 1, "b": 2}, "e": {"b": 3, "a": 1}}),
        ("<<: [{a: 1}, {a: 2, b: 2}]", {"a": 1, "b": 2}),
        ("'<<': 1", {"<<": 1}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("a: !!str 1\nb: !!int '5'\nc: ! 2", {"a": "1", "b": 5, "c": "2"}),
        ("\ufeffa: 1", {"a": 1}),
        ("", None),
        ("# nothing\n", None),
    ],
)
def test_plain_data_is_read(text: str, data: object) -> None:
    assert load(text) == data


@pytest.mark.parametrize(
    ("scalar", "value"),
    [("yes", True), ("Off", False), ("0644", 420), ("0o17", 15), ("0x1F", 31), ("1_000", 1000),
     ("0b11", 3), ("-5", -5), ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0), ("~", None),
     ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("08", "08"), ("y", "y"), ("1.2.3", "1.2.3"),
     ("0x", "0x"), ("0b_", "0b_"), ("12e45", 12e45),
     ("-9223372036854775808", -(2**63)), ("18446744073709551615", 2**64 - 1),
     ("-9223372036854775809", -(2.0**63)), ("99_999999999999999999", 1e20),
     ("0x1ffffffffffffffff", "0x1ffffffffffffffff")],
)  # fmt: skip
def test_bare_scalars_mean_what_they_mean_to_kubectl(scalar: str, value: object) -> None:
    found = load(f"x: {scalar}")["x"]

    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ("a: 1\nb: 2\na: 3", 3, 1, "the key a is there twice"),
        ("a:\n  on: 1", 2, 3, "must be a string"),
        ("1: a", 1, 1, "must be a string"),
        ("? [a]\n: 1", 1, 3, "must be a string"),
        ("a: !!python/object:os.system x", 1, 4, "tag"),
        ("a: !!binary aGk=", 1, 4, "tag"),
        ("a: !!int x", 1, 4, "tag"),
        ("&a [*a]", 1, 5, "contains itself"),
        ("a: *b", 1, 4, "nothing is anchored"),
        ("&a x: 1\n*a : 2", 2, 1, "alias cannot be a key"),
        ("a: .inf", 1, 4, "JSON"),
        ("a: .nan", 1, 4, "JSON"),
        ("a: 1e999", 1, 4, "JSON"),
        (f"a: {'1' * 200}", 1, 4, "too long"),
        ("<<: 1", 1, 5, "<<"),
        ("a: [1", 1, 6, "expected"),
        ("a: b: c", 1, 5, "not allowed"),
        ('a: "\\ud800"', 1, 4, "surrogate"),
        ("a\nb: \x07", 2, 4, "control character"),
        ("- " * 101 + "x", 1, 201, "nested deeper"),
    ],
)
def test_anything_else_is_refused_with_its_place(
    text: str, line: int, column: int, problem: str
) -> None:
    with pytest.raises(YamlError, match=problem) as caught:
        load(text)

    assert (caught.value.line, caught.value.column) == (line, column)


def test_a_key_of_aliases_or_anchors_does_not_confuse_the_order() -> None:
    assert load("a: &x 1\nb: [*x, *x]") == {"a": 1, "b": [1, 1]}


def test_a_bomb_of_aliases_is_refused_before_it_expands() -> None:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]")
    start = time.perf_counter()

    with pytest.raises(YamlError, match="aliases written out"):
        load("\n".join(lines))

    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    "text",
    ["{" * 500_000, "[" * 500_000, "- " * 250_000, "? " * 250_000, "!" + "a" * 500_000 + " x",
     "a: *" + "a" * 500_000],
    ids=["braces", "brackets", "dashes", "questions", "tag", "alias"],
)  # fmt: skip
def test_hostile_nesting_and_names_are_refused_quickly(text: str) -> None:
    start = time.process_time()

    with pytest.raises(YamlError) as caught:
        load(text)

    assert time.process_time() - start < 10  # some 0.5 s, four times that when coverage measures
    assert len(str(caught.value)) < 300


def _worst(size: int) -> dict[str, str]:
    """Texts of a size that parsers have the most work with."""
    return {
        "items": "[" + "1," * (size // 2) + "]",
        "nested": "[" + ("[" * 97 + "]" * 97 + ",") * (size // 195) + "]",
        "documents": "---\n" * (size // 4),
        "comments with tabs": "#\t\n" * (size // 3),
        "colons": "[\n" + "a:b:c:d\n" * (size // 8) + "]",
        "surrogates": 'a: "' + "\\ud83d\\ude00" * (size // 12) + '"',
        "anchors": "".join(f"- &a{i} x # \t\n" for i in range(size // 14)),
        "blank lines": "a: |\n" + "\n" * (size - 9) + "  b",
        "tag": "!" + "a" * (size - 3) + " b",
        "line breaks of YAML 1.1": 'a: "' + "\u2028" * (size // 3 - 2) + '"',
        "spaces": "a: [" + "b \t\n" * (size // 4) + "]",
        "other characters": "a: " + "".join(map(chr, range(0x40000, 0x40000 + size // 4 - 1))),
    }


@pytest.mark.parametrize("name", _worst(200))
def test_the_worst_that_fits_takes_no_more_than_seconds(name: str) -> None:
    text = _worst(yaml_reader.MAX_BYTES - 100)[name]
    start = time.process_time()

    with contextlib.suppress(YamlError):
        load_all(text)

    assert time.process_time() - start < 5  # with the parser in C half a second, on a calm machine


def test_size_is_limited_in_bytes_before_reading() -> None:
    assert load("é", max_bytes=2) == "é"
    for text in ("ééé", "ééé".encode()):
        with pytest.raises(YamlError, match="6 bytes"):
            load(text, max_bytes=5)


def test_the_number_of_values_can_be_limited_further() -> None:
    assert load_all("[a, b]", max_nodes=3) == [["a", "b"]]
    with pytest.raises(YamlError, match="line 1, column 8: more than 3 values"):
        load_all("[a, b, c]", max_nodes=3)


def test_bytes_must_be_utf_8() -> None:
    assert load("a: ü".encode()) == {"a": "ü"}
    with pytest.raises(YamlError, match="UTF-8"):
        load(b"\xff\xfe")


def test_documents_are_told_apart() -> None:
    assert load_all("a\n---\n---\nb: 1\n") == ["a", {"b": 1}]
    with pytest.raises(YamlError, match="expected one document, found 2"):
        load("a\n---\nb")


def test_anchors_end_with_their_document() -> None:
    with pytest.raises(YamlError, match="nothing is anchored"):
        load_all("a: &x 1\n---\nb: *x")


def test_dump_and_dump_all_are_read_back() -> None:
    data: list[Json] = [{"b": 1, "a": "no"}, {"c": []}]

    assert load(dump(data)) == data
    assert dump_all(data) == '---\na: "no"\nb: 1\n---\nc: []\n'
    assert load_all(dump_all(data)) == data


def test_dump_names_what_it_cannot_write() -> None:
    with pytest.raises(YamlError, match="not a JSON number"):
        dump({"a": float("nan")})


def test_names_of_strangers_are_shortened_in_messages() -> None:
    with pytest.raises(YamlError) as caught:
        load("\n".join(["k" * 5000 + ": 1"] * 2))

    assert len(str(caught.value)) < 200


def test_whatever_can_be_read_can_be_written() -> None:
    deepest = "[" * yaml_reader.MAX_DEPTH + "]" * yaml_reader.MAX_DEPTH

    assert load(dump(load(deepest))) == load(deepest)
