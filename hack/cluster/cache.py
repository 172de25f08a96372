# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The user's cache of programs: one directory for each set of pins, filled atomically.

The directory's name is a hash of all that decides what is in it (go.mod, go.sum, versions,
platform). A program appears in it by a rename from a temporary directory beside it, so whatever is
there is complete, and a build that was interrupted leaves nothing in the way. Two runs at a time
take turns by a file lock, which the kernel releases when its holder dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.errors import BinariesUnavailableError
from hack.cluster.progress import Progress
from hack.cluster.versions import MODULES, PROGRAMS, ProgramSpec

CACHE_VARIABLE = "XDG_CACHE_HOME"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_WORK_PREFIX = ".work-"


@dataclass(frozen=True, slots=True)
class Platform:
    """Operating system and architecture in Go's words, e.g. ``linux`` and ``amd64``."""

    os: str
    arch: str

    @classmethod
    def here(cls) -> Platform:
        """The one this process runs on."""
        machine = platform.machine().lower()
        return cls(sys.platform, _ARCHITECTURES.get(machine, machine))


def pins_hash(here: Platform, modules: Path = MODULES) -> str:
    """Sixteen hex digits that change with every pin and with the platform."""
    digest = hashlib.sha256(f"{here.os}/{here.arch}\n".encode())
    for spec in PROGRAMS.values():
        digest.update(f"{spec.name} {spec.version} {spec.package}\n".encode())
    for path in sorted(modules.glob("*/go.*")):
        digest.update(f"{path.parent.name}/{path.name} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def user_directory(environment: Mapping[str, str]) -> Path:
    """What is kept from one run to the next: below ``XDG_CACHE_HOME``, by default ``~/.cache``.

    Raises:
        BinariesUnavailableError: the user has no home directory.
    """
    if chosen := environment.get(CACHE_VARIABLE):
        return Path(chosen) / "llamastack-operator"
    if home := environment.get("HOME"):
        return Path(home) / ".cache" / "llamastack-operator"
    msg = f"there is no place for what is kept: set {CACHE_VARIABLE} to a directory"
    raise BinariesUnavailableError(msg)


class Cache:
    """One directory of programs that belong together.

    Args:
        directory: where they are; its parent also holds the lock and temporary directories.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def of_user(cls, environment: Mapping[str, str], here: Platform) -> Cache:
        """The cache below ``XDG_CACHE_HOME``, by default ``~/.cache``.

        Raises:
            BinariesUnavailableError: the user has no home directory.
        """
        return cls(user_directory(environment) / "bin" / pins_hash(here))

    def present(self, wanted: Iterable[ProgramSpec]) -> dict[str, Path]:
        """Those of the programs that are there."""
        paths = {spec.name: self.directory / spec.name for spec in wanted}
        return {name: path for name, path in paths.items() if os.access(path, os.X_OK)}

    @contextlib.contextmanager
    def locked(self, progress: Progress) -> Iterator[None]:
        """Be the only one who fills this cache; waits for whoever does.

        Raises:
            BinariesUnavailableError: the directory cannot be written.
        """
        lock = self.directory.with_suffix(".lock")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            file = lock.open("a+b")
        except OSError as error:
            msg = f"{self.directory} cannot be written ({error.strerror}): set {CACHE_VARIABLE}"
            raise BinariesUnavailableError(msg) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with progress.step("waiting for another process that obtains them", f"by {lock}"):
                    fcntl.flock(file, fcntl.LOCK_EX)
            self._remove_leftovers()
            yield

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Path]:
        """A temporary directory on the cache's file system; call it with the lock held."""
        work = tempfile.mkdtemp(prefix=f"{_WORK_PREFIX}{self.directory.name}-", dir=self._parent)
        try:
            yield Path(work)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def install(self, spec: ProgramSpec, file: Path) -> None:
        """Move a finished program from a workspace to its place, in one step."""
        file.chmod(0o755)
        file.replace(self.directory / spec.name)

    @property
    def _parent(self) -> Path:
        return self.directory.parent

    def _remove_leftovers(self) -> None:
        """What a killed process left: only the holder of the lock has a workspace."""
        for work in self._parent.glob(f"{_WORK_PREFIX}{self.directory.name}-*"):
            shutil.rmtree(work, ignore_errors=True)
