# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Two parsers, one language: each difference between them, and what is made of it."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from typing import Any

import pytest
from ruamel.yaml.error import YAMLError

from configs import yaml_events, yaml_reader
from configs.yaml_events import Event, events, in_c, in_python
from tests.support.yaml_parsers import agreed, both, outcome

pytestmark = both

REFUSED = object()

# By the lines of the table in configs/yaml_events.py: texts on which the parsers differ, and what
# we make of them.
DIFFERENCES: dict[int, dict[str, Any]] = {
    1: {
        "{a: http://b:80/c}": {"a": "http://b:80/c"},
        "[a:b, a::b, é:é, 10:20]": ["a:b", "a::b", "é:é", "10:20"],
        "{a:1}": {"a:1": None},
        "a: [b:c]\nd: 'e:f'\ng: |\n  h:i\n'j:k': {l: m:n}": {
            "a": ["b:c"], "d": "e:f", "g": "h:i\n", "j:k": {"l": "m:n"},
        },
        '{a: b:c, "\\U00040000": \U00040001}': {"a": "b:c", "\U00040000": "\U00040001"},
    },
    2: {
        r'"\ud83d\ude00"': "😀",
        r'{"a": "\\\ud83d\ude00", "b": "\\ud83d"}': {"a": "\\😀", "b": "\\ud83d"},
        '["\\ud83d\\ude00", \\ud83d, \'\\ud83d\']': ["😀", "\\ud83d", "\\ud83d"],
        '"\\ud83d\\ude00\\U00040001"': "😀\U00040001",
    },
    3: dict.fromkeys(
        ["{a: b?c}", "[a ?b]", "{a: :b}", "[::1]", "[a :b]", "{a:}", "[a, b:]", "{a'b':c}"], REFUSED
    ),
    4: dict.fromkeys(["|\na", "--- >\n\na", "|\n# a", "|\n---\na"], REFUSED),
    5: dict.fromkeys(["a: |\n  \tb", "a: >-\n\n  \tb", "|\n \ta"], REFUSED),
    6: dict.fromkeys(["a: {b: c\n\t}", "- [a\n\n\t]"], REFUSED),
    7: dict.fromkeys(["a\n...\nb", "a: 1\n...\nb: 2"], REFUSED),
    8: dict.fromkeys(["a\n...\n...", "--- a\n...\n...\n--- b"], REFUSED),
    9: dict.fromkeys(
        ["a:\tb", "a: b\t", "a: b\t# c", "a: b\tc", "a: 'b'\t", "a: [b]\t", "---\ta", "a: !!str\tb",
         "a: &b\tc", "a: |\t\n  b", "a:\n  b\n  \tc", "[a\tb]"],
        REFUSED,
    ),
    10: dict.fromkeys(["a: |#b\n  c", ">-#\n a"], REFUSED),
    11: dict.fromkeys(['["a":b]', "['a' :b]", '["k":]'], REFUSED),
    12: dict.fromkeys(["a: |\n \n  b", "a: >\r\n \r\n\r\n   b"], REFUSED),
    13: dict.fromkeys(["&a.b c", "&é a", "[&a?b]", "&a:b", "[*a:b]"], REFUSED),
    14: dict.fromkeys(["!!str%00b 1", "!!!str 1"], REFUSED),
    15: dict.fromkeys(["%A\n--- a", "%YAML 1.3\n--- a", "%YAML 1.2#\n--- a"], REFUSED),
    16: dict.fromkeys(
        ["a: b\x85c", "a: |\n  b\u2028  c", "- a\x85- b", '"a\x85b": 1', "{'a\u2029b': 1}"], REFUSED
    ),
    17: dict.fromkeys(["a: 1\n---\n\ufeffb: 2", "# a\n\ufeff# b", "[a,\r\ufeffb]"], REFUSED),
    18: dict.fromkeys([r'"\UFFFFFFFF"', r'"\U00110000"'], REFUSED),
}  # fmt: skip

# What is near a difference and means the same to both.
ALIKE: dict[str, Any] = {
    '{"a":1, "b":[2]}': {"a": 1, "b": [2]},
    "a: b?c:d": {"a": "b?c:d"},
    "|\n a\n\n  b": "a\n\n b",
    "- |2\n    a": ["  a"],
    "{\n\t'a': {\n\t\t\"b\": 1\n\t}\n}": {"a": {"b": 1}},
    "a: 1 # \tb\n#\t\nc: 'd\te'": {"a": 1, "c": "d\te"},
    "a: |\n  b\tc\n  \td": {"a": "b\tc\n\td"},
    "a: |\n\n  b": {"a": "\nb"},
    "--- a\n...\n--- b": ["a", "b"],
    "[&a x, *a]": ["x", "x"],
    "&a !!str 1": "1",
    "%YAML 1.2\n---\n{a: b:c}": {"a": "b:c"},
    "%YAML 1.1 # old\n--- a": "a",
    '"a\u2028b\x85c"': "a\u2028b c",
    "\ufeffa: b\ufeffc": {"a": "b\ufeffc"},
    "- \ufeffa: 1\n  b: 2": [{"\ufeffa": 1, "b": 2}],
    r'"\U0010ffff\/"': "\U0010ffff/",
    "a: ''\nb: \"'\"\nc: >-\n  d\n  e": {"a": "", "b": "'", "c": "d e"},
    "? a\n: b\n? c": {"a": "b", "c": None},
    "a: &x !!int 5\nb: {<<: {c: ~}}": {"a": 5, "b": {"c": None}},
}


