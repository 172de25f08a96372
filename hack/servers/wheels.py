# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The wheels of a provider that others wrote, from the package index, for the servers' Python.

They are those of ``docs/examples/trustyai-fms``: its ``packages.lock`` pins each by hash, and lists
what the provider depends on and the server of the newest era with that API does not have.
``python -m hack.servers lock`` makes it again.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from hack.cluster.progress import Progress
from hack.servers.errors import BedError
from hack.servers.places import PROVIDER_LOCK, finish, is_finished
from hack.servers.releases import Release, newest
from hack.servers.resolving import uv, wheels_only
from hack.servers.venvs import run

PROVIDER = "llama-stack-provider-trustyai-fms==0.1.2"
SERVER: Release = newest("0.7")
"""What the lock file is for; later ones do not have the API ``safety``."""

_HEADER = f"# {PROVIDER} beside {SERVER.name}: python -m hack.servers lock\n"
_OWN = frozenset({"llama-stack", "llama-stack-api", "llama-stack-client"})
_SECONDS = 600


def download(directory: Path, python: list[str], progress: Progress) -> None:
    """Fetch them.

    Args:
        directory: for the wheels; removed first unless it is complete.
        python: how to run the Python that they have to fit.
        progress: where to show it.

    Raises:
        BedError: one of them is not to be had, or is another than the lock file says.
    """
    if is_finished(directory):
        return
    shutil.rmtree(directory, ignore_errors=True)
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = run([*python, "-c", ask], "the servers' Python does not run").strip()
    with progress.step(f"fetching the wheels of {PROVIDER}", f"for Python {version}"):
        fetch(directory, version)
    finish(directory)


def fetch(directory: Path, version: str) -> None:
    """Fetch them into a directory.

    Args:
        directory: for the wheels.
        version: of the Python that they have to fit, as ``3.12``.

    Raises:
        BedError: one of them is not to be had, or is another than the lock file says.
    """
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--require-hashes", "--only-binary", ":all:", "--python-version", version,
        "--requirement", str(PROVIDER_LOCK), "--dest", str(directory),
    ]  # fmt: skip
    run(command, f"{PROVIDER} could not be fetched", seconds=_SECONDS)


def resolve(progress: Progress) -> None:
    """Write the lock file: everything that the provider needs and the server does not have.

    Raises:
        BedError: the requirements cannot be resolved.
    """
    command = [
        str(uv()), "pip", "compile", "--quiet", "--python-version", "3.12",
        "--python-platform", "x86_64-manylinux_2_28", *wheels_only(),
        "--exclude-newer", f"{SERVER.as_of}T00:00:00Z", "--constraints", str(SERVER.lock),
        "--generate-hashes", "--no-annotate", "--no-header", "-",
    ]  # fmt: skip
    with progress.step(f"resolving {PROVIDER}", f"beside {SERVER.name}"):
        done = subprocess.run(
            command, input=PROVIDER, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    if done.returncode:
        raise BedError(f"{PROVIDER} cannot be resolved: {' '.join(done.stderr.split())}")
    there = {_name(line) for line in SERVER.lock.read_text("utf-8").splitlines()}
    lines = (pin for pin in _pins(done.stdout) if _name(pin) not in there | _OWN)
    PROVIDER_LOCK.write_text(_HEADER + "".join(lines), encoding="utf-8")


def _pins(text: str) -> Iterator[str]:
    """Each pin with its hashes, which are in lines of their own."""
    pin = ""
    for line in text.splitlines(keepends=True):
        if pin and not line.startswith(" "):
            yield pin
            pin = ""
        pin += line
    yield pin


def _name(pin: str) -> str:
    return pin.partition("==")[0]
