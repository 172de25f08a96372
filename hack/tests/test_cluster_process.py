# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Processes are known by PID and start time, and nobody else's is touched."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.errors import ClusterError, ProcessFailedError
from hack.cluster.keeper import release_keeper, start_keeper
from hack.cluster.process import ProcessId, Program
from hack.cluster.state import Record, claim, sweep

_FOREVER = "import time; time.sleep(600)"
_UNWILLING = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('ignoring', flush=True); time.sleep(600)"
)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", _FOREVER], start_new_session=True) as process:
        yield process
        process.kill()


def _program(tmp_path: Path, code: str) -> Program:
    command = [sys.executable, "-c", code]
    return Program(name="it", command=command, log=tmp_path / "it.log", directory=tmp_path)


def _id_of(process: subprocess.Popen[bytes]) -> ProcessId:
    identity = ProcessId.of(process.pid)
    assert identity is not None
    return identity


def test_stop_ends_the_process_and_its_group(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time; c = subprocess.Popen([sys.executable, '-c', "
        f"{_FOREVER!r}]); print(c.pid, flush=True); time.sleep(600)"
    )
    program = _program(tmp_path, code)
    program.start()
    program.wait_until(lambda: "\n" in program.log.read_text(), seconds=10)
    grandchild = ProcessId.of(int(program.output()))
    assert grandchild is not None

    program.stop(grace=0)

    assert not program.running()
    assert grandchild._gone_within(5)


def test_stop_spares_a_stranger_that_has_the_recorded_pid(child: subprocess.Popen[bytes]) -> None:
    recorded = ProcessId(child.pid, started="not when this one started")

    recorded.stop(grace=0)
    recorded.stop(grace=0.1)

    assert not recorded.alive()
    assert child.poll() is None


def test_sweep_spares_a_stranger_that_has_the_recorded_pid(
    child: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    directory = tmp_path / "plane"
    claim(directory)
    Record("kubeconfig", {"etcd": ProcessId(child.pid, "another time")}).write(directory)

    assert sweep(directory)

    assert child.poll() is None
    assert not directory.exists()


def test_stop_kills_what_ignores_sigterm_after_the_grace(tmp_path: Path) -> None:
    program = _program(tmp_path, _UNWILLING)
    program.start()
    program.wait_until(lambda: program.output() == "ignoring", seconds=10)
    started = time.monotonic()

    program.stop(grace=0.2)

    assert not program.running()
    assert 0.2 <= time.monotonic() - started < 5


def test_zombie_counts_as_gone(child: subprocess.Popen[bytes]) -> None:
    identity = _id_of(child)
    assert identity.alive()

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and not reaped

    assert not identity.alive()
    assert identity.memory() == 0


def test_waiting_for_a_program_that_ends_shows_what_it_said_last(tmp_path: Path) -> None:
    program = _program(tmp_path, "print('one'); print('no such flag'); raise SystemExit(3)")
    program.start()

    with pytest.raises(
        ProcessFailedError, match=r"ended before it was ready.*no such flag"
    ) as info:
        program.wait_until(lambda: False, seconds=30)
    program.stop(grace=0)

    assert info.value.output == "one\nno such flag"


def test_waiting_has_a_deadline(tmp_path: Path) -> None:
    program = _program(tmp_path, _FOREVER)
    program.start()

    with pytest.raises(ProcessFailedError, match=r"not ready after 0 s.*it said nothing"):
        program.wait_until(lambda: False, seconds=0.1)
    program.stop(grace=0)


def test_output_is_that_of_the_latest_start(tmp_path: Path) -> None:
    program = _program(tmp_path, "import os; print(os.getpid())")
    program.start()
    program.wait_until(lambda: not program.running() or bool(program.output()), seconds=10)
    first = program.output()
    program.stop(grace=0)

    program.start()
    program.wait_until(lambda: bool(program.output()), seconds=10)
    second = program.output()
    program.stop(grace=0)

    assert second != first
    assert "\n" not in second


def test_missing_program_is_one_clear_line(tmp_path: Path) -> None:
    program = Program("etcd", [str(tmp_path / "absent")], tmp_path / "log", tmp_path)

    with pytest.raises(ProcessFailedError, match=r"etcd cannot be started: .*absent"):
        program.start()


def test_keeper_sweeps_when_its_owner_is_gone(
    child: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    directory = tmp_path / "plane"
    claim(directory)
    Record("kubeconfig", {"etcd": _id_of(child)}).write(directory)
    keeper = start_keeper(directory)
    assert child.poll() is None

    release_keeper(keeper)  # closes the pipe, as the kernel does for an owner that was killed

    assert child.wait(timeout=10) != 0
    assert not directory.exists()


def test_directory_with_other_files_is_not_claimed_and_not_swept(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")

    with pytest.raises(ClusterError, match="not empty"):
        claim(tmp_path)
    assert not sweep(tmp_path)

    assert (tmp_path / "thesis.tex").exists()


def test_directory_is_claimed_once(tmp_path: Path) -> None:
    claim(tmp_path / "plane")

    with pytest.raises(ClusterError, match="in use"):
        claim(tmp_path / "plane")


def test_unreadable_record_is_explained_and_kept(tmp_path: Path) -> None:
    (tmp_path / "control-plane.json").write_text('{"processes": 3}')

    with pytest.raises(ClusterError, match="remove it by hand"):
        sweep(tmp_path)

    assert (tmp_path / "control-plane.json").exists()
