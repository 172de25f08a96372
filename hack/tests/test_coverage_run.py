# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Coverage of a project of four files, measured as that of this one is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hack.coverage import plugin
from hack.coverage.figures import PYTHON
from hack.root import ROOT

_FILES = {
    "pyproject.toml": """
[tool.pytest.ini_options]
addopts = ["--import-mode=importlib", "-p", "hack.coverage.plugin", "-p", "tests.early"]
asyncio_default_fixture_loop_scope = "function"
filterwarnings = ["error"]
[tool.coverage.run]
branch = true
core = "ctrace"
data_file = "build/data"
parallel = true
relative_files = true
source = ["product"]
""",
    "product/__init__.py": "",
    "product/sign.py": """
def sign(number: int) -> str:
    if number < 0:
        return "-"
    return "+"
""",
    "product/never.py": """
def never() -> None:
    raise NotImplementedError
""",
    "tests/early.py": "import product.sign\n",
    "tests/unit/product/test_minus.py": """
from product.sign import sign
def test_minus(): assert sign(-1) == "-"
def test_minus_again(): assert sign(-2) == "-"
""",
    "tests/unit/test_plus.py": """
import os
from product.sign import sign
def test_plus(): assert sign(1) == "+"
def test_programs_of_a_test_are_not_measured():
    assert not os.environ.get("LLAMASTACK_OPERATOR_COVERAGE")
""",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in _FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def _run(project: Path, *arguments: str, wanted: str = "1") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=project,
        env={**os.environ, plugin.WANTED: wanted, "PYTHONPATH": f"{project}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize("workers", [(), ("-n", "2", "--dist", "loadfile")], ids=["one", "two"])
def test_every_test_file_is_told_apart(project: Path, workers: tuple[str, ...]) -> None:
    assert _run(project, "pytest", *workers).returncode == 0
    # Data of an earlier run do not count.
    assert _run(project, "pytest", *workers, "tests/unit/product").returncode == 0

    shown = _run(project, "hack.coverage", "product/sign.py").stdout.splitlines()

    assert shown == [
        "product/sign.py: lines 75.0 %, branches 50.0 %, "
        "by its own tests 2 of 3 lines inside functions",
        "  never executed: 5",
        "  not in every direction: 3",
        "  own test: tests/unit/product/test_minus.py, 2 lines inside functions",
    ]


def test_figures_are_written_and_held_from_then_on(project: Path) -> None:
    figures = project / "hack" / "coverage" / "figures.json"
    figures.parent.mkdir(parents=True)
    assert _run(project, "pytest", "tests/unit/product").returncode == 0

    unknown = _run(project, "hack.coverage")
    assert _run(project, "hack.coverage", "--update").returncode == 0
    held = _run(project, "hack.coverage", "--map")
    _replace(figures, '"lines": ', '"lines": 1')
    fell = _run(project, "hack.coverage")
    _replace(figures, f'"{PYTHON}"', '"3.10"')
    other = _run(project, "hack.coverage")
    part = _run(project, "hack.coverage", "--part")

    assert unknown.returncode == 1
    assert "error: product has no figure" in unknown.stdout
    assert held.returncode == 0
    assert "2 unit/product/test_minus" in held.stdout
    assert re.search(r"product/never.py +0 of +1, .* expected in tests/unit/product", held.stdout)
    assert fell.returncode == 1
    assert "product: coverage of lines fell from 150.0 % to 50.0 %" in fell.stdout
    assert other.returncode == 0
    assert other.stdout.endswith("hack/coverage/figures.json is of 3.10\n")
    assert part.returncode == 0


def test_nothing_is_measured_unless_that_is_wanted(project: Path) -> None:
    assert _run(project, "pytest", wanted="").returncode == 0

    shown = _run(project, "hack.coverage")

    assert shown.returncode == 2
    assert shown.stderr == "error: the tests were not measured: run `make coverage`\n"
