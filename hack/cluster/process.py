# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Programs that run beside us: start, wait until ready, stop; and never touch a stranger.

A process is known by its PID *and* its start time. PIDs are reused, and a record may be older than
the machine's memory of it (a control plane started with ``up`` is stopped by another command, much
later), so every signal is preceded by a look at both. A zombie counts as gone: whoever has to
reap it may take its time, and nothing of it runs.

Each program leads a session and a process group of its own. Ctrl-C in a terminal therefore reaches
only us, and we decide the order in which things stop.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from hack.cluster.errors import ProcessFailedError

_POLL_S = 0.02
_TAIL_LINES = 5
_STAT_STATE, _STAT_START = 0, 19  # fields 3 and 22 of /proc/PID/stat, counted after the name


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process that no other process can be mistaken for.

    Attributes:
        pid: its number.
        started: its start time in a unit of the platform; only equality means something.
    """

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The process that has this number now, or None if none runs."""
        started = _start_time(pid)
        return None if started is None else cls(pid, started)

    def alive(self) -> bool:
        """Whether this very process runs; false for a zombie and for a later owner of the PID."""
        return _start_time(self.pid) == self.started

    def memory(self) -> int:
        """Resident memory in bytes; 0 if it does not run."""
        if not self.alive():
            return 0
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def stop(self, *, grace: float) -> None:
        """End the process and its group: SIGTERM, SIGKILL after ``grace`` seconds.

        Args:
            grace: seconds to end by itself; 0 sends SIGKILL at once.

        Raises:
            ProcessFailedError: it is still there two seconds after SIGKILL.
        """
        if grace > 0 and self._signal(signal.SIGTERM) and self._gone_within(grace):
            return
        if self._signal(signal.SIGKILL) and not self._gone_within(grace + 2):
            msg = f"process {self.pid} does not end, not even by SIGKILL"
            raise ProcessFailedError(msg)

    def _signal(self, number: signal.Signals) -> bool:
        """Send a signal to the group if the process is the one we mean; true if it was sent."""
        if not self.alive():
            return False
        try:
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def _gone_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True


def _start_time(pid: int) -> str | None:
    """When a process started; None if it is not there, or only as a zombie."""
    if sys.platform == "linux":
        # Ticks since boot: unlike a date, they do not move when the clock is set.
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()
        return None if fields[_STAT_STATE] in "ZX" else fields[_STAT_START]
    try:
        process = psutil.Process(pid)
        if process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
            return None
        return repr(process.create_time())
    except psutil.Error:
        return None


@dataclass(slots=True)
class Program:
    """One program of the control plane, started by this process.

    Attributes:
        name: for messages and for the log file.
        command: the command line; the first word is an absolute path.
        log: where its output goes; appended to when it is started again.
        directory: its working directory.
        environment: what to add to ours.
        id: who it is while it runs.
    """

    name: str
    command: Sequence[str]
    log: Path
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    id: ProcessId | None = None
    _child: subprocess.Popen[bytes] | None = None
    _log_start: int = 0

    def start(self) -> None:
        """Start it in a session of its own; nothing happens if it runs.

        Raises:
            ProcessFailedError: the file is missing or cannot be executed.
        """
        if self.running():
            return
        self._reap()
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            try:
                self._child = subprocess.Popen(
                    list(self.command),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.directory,
                    env={**os.environ, **self.environment},
                    start_new_session=True,
                )
            except OSError as error:
                msg = f"{self.name} cannot be started: {error}"
                raise ProcessFailedError(msg) from error
        self.id = ProcessId.of(self._child.pid)

    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.id is not None and self.id.alive()

    def wait_until(self, ready: Callable[[], bool], *, seconds: float, what: str = "ready") -> None:
        """Wait for ``ready()``, as long as the program runs.

        Raises:
            ProcessFailedError: it ended, or time is up; with the last lines of its log.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running():
                raise self.failure(f"{self.name} ended before it was {what}")
            if time.monotonic() > deadline:
                raise self.failure(f"{self.name} is not {what} after {seconds:.0f} s")
            time.sleep(_POLL_S)

    def failure(self, message: str) -> ProcessFailedError:
        """An error with what the program said last."""
        output = self.output()
        tail = " | ".join(output.splitlines()[-_TAIL_LINES:]) or "(it said nothing)"
        return ProcessFailedError(f"{message}; the end of {self.log}: {tail}", output=output)

    def output(self) -> str:
        """What it wrote since its latest start."""
        try:
            with self.log.open("rb") as log:
                log.seek(self._log_start)
                return log.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def stop(self, *, grace: float) -> None:
        """End it, at once with a ``grace`` of 0; nothing happens if it does not run."""
        if self.id is not None:
            self.id.stop(grace=grace)
        self._reap()
        self.id = None

    def _reap(self) -> None:
        if self._child is not None:
            self._child.wait(timeout=10)
            self._child = None
