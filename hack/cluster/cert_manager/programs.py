# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""cert-manager's program, built from source into the user's cache, and its definitions.

It is published as images only, so there is one rung to the ladder: the Go module proxy. A program
of ours (``modules/cert-manager/main.go``) starts its packages.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.cache import Cache, Platform, user_directory
from hack.cluster.errors import BinariesUnavailableError
from hack.cluster.gobuild import build, find_go
from hack.cluster.progress import Progress
from hack.cluster.versions import ProgramSpec

SUBJECT = "cert-manager"
MODULES = Path(__file__).parent / "modules"
MODULE = "github.com/cert-manager/cert-manager"
VERSION = "v1.21.2"
SPEC = ProgramSpec("cert-manager", VERSION, "cert-manager", ".")

_DEFINITIONS = "definitions"  # below the cache's directory
_GO_SECONDS = 120


@dataclass(frozen=True, slots=True)
class CertManager:
    """What there is of it.

    Attributes:
        program: controllers and injector.
        definitions: a directory with its CustomResourceDefinitions.
    """

    program: Path
    definitions: Path


def obtain(
    *, progress: Progress | None = None, environment: Mapping[str, str] = os.environ
) -> CertManager:
    """The program and its definitions; the first time it takes minutes.

    Args:
        progress: where to show it; standard error by default.
        environment: instead of the process's own.

    Raises:
        BinariesUnavailableError: they are not to be had; says what to install.
    """
    here = Platform.here()
    cache = Cache(user_directory(environment) / "cert-manager" / pins_hash(here))
    found = CertManager(cache.directory / SPEC.name, cache.directory / _DEFINITIONS)
    progress = progress or Progress(subject=SUBJECT)
    if not _is_there(found):
        with cache.locked(progress):
            if not cache.present([SPEC]):
                build([SPEC], cache, here, progress, environment, modules=MODULES)
            if not found.definitions.is_dir():
                _copy_definitions(cache, found.definitions, environment)
    return found


def pins_hash(here: Platform, modules: Path = MODULES) -> str:
    """Sixteen hex digits that change with every pin, our source and the platform."""
    digest = hashlib.sha256(f"{here.os}/{here.arch} {VERSION}\n".encode())
    for path in sorted((modules / SPEC.module).glob("*.*")):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _is_there(found: CertManager) -> bool:
    return os.access(found.program, os.X_OK) and found.definitions.is_dir()


def _copy_definitions(cache: Cache, target: Path, environment: Mapping[str, str]) -> None:
    """From the module's source, which the build has fetched."""
    command = [find_go(environment), "list", "-m", "-f", "{{.Dir}}", MODULE]
    try:
        said = subprocess.run(
            command,
            cwd=MODULES / SPEC.module,
            env={**environment, "GOWORK": "off", "GOFLAGS": "-mod=readonly"},
            capture_output=True,
            text=True,
            timeout=_GO_SECONDS,
            check=True,
        ).stdout.strip()
        with cache.workspace() as work:
            (work / _DEFINITIONS).mkdir()
            for path in Path(said, "deploy", "crds").glob("*cert-manager.io_*.yaml"):
                shutil.copyfile(path, work / _DEFINITIONS / path.name)
            (work / _DEFINITIONS).rename(target)
    except (OSError, subprocess.SubprocessError) as error:
        msg = f"the definitions of cert-manager are not in its module: {error}"
        raise BinariesUnavailableError(msg) from error
