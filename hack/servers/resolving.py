# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Makes the lock files again: ``python -m hack.servers lock``.

The files hold names and versions for every platform and for each Python from 3.12 on; no hashes and
no addresses, because every machine has its own index.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hack.cluster.progress import Progress
from hack.servers.errors import BedError
from hack.servers.releases import SOURCE_ONLY, Release

_SECONDS = 600


def uv() -> Path:
    """The project's own uv.

    Raises:
        BedError: it is not there.
    """
    path = Path(sys.executable).parent / "uv"
    if not path.exists():
        raise BedError(f"{path} is missing: make .venv")
    return path


def wheels_only() -> list[str]:
    """The arguments that keep uv from building anything unexpected."""
    return ["--only-binary", ":all:", *(f"--no-binary={name}" for name in SOURCE_ONLY)]


def resolve(release: Release, progress: Progress) -> None:
    """Write a release's lock file.

    Raises:
        BedError: the requirements cannot be resolved.
    """
    command = [
        str(uv()), "pip", "compile", "--quiet", "--universal", "--python-version", "3.12",
        *wheels_only(),
        "--exclude-newer", f"{release.as_of}T00:00:00Z",
        "--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links",
        "-", "--output-file", str(release.lock),
    ]  # fmt: skip
    with progress.step(f"resolving {release.name}", f"as of {release.as_of}"):
        release.lock.unlink(missing_ok=True)  # what it pins would be kept
        result = subprocess.run(
            command,
            input="\n".join(release.requirements),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    if result.returncode:
        raise BedError(f"{release.name} cannot be resolved: {' '.join(result.stderr.split())}")
    header = f"# {release.name} as of {release.as_of}: python -m hack.servers lock\n"
    release.lock.write_text(header + release.lock.read_text(encoding="utf-8"), encoding="utf-8")
