# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The real operator as a process beside us: start, wait until ready, question, end.

It runs as its users run it, ``python -m llamastack_operator run``, and tells what it does only in
the ways that they have: its log (JSON, one file), its metrics and probes (port 0; the ports that
were bound are in the log), its exit status, and what the system knows about the process.

It leads a session of its own, so Ctrl-C in a terminal reaches only us. A keeper (see
:mod:`hack.cluster.keeper`) ends it if we are killed.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

from hack.cluster import keeper, state
from hack.cluster.errors import ProcessFailedError
from hack.cluster.process import ProcessId
from hack.root import ROOT

COMMAND: Sequence[str] = (sys.executable, "-m", "llamastack_operator")

READY_S = 60.0  # a loaded machine needs 10 s to import and to fill caches
STOP_S = 35.0  # requirements: within 30 s
_POLL_S = 0.02
_HTTP_S = 5.0
_TAIL_LINES = 15
_MIB = 1 << 20
_FLAGS_OF_PORTS = ("--health-probe-bind-address", "--metrics-bind-address")
_OWN_VARIABLES = "LLAMASTACK_OPERATOR_"


class OperatorProcess:
    """One operator, started and ended by this process.

    Use as a context manager, or call :meth:`start` and :meth:`close`. All waits block.

    Args:
        kubeconfig: of the cluster and the user it works as.
        flags: more flags of ``run``; the last mention of a flag wins.
        env: variables added to ours; ours for the operator itself (``LLAMASTACK_OPERATOR_*``,
            ``KUBECONFIG``) are not handed on.
        command: what to run instead of ``python -m llamastack_operator``, e.g. under a profiler.
    """

    def __init__(
        self,
        kubeconfig: Path | str,
        *flags: str,
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.command = [
            *command,
            "run",
            f"--kubeconfig={kubeconfig}",
            "--log-format=json",
            *(f"{flag}=127.0.0.1:0" for flag in _FLAGS_OF_PORTS),
            "--webhook-port=off",
            *flags,
        ]
        # Outside of a cluster nobody can tell it its own image.
        image = {"OPERATOR_IMAGE": "registry.example/llamastack-operator:test"}
        self._environment = {**_inherited(), **image, **(env or {})}
        self._directory = Path(tempfile.mkdtemp(prefix="llsd-operator-"))
        self._log = _Log(self._directory / "operator.log")
        self._child: subprocess.Popen[bytes] | None = None
        self._id: ProcessId | None = None
        self._keeper: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0

    # --- life ------------------------------------------------------------------------------

    def __enter__(self) -> OperatorProcess:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it; once in the life of this object."""
        if self._child is not None:
            raise RuntimeError("an OperatorProcess is started once; make another one")
        state.claim(self._directory)
        self._keeper = keeper.start_keeper(self._directory)
        self.started_at = time.time()
        with self._log.path.open("ab") as log:
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=self._environment,
                start_new_session=True,
            )
        self._id = ProcessId.of(self._child.pid)
        if self._id is not None:
            state.Record("", {"operator": self._id}).write(self._directory)

    def wait_ready(self, deadline_s: float = READY_S) -> None:
        """Until ``/readyz`` says yes: the caches are filled. A standby is ready, too.

        Raises:
            ProcessFailedError: it ended, or is not ready in time; with the end of its log.
        """
        self._until(self._is_ready, deadline_s, "ready")

    def wait_logged(self, event: str, deadline_s: float = READY_S) -> dict[str, Any]:
        """Until it has logged an event, e.g. ``Became leader``; the first such record.

        Raises:
            ProcessFailedError: it ended without, or has not in time.
        """
        found: list[dict[str, Any]] = []

        def logged() -> bool:
            found.extend(r for r in self.records() if r.get("event") == event)
            return bool(found)

        self._until(logged, deadline_s, f"as far as {event!r}")
        return found[0]

    def wait(self, deadline_s: float) -> int:
        """Until it has ended by itself; its exit status, negative for a signal.

        Raises:
            ProcessFailedError: it still runs.
        """
        child = self._started()
        try:
            return child.wait(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            raise self.failure(f"the operator still runs after {deadline_s:.0f} s") from None

    def terminate(self, deadline_s: float = STOP_S) -> int:
        """End it as Kubernetes does, with SIGTERM; its exit status.

        Raises:
            ProcessFailedError: it still runs.
        """
        self.signal(signal.SIGTERM)
        return self.wait(deadline_s)

    def kill(self) -> int:
        """End it with SIGKILL; its exit status."""
        self.signal(signal.SIGKILL)
        return self.wait(10.0)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended: SIGSTOP freezes it, SIGCONT lets it go on."""
        self._started().send_signal(number)  # does nothing once the child is reaped

    def close(self) -> None:
        """End it at once if it runs, and remove its files; what it logged stays readable."""
        try:
            if self._child is not None and self._child.poll() is None:
                self.kill()
        finally:
            self._log.keep()
            if self._keeper is not None:
                keeper.release_keeper(self._keeper)
                self._keeper = None
            state.remove(self._directory)

    # --- questions -------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Its number."""
        return self._started().pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def metrics_url(self) -> str:
        """Where its metrics are."""
        return f"http://127.0.0.1:{self._port('--metrics-bind-address')}/metrics"

    @property
    def log_file(self) -> Path:
        """What it logs, while this object is open."""
        return self._log.path

    def metrics(self) -> dict[str, float]:
        """All samples by name and labels, e.g. ``workqueue_depth{controller="x",name="x"}``.

        Labels are in alphabetical order.

        Raises:
            OSError, http.client.HTTPException: it does not answer.
        """
        status, body = self._get("--metrics-bind-address", "/metrics")
        if status != http.client.OK:
            raise self.failure(f"/metrics answered {status}")
        return {
            _sample_name(sample.name, sample.labels): sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
        }

    def rss_mib(self) -> float:
        """Resident memory now, in MiB."""
        return float(psutil.Process(self.pid).memory_info().rss) / _MIB

    def cpu_s(self) -> float:
        """Seconds of CPU that it has used so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def records(self) -> list[dict[str, Any]]:
        """What it logged so far. A line that is not a record has it all in ``event``."""
        return self._log.records()

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """The last lines of its log, for people."""
        return "\n".join(in_words(record) for record in self.records()[-lines:])

    def failure(self, message: str) -> ProcessFailedError:
        """An error with the end of the log."""
        tail = self.tail() or "(it said nothing)"
        return ProcessFailedError(f"{message}; it said last:\n{tail}", output=tail)

    # --- parts -----------------------------------------------------------------------------

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise RuntimeError("the operator was not started")
        return self._child

    def _until(self, done: Callable[[], bool], deadline_s: float, what: str) -> None:
        child = self._started()
        deadline = time.monotonic() + deadline_s
        while not done():
            if child.poll() is not None and not done():
                msg = f"the operator ended with status {child.returncode} before it was {what}"
                raise self.failure(msg)
            if time.monotonic() > deadline:
                raise self.failure(f"the operator is not {what} after {deadline_s:.0f} s")
            time.sleep(_POLL_S)

    def _is_ready(self) -> bool:
        try:
            return self._get("--health-probe-bind-address", "/readyz")[0] == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def _get(self, flag: str, path: str) -> tuple[int, bytes]:
        # Not urllib: it would send this through a proxy that the environment names.
        connection = http.client.HTTPConnection("127.0.0.1", self._port(flag), timeout=_HTTP_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _port(self, flag: str) -> int:
        for record in self.records():
            if record.get("event") == "Listened" and record.get("flag") == flag:
                return int(record["port"])
        raise ConnectionRefusedError(f"the operator does not listen yet ({flag})")


class _Log:
    """A growing file of JSON lines, read once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._records: list[dict[str, Any]] = []
        self._gone = False

    def records(self) -> list[dict[str, Any]]:
        if not self._gone and self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
            complete = content[: content.rfind(b"\n") + 1]
            self._offset += len(complete)
            self._records += [_record(line) for line in complete.splitlines() if line.strip()]
        return self._records

    def keep(self) -> None:
        self.records()
        self._gone = True


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if isinstance(record, dict):
        return record
    return {"level": "output", "event": line.decode(errors="replace").rstrip()}


def in_words(record: Mapping[str, Any]) -> str:
    """A record of the log as a line for people."""
    told = {"timestamp", "level", "event", "logger", "exception", "reconcile_id", "controller"}
    facts = "  ".join(f"{name}={value}" for name, value in record.items() if name not in told)
    clock = str(record.get("timestamp", ""))[11:19]
    line = f"{clock:8} {record.get('level', ''):7} {record.get('event', '')}"
    line = f"{line}  {facts}" if facts else line
    return f"{line}\n{record['exception']}" if "exception" in record else line


def _inherited() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name != "KUBECONFIG" and not name.startswith(_OWN_VARIABLES)
    }


def _sample_name(name: str, labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name
