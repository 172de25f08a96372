# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whether a module could be imported: the same words as Python's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from configs.external.offline import modules

TREES = [
    ("a.provider", {"a/__init__.py", "a/provider.py"}),
    ("a.provider", {"a/provider.py"}),
    ("a.provider", {"a/provider/__init__.py"}),
    ("a.provider", {"a/provider/deep/x.py"}),
    ("a.b.provider", {"a/b/provider.py"}),
    ("a.provider", {"a/__init__.py"}),
    ("a.provider", {"a/provider.txt"}),
    ("a.provider", {"a/provider.py.bak"}),
    ("a.provider", {"a.py"}),
    ("a.provider", {"a.py", "ab/provider.py"}),
    ("a.b.provider", {"a/b.py"}),
    ("a.b.provider", {"a/x.py"}),
    ("a.provider", {"b.py"}),
    ("a.provider", set[str]()),
]


@pytest.mark.parametrize(("module", "files"), TREES)
def test_python_says_the_same(module: str, files: set[str], tmp_path: Path) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {module}"

    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False
    )

    _, _, said = done.stderr.strip().rpartition("ModuleNotFoundError: No module named ")
    assert modules.missing(module, files) == said


def test_library_is_a_module() -> None:
    assert modules.missing("a.provider", {"a/provider.cpython-312-x86_64-linux-gnu.so"}) == ""
    assert modules.missing("a.provider", {"a/provider.pyc"}) == ""
