# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One virtual environment for each release, made by uv from the release's lock file.

Nothing is resolved here: the lock file names every package. One that was not finished is removed
and made again. Which index is used is the user's affair: uv's own settings hold, and without any
``index_settings`` hands on what pip was told.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from hack.servers.errors import BedError
from hack.servers.places import INSIDE, finish, is_finished
from hack.servers.releases import LOCKS, Release
from hack.servers.resolving import uv, wheels_only

_SECONDS = 1800


def make_venv(release: Release, directory: Path, python: str) -> None:
    """Make a release's environment on this machine.

    Args:
        release: what to install.
        directory: of the environment; removed first.
        python: the interpreter.

    Raises:
        BedError: a package could not be installed; with what uv said last.
    """
    if is_finished(directory):
        return
    shutil.rmtree(directory, ignore_errors=True)
    steps = commands(release, str(directory), python, str(uv()), str(LOCKS))
    for command in steps:
        run(command, f"{release.name} could not be installed")
    add_tokenizer(directory)
    finish(directory)


def commands(
    release: Release, directory: str, python: str, uv_path: str, locks: str
) -> list[list[str]]:
    """The command lines that make an environment."""
    return [
        [uv_path, "venv", "--quiet", "--python", python, directory],
        [
            uv_path, "pip", "install", "--quiet", "--no-deps",
            "--python", f"{directory}/bin/python",
            *wheels_only(),
            "--build-constraints", f"{locks}/build.txt",
            "--requirements", f"{locks}/{release.lock.name}",
        ],
    ]  # fmt: skip


def index_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """uv's words for the index that pip was told to use, which uv does not look at."""
    uv_has = any(name in environment for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"))
    index = environment.get("PIP_INDEX_URL", "")
    return {"UV_DEFAULT_INDEX": index} if index and not uv_has else {}


def add_tokenizer(directory: Path) -> None:
    """Put the stand-in for the tokenizer into an environment."""
    for packages in directory.glob("lib/python3.*/site-packages"):
        for path in INSIDE.glob("byte_tokenizer.*"):
            shutil.copy(path, packages)


def run(command: list[str], failed: str, *, seconds: float = _SECONDS) -> str:
    """Run a program to its end; what it wrote to standard output.

    Raises:
        BedError: ``failed``, and the program's last words.
    """
    environment = {**os.environ, **index_settings(os.environ)}
    environment.pop("VIRTUAL_ENV", None)
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BedError(f"{failed}: {error}") from error
    if result.returncode:
        said = " | ".join((result.stderr or result.stdout).strip().splitlines()[-5:])
        raise BedError(f"{failed}: {said}")
    return result.stdout
