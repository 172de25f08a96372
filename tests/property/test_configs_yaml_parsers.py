# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whichever parser is there, a text is the same data, or it is refused."""

from __future__ import annotations

import subprocess
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from configs import yaml_events, yaml_reader
from hack.root import ROOT
from tests.support.config_specs import JSON
from tests.support.yaml_parsers import agreed, both, outcome

pytestmark = both


def _files() -> list[str]:
    """Every YAML and JSON file of the repository, and the YAML in its pages."""
    listed = subprocess.run(
        ["git", "ls-files", "*.yaml", "*.yml", "*.json", "*.md"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    texts = []
    for name in listed:
        text = (ROOT / name).read_text("utf-8")
        if name.endswith(".md"):
            texts += [part.partition("```")[0] for part in text.split("```yaml\n")[1:]]
        else:
            texts.append(text)
    return texts


FILES = _files()

_DATA = st.recursive(
    JSON, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner)
)


@given(data=_DATA, sort_keys=st.booleans())
@example(data={"\U00040000": ["\U00040001:\U00040000", "a:b", "\\ud83d"]}, sort_keys=True)
@settings(max_examples=150)
def test_what_the_operator_writes(data: Any, sort_keys: bool) -> None:
    text = yaml_reader.dump(data, sort_keys=sort_keys)

    assert agreed(text).documents is not None
    assert yaml_reader.load_all(text, parser=yaml_events.in_c) == ([] if data is None else [data])


_PARTS = st.sampled_from(
    ["a", "1", "yes", "x y", "a:b", "a?b", "a#b", "::1", ":", ": ", ":\t", "-", "- ", "? ", "?",
     "[", "]", "{", "}", ",", ", ", "\n", "\n  ", "\n ", "\n\n", "\n\t", " ", "  ", "\t", "#",
     " # c", "&a ", "&a", "*a", "*a ", "!", "!!str ", "!x ", "!!s%74r ",
     "!<tag:yaml.org,2002:str> ", "|", "|\n", "|-\n", "|2\n", ">", "> \n", "'", "''", '"', "\\",
     "\\n", "\\u0041", "\\ud83d", "\\ude00", "\\\n", "\\\\", "\\UFFFFFFFF", "%", "%YAML 1.1\n",
     "%YAML 1.3\n", "%TAG ! x\n", "---", "---\n", "--- ", "...", "...\n", "\r", "\r\n", "\x85",
     "\u2028", "\ufeff", "\x07", "\xa0", "é", "😀", "@", "<<: ", "a: ", "b: ", "- a\n", "a: b\n",
     '"q"', "'s'", "[a]", "{a: b}", '"k":', "k" * 600]
)  # fmt: skip
_FRAMES = st.sampled_from(
    ["{}", "[{}]", "{{{}}}", "a: [{}]", "- {{a: {}}}", "{{{}: 1}}", "{{\n {}\n}}", 'a: "{}"',
     "'{}'", "a: |\n  {}\n", "a: >-\n  x\n  {}\nb: 1", "- {}\n- b", "? {}\n: 1", "{}: 1",
     "--- {}\n", '["{}": 1]', "a:\n  {}\n  b"]
)  # fmt: skip


@given(parts=st.lists(_PARTS, min_size=1, max_size=9), frames=st.lists(_FRAMES, max_size=2))
@settings(max_examples=800)
def test_text_made_of_what_means_something_in_yaml(parts: list[str], frames: list[str]) -> None:
    text = "".join(parts)
    for frame in frames:
        text = frame.format(text)

    agreed(text)


@given(text=st.text(alphabet="ab01:-?[]{}&*!|>'\"%#,~<= \n\t\\u\r.", max_size=40) | st.text())
@settings(max_examples=500)
def test_any_text(text: str) -> None:
    agreed(text, as_server=True)


@st.composite
def _edited(draw: st.DrawFn) -> str:
    """Some lines of a real file with a few edits in them."""
    lines = draw(st.sampled_from(FILES)).splitlines(keepends=True)
    start = draw(st.integers(0, max(0, len(lines) - 1)))
    text = "".join(lines[start : start + draw(st.integers(1, 12))])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(_PARTS | st.just("")) + text[at + draw(st.integers(0, 3)) :]
    return text


@given(text=_edited())
@settings(max_examples=300)
def test_real_text_with_mistakes(text: str) -> None:
    agreed(text)


def test_every_file_of_the_repository() -> None:
    assert len(FILES) > 50
    for text in FILES:
        found = agreed(text)
        if found.documents is None:  # shown in a page as what is refused
            assert found.problem == outcome(text, yaml_events.in_python).problem
