# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The script that makes ``.venv``: what a machine lacks is said in one line; nothing is left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hack.root import ROOT

_TOO_OLD = f"""#!/bin/sh
exec {sys.executable} -c 'import sys; sys.version_info = (3, 10, 13); exec(sys.argv[1])' "$2"
"""
_WITHOUT_VENV = f"""#!/bin/sh
case "$2" in
  *ensurepip*) exit 1 ;;
  *) exec {sys.executable} "$@" ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A directory with the script and a lock file, and no Python in the PATH but what it has."""
    (tmp_path / "hack").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "hack" / "venv.sh", tmp_path / "hack")
    (tmp_path / "requirements-dev.lock").touch()
    for tool in ("sh", "dirname"):
        found = shutil.which(tool)
        assert found
        (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path


def _program(clone: Path, name: str, text: str) -> None:
    path = clone / "bin" / name
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _run(clone: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "hack" / "venv.sh"],
        env={"PATH": str(clone / "bin"), "HOME": os.environ.get("HOME", "/"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def _only_line(result: subprocess.CompletedProcess[str], clone: Path) -> str:
    assert result.returncode == 1
    assert not (clone / ".venv").exists()
    (line,) = result.stderr.splitlines()
    return line


def test_machine_without_python_is_told_what_to_install(clone: Path) -> None:
    line = _only_line(_run(clone), clone)

    assert line.startswith("error: Python 3.11 or later is needed (there is none)")
    assert "apt-get install python3 python3-venv" in line


def test_python_that_is_too_old_is_named_with_its_version(clone: Path) -> None:
    _program(clone, "python3", _TOO_OLD)

    line = _only_line(_run(clone), clone)

    assert "Python 3.11 or later is needed (python3 is 3.10.13)" in line
    assert "make PYTHON=" in line


def test_newer_python_beside_an_old_one_is_found(clone: Path) -> None:
    _program(clone, "python3", _TOO_OLD)
    _program(clone, "python3.12", _WITHOUT_VENV)

    line = _only_line(_run(clone), clone)

    assert line.startswith("error: python3.12 cannot make virtual environments")


def test_missing_venv_module_is_named_as_debian_calls_it(clone: Path) -> None:
    _program(clone, "python3", _WITHOUT_VENV)
    minor = f"python{sys.version_info.major}.{sys.version_info.minor}"

    line = _only_line(_run(clone), clone)

    assert line.startswith("error: python3 cannot make virtual environments")
    assert f"apt-get install {minor}-venv" in line


def test_interpreter_can_be_chosen(clone: Path) -> None:
    _program(clone, "python3", _WITHOUT_VENV)
    _program(clone, "mine", _TOO_OLD)

    line = _only_line(_run(clone, PYTHON="mine"), clone)

    assert "(mine is 3.10.13)" in line