def texts() -> list[Any]:
    return [
        pytest.param(text, expected, id=f"{line}-{number}")
        for line, found in DIFFERENCES.items()
        for number, (text, expected) in enumerate(found.items())
    ]


def raw(text: str, *, c: bool) -> list[object] | str:
    """What a parser makes of a text when nobody stands between."""
    try:
        return [seen(event) for event in (by_c(text) if c else in_python(text))]
    except YAMLError:
        return "refused"
    except (ValueError, OverflowError, AssertionError):
        return "broken"


def by_c(text: str) -> list[Event]:
    parser = importlib.import_module("_ruamel_yaml").CParser(text)
    return list(iter(parser.get_event, None))


def seen(event: Event) -> object:
    """What of an event decides about data."""
    names = ("anchor", "tag", "value")
    quoted = bool(getattr(event, "style", None))
    return type(event), quoted, *(getattr(event, name, None) for name in names)


@pytest.mark.parametrize(("text", "expected"), texts())
def test_difference_makes_none_to_who_reads(text: str, expected: Any) -> None:
    found = agreed(text)

    if expected is REFUSED:
        assert found.documents is None
        assert found.place != (None, None)
    else:
        assert found.documents == repr([expected])


@pytest.mark.parametrize(("text", "expected"), texts())
def test_there_is_a_difference(text: str, expected: Any) -> None:
    assert raw(text, c=True) != raw(text, c=False)


@pytest.mark.parametrize(("text", "expected"), ALIKE.items())
def test_what_both_read_is_read(text: str, expected: Any) -> None:
    documents = expected if text.startswith("--- a\n...") else [expected]

    assert agreed(text).documents == repr(documents)


@pytest.mark.parametrize(
    "text",
    ["!!s%74r 1", "!<tag:yaml.org,2002:str> 1", "!!str &a 1", "%TAG ! a\n--- !b c", "!!str,"],
)
def test_other_spellings_of_tags_are_refused(text: str) -> None:
    assert "tag" in agreed(text).problem or "TAG" in text


def test_table_of_differences_and_tests_are_the_same_list() -> None:
    lines = re.findall(r"^(\d+) ", yaml_events.__doc__ or "", re.MULTILINE)

    assert [int(line) for line in lines] == list(DIFFERENCES)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: 1\nb:\tc", 2, 3),
        ("a: 1\r\nb:\r  c: *d", 3, 6),
        ("\ufeffa: b\t", 1, 5),
        ("é: 😀\nb: [x:y, é:é, z] w", 2, 18),
        ("a: 1\nb: \x00", 2, 4),
        ("a: '\u2028'\nb: [\n\ufeff]", 3, 1),
    ],
)
def test_place_is_where_a_person_looks(text: str, line: int, column: int) -> None:
    for parser in (in_c, in_python):
        assert outcome(text, parser).place == (line, column)


def test_refusal_of_the_data_names_the_same_place_by_both() -> None:
    for text in ("a: 1\n  \nb: 2\na: 3", "x: http://a\ny: [b:c, {d: *e}]", "{a: !x b}"):
        assert agreed(text).place == outcome(text, in_python).place
        assert agreed(text).problem == outcome(text, in_python).problem


def test_parsers_stop_where_the_reader_stops() -> None:
    for parser in (in_c, in_python):
        found = events("- a\n- b\n\x20- [", parser)

        assert [getattr(next(found), "value", "") for _ in range(4)] == ["", "", "", "a"]


def test_half_a_surrogate_pair_is_refused_where_it_is() -> None:
    assert agreed('a: 1\nb: "\\ud83d."').place == (2, 4)


def test_platform_without_the_parser_in_c_reads_with_the_other_and_less() -> None:
    program = """\
import sys
sys.modules["_ruamel_yaml"] = None  # as if there were no wheel
from configs import yaml_events, yaml_reader
print(yaml_events.HAS_C, yaml_reader.MAX_BYTES, yaml_reader.load("{a: http://b}"))
"""
    shown = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout

    assert shown == f"False {128 * 1024} {{'a': 'http://b'}}\n"
    assert yaml_reader.MAX_BYTES == 1024 * 1024
