# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Finds a Python for the servers: 3.12 or later, which their wheels need.

The operator itself runs on 3.11, so the project's own interpreter may not do. pyenv's are asked
directly, because its shims on ``PATH`` answer only for the version that is switched on.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

VERSIONS = ("3.13", "3.12", "3.14")
"""The best first: every pinned package has a wheel for 3.13."""

_ASK = "import sys; print('%d.%d' % sys.version_info[:2]); import ensurepip"
_SECONDS = 30


def find_python(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The interpreter to make environments with, or None."""
    for version in VERSIONS:
        for path in _candidates(version, environment):
            if _answers(path, version):
                return path
    return None


def _candidates(version: str, environment: Mapping[str, str]) -> Iterator[Path]:
    for place in environment.get("PATH", "").split(os.pathsep):
        if place and not place.endswith("shims"):
            yield Path(place) / f"python{version}"
    pyenv = environment.get("PYENV_ROOT") or f"{environment.get('HOME', '/nonexistent')}/.pyenv"
    versions = Path(pyenv) / "versions"
    yield from sorted(versions.glob(f"{version}.*/bin/python"), key=_patch, reverse=True)


def _patch(path: Path) -> tuple[int, ...]:
    """The numbers of ``…/3.13.10/bin/python``; a pre-release such as 3.14.0rc1 comes first."""
    words = path.parts[-3].split(".")
    return tuple(int(word) if word.isdigit() else -1 for word in words)


def _answers(path: Path, version: str) -> bool:
    if not os.access(path, os.X_OK):
        return False
    try:
        result = subprocess.run(
            [path, "-I", "-c", _ASK], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0 and result.stdout.strip() == version
