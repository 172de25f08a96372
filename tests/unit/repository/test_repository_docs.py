# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Documentation that names something is held against the thing: links, commands, tests, flags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.root import ROOT
from llamastack_operator.__main__ import build_parser
from llamastack_operator.observability.metrics import Metrics

_PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
_CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def _anchor(heading: str) -> str:
    """As the usual renderers make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def _anchors(page: Path) -> set[str]:
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {_anchor(h) for h in re.findall(r"^#+ (.*)$", prose, re.MULTILINE)}


def _broken_links(page: Path) -> Iterator[str]:
    for target, anchor in _LINK.findall(_CODE.sub("", page.read_text("utf-8"))):
        path = (page.parent / target) if target else page
        missing_anchor = anchor and path.suffix == ".md" and anchor not in _anchors(path)
        if not path.exists() or missing_anchor:
            yield f"{target}#{anchor}" if anchor else target


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(_broken_links(page)) == []


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_command_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.MULTILINE))
    code = "\n".join(_CODE.findall(page.read_text("utf-8")))

    named = set(re.findall(r"(?:^|`)make ([a-z][a-z0-9-]*)", code, re.MULTILINE))

    assert named <= targets


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_in_code_exists(page: Path) -> None:
    folders = "|".join(p.name for p in ROOT.iterdir() if p.is_dir() and p.name[0] != ".")
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", page.read_text("utf-8"))

    missing = [name for name in named if not (ROOT / name).exists()]

    assert missing == []


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_is_named_as_proof_exists(page: Path) -> None:
    missing = []
    for file, name in _TEST.findall(page.read_text("utf-8")):
        path = ROOT / file
        if not path.exists() or (name and f"def {name}(" not in path.read_text("utf-8")):
            missing.append(f"{file}::{name}")

    assert missing == []


def test_every_folder_of_the_product_has_a_row_in_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = set(re.findall(r"^\| `([\w/]+)` \|", text[text.index("By folder:") :], re.MULTILINE))
    packages = ("api", "configs", "controller", "informers", "llamastack_operator", "workqueue")

    folders = {
        str(module.parent.relative_to(ROOT))
        for package in packages
        for module in (ROOT / package).rglob("*.py")
        if module.name != "__init__.py"
    }

    assert folders - rows == set()


def test_glossary_is_in_alphabetical_order() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    glossary = text[text.index("## Glossary") : text.index("## Tags")]
    words = re.findall(r"^\| ([\w ]+) \|", glossary, re.MULTILINE)[1:]

    assert words == sorted(words)
    assert len(words) > 1


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    pages = {path.name for path in folder.glob("[0-9]*.md")}
    index = (folder / "README.md").read_text("utf-8")

    assert set(re.findall(r"\(([0-9][\w-]+\.md)\)", index)) == pages
    for number, name in enumerate(sorted(pages), start=1):
        title = (folder / name).read_text("utf-8").splitlines()[0]
        assert title.startswith(f"# {number}. "), name
        assert f"[{number:04}]({name}) | {title.partition('. ')[2]} |" in index


def test_every_metric_is_documented_and_exists() -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))

    exposition, _ = Metrics(version="0").render("text/plain")

    ours = {
        name
        for name in re.findall(r"^# TYPE (\w+) ", exposition.decode(), re.MULTILINE)
        if not name.startswith(("process_", "python_"))
    }
    assert documented == ours


def test_every_command_is_documented() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    table = readme[readme.index("## Commands") : readme.index("## Read on")]
    documented = set(re.findall(r"`([a-z]+)(?: -f FILE| check PATH)?`", table))

    commands = re.findall(r"^    ([a-z]+)\b", build_parser().format_help(), re.MULTILINE)

    assert documented == set(commands)
