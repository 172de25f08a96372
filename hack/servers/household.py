# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What this process has started: its directory, and the one that cleans up if we cannot.

A test process has one household, made when something is started first: a directory below the bed's
workspace that records the running processes, and a keeper that stops them and removes the
directory as soon as this process is gone (``hack.cluster.keeper``). What stops in good
order is struck from the record and its own directory removed at once.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from hack.cluster import state
from hack.cluster.keeper import release_keeper, start_keeper
from hack.cluster.process import ProcessId, Program

_ours: dict[tuple[int, Path], Household] = {}


class Household:
    """The processes of one test process.

    Args:
        workspace: where to make the directory.
    """

    def __init__(self, workspace: Path) -> None:
        workspace.mkdir(parents=True, exist_ok=True)
        # Others may pass through but not look: PostgreSQL runs as another user, if we are root.
        workspace.chmod(0o711)
        self.directory = Path(tempfile.mkdtemp(prefix="run-", dir=workspace))
        state.claim(self.directory)
        self.directory.chmod(0o711)
        self._processes: dict[str, ProcessId] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._keeper: subprocess.Popen[bytes] | None = start_keeper(self.directory)

    @classmethod
    def of(cls, workspace: Path) -> Household:
        """This process's own, made if need be and closed at exit."""
        key = (os.getpid(), workspace)  # a forked child must not use its parent's
        if key not in _ours:
            _ours[key] = cls(workspace)
            atexit.register(_ours[key].close)
        return _ours[key]

    def place(self, name: str) -> Path:
        """A new directory for something to be started."""
        path = self.directory / f"{name}-{next(self._numbers)}"
        path.mkdir()
        return path

    def start(self, program: Program) -> None:
        """Start a program and put it on record.

        Raises:
            ProcessFailedError: it cannot be executed.
        """
        program.start()
        if program.id is not None:
            with self._lock:
                self._processes[program.name] = program.id
                self._record()

    def stop(self, program: Program, *, grace: float = 0) -> None:
        """Stop a program and strike it from the record."""
        program.stop(grace=grace)
        with self._lock:
            self._processes.pop(program.name, None)
            self._record()

    def clear(self, place: Path) -> None:
        """Remove a directory that ``place`` made."""
        shutil.rmtree(place, ignore_errors=True)

    def close(self) -> None:
        """Stop what is left, remove the directory; nothing happens the second time."""
        if self._keeper is None or (os.getpid(), self.directory.parent) not in _ours:
            return
        del _ours[os.getpid(), self.directory.parent]
        keeper, self._keeper = self._keeper, None
        with contextlib.suppress(subprocess.TimeoutExpired):
            release_keeper(keeper)

    def _record(self) -> None:
        if self.directory.is_dir():
            state.Record("", dict(self._processes)).write(self.directory)
