# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Every tag in code, tests and documentation is a row of a page, and is spelled in one way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from hack.root import ROOT

_PROMISES = Path("docs/semantics.md")
_REQUIREMENTS = Path("docs/requirements.md")
_NAMES = ("Makefile", "Containerfile")
_SUFFIXES = (".md", ".py", ".sh", ".toml", ".yaml")
_SKIPPED = ("build", "dist", "golden", "data")
"""Folders whose files are made from others, or say nothing of the project."""

_TAG = r"(?:R-D\d+|N?FR-X?\d+|P-[A-Z]\d+|[A-H]\d{1,2})[a-z]?"
_WORD = re.compile(rf"(?<![\w-]){_TAG}(?!\w)")
_CITATION = re.compile(rf"\({_TAG}(?:,\s+(?:#\s+)?{_TAG})*(?=\)|[,;]\s)")
_ROW = re.compile(rf"^\| ({_TAG}|I) \|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag that a text names.

    Attributes:
        line: where it stands, from 1.
        name: the tag itself.
        is_cited: whether it is spelled as tags are.
    """

    line: int
    name: str
    is_cited: bool


def tags_of(text: str) -> list[Tag]:
    """The tags that a text names, in their order; what stands in quotes is no tag but data.

    They are cited in parentheses, one after the other and before any other word: ``(E2, E11)`` or
    ``(B13, KEP-5647)``. A word that looks like a tag and stands anywhere else is found, too.
    """
    cited = {
        citation.start() + word.start()
        for citation in _CITATION.finditer(text)
        for word in _WORD.finditer(citation.group())
    }
    rows = {row.start(1) for row in _ROW.finditer(text)}
    return [
        Tag(text.count("\n", 0, word.start()) + 1, word.group(), word.start() in cited)
        for word in _WORD.finditer(text)
        if word.start() not in rows and not _is_quoted(text, word.start(), word.end())
    ]


def rows_of(text: str) -> list[str]:
    """The tags that the tables of a page explain: those in a first column."""
    return _ROW.findall(text)


def _is_quoted(text: str, start: int, end: int) -> bool:
    quote = text[start - 1 : start]
    return quote in ('"', "'", "`") and text[end : end + 1] == quote


def _sources() -> Iterator[Path]:
    folders = (path for path in ROOT.iterdir() if path.is_dir() and path.name[0] != ".")
    paths = [*ROOT.iterdir(), *(path for folder in folders for path in folder.rglob("*"))]
    for path in sorted(paths):
        source = path.relative_to(ROOT)
        is_text = source.suffix in _SUFFIXES or source.name in _NAMES
        if is_text and not set(_SKIPPED) & set(source.parts) and path != Path(__file__):
            yield source


@cache
def _tags() -> tuple[tuple[Path, Tag], ...]:
    return tuple(
        (source, tag)
        for source in _sources()
        for tag in tags_of((ROOT / source).read_text("utf-8"))
    )


def _rows(page: Path) -> list[str]:
    return rows_of((ROOT / page).read_text("utf-8"))


def test_every_tag_is_a_row() -> None:
    rows = {*_rows(_PROMISES), *_rows(_REQUIREMENTS)}

    unknown = [
        f"{source}:{tag.line}: {tag.name}" for source, tag in _tags() if tag.name not in rows
    ]

    assert not unknown, "\n".join(unknown)


def test_every_tag_is_spelled_in_one_way() -> None:
    other = [f"{source}:{tag.line}: {tag.name}" for source, tag in _tags() if not tag.is_cited]

    assert not other, "\n".join(other)


def test_no_tag_has_two_rows() -> None:
    rows = [*_rows(_PROMISES), *_rows(_REQUIREMENTS)]

    assert sorted(rows) == sorted(set(rows))


def test_every_requirement_is_named_outside_of_its_page() -> None:
    named = {tag.name for source, tag in _tags() if source != _REQUIREMENTS}

    unused = [f"{_REQUIREMENTS}: {row}" for row in _rows(_REQUIREMENTS) if row not in named]

    assert not unused, "\n".join(unused)


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("never goes back (A1).", ["A1"]),
        ("of one process (E2, E11):", ["E2", "E11"]),
        ("(R-D16c), (FR-027f, NFR-001), (FR-X020), (P-C2m)",
         ["R-D16c", "FR-027f", "NFR-001", "FR-X020", "P-C2m"]),
        ("seen before acting again (B13, KEP-5647)", ["B13"]),
        ("lives on (A17; so do others)", ["A17"]),
        ('    """(G15)"""', ["G15"]),
        ("# --- lists (A1, A2) -----", ["A1", "A2"]),
        ("over two lines (A1,\n    A2)", ["A1", "A2"]),
        ("    # in a comment (A1,\n    # A2)", ["A1", "A2"]),
    ],
)  # fmt: skip
def test_tags_in_parentheses_are_found(text: str, tags: list[str]) -> None:
    assert [tag.name for tag in tags_of(text)] == tags
    assert all(tag.is_cited for tag in tags_of(text))


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("never renamed (row G1)", ["G1"]),
        ("read-only (design row B8)", ["B8"]),
        ("design rows G1 to G5", ["G1", "G5"]),
        ("row B13 of the semantics", ["B13"]),
        ("otherwise D12 applies", ["D12"]),
        ("(605 s, A9)", ["A9"]),
        ("(B10 and `keep`)", ["B10"]),
        ("(E6: a failed attempt)", ["E6"]),
        ('"""D8: a controller"""', ["D8"]),
        ("# --- A13 -----", ["A13"]),
        ("(FR-073/074)", ["FR-073"]),
        ("(FR-027a-e)", ["FR-027a"]),
        ("(FR-050 … 053)", ["FR-050"]),
        ("[R-D3](requirements.md)", ["R-D3"]),
        ("| see | B13 |", ["B13"]),
    ],
)
def test_other_spellings_are_found_and_not_taken_for_citations(text: str, tags: list[str]) -> None:
    assert [tag.name for tag in tags_of(text)] == tags
    assert not any(tag.is_cited for tag in tags_of(text))


def test_range_in_a_list_is_cited_up_to_it() -> None:
    tags = tags_of("(A1, A3 to A5)")

    assert [(tag.name, tag.is_cited) for tag in tags] == [
        ("A1", True),
        ("A3", False),
        ("A5", False),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "ruff's E501 and PLR2004, KEP-5647, P-256, UTF-8, 0xA1, SHA256, H100",
        'select = ["B", "C4", "C90"]',
        "`A4` paper, key = 'B2'",
        "| B13 | a promise |",
        "X-A1 (a1, b2), A1_B2, v1alpha2, LF-A1",
    ],
)
def test_what_only_looks_like_a_tag_is_none(text: str) -> None:
    assert tags_of(text) == []


def test_tag_is_found_in_its_line() -> None:
    assert tags_of("one\n\nthree (A1,\nA2)") == [Tag(3, "A1", True), Tag(4, "A2", True)]


def test_rows_are_tags_in_the_first_column() -> None:
    page = "| | promise |\n| --- | --- |\n| A1 | (B2) |\n| R-D16c | C3 |\n| I | x |\ntext | D4 |\n"

    assert rows_of(page) == ["A1", "R-D16c", "I"]
