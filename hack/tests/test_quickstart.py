# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``make run``, as somebody sees it who has just cloned the repository."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from hack.cluster.binaries import as_directory
from hack.cluster.errors import ProcessFailedError
from hack.cluster.plane import ControlPlane, PlaneOptions
from hack.cluster.process import ProcessId
from hack.quickstart.guide import NAME, SAMPLE
from hack.quickstart.road import Mood, Road, Step, is_ready
from hack.quickstart.screen import Screen
from hack.root import ROOT
from tests.support.operator_process import OperatorProcess, in_words

INVITATION = "Try next"
STAYING = "Ctrl-C stops"
_PATIENCE_S = 60.0

Programs = Mapping[str, Path]


class Quickstart:
    """The command as a process, and what it has printed."""

    def __init__(self, programs: Programs, *flags: str, kubeconfig: Path | str = "") -> None:
        environment = {k: v for k, v in os.environ.items() if k not in {"KUBECONFIG", "COLUMNS"}}
        environment["KUBEBUILDER_ASSETS"] = str(as_directory(programs))
        if kubeconfig:
            environment["KUBECONFIG"] = str(kubeconfig)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hack.quickstart", *flags],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Quickstart:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.ended()

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return "".join(self._lines)

    def until(self, text: str) -> None:
        """Wait until it has printed a text."""
        deadline = time.monotonic() + _PATIENCE_S
        while text not in self.output:
            assert self._reader.is_alive(), f"it ended before {text!r}:\n{self.output}"
            assert time.monotonic() < deadline, f"no {text!r} in time:\n{self.output}"
            time.sleep(0.02)

    def ended(self) -> int:
        """Wait for its end; the exit status."""
        status = self.process.wait(timeout=_PATIENCE_S)
        self._reader.join(timeout=_PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)


@pytest.fixture(scope="module")
def plane(binaries: Programs) -> Iterator[ControlPlane]:
    """Somebody's cluster: it gets a CRD, so it is nobody else's."""
    with ControlPlane(binaries, PlaneOptions(scheduler=True, nodes=1)) as plane:
        yield plane


def _place(plane: ControlPlane, name: str) -> Path:
    """A new namespace, and a kubeconfig whose context is in it."""
    plane.kubectl("create", "namespace", name)
    document = json.loads(plane.kubeconfig.read_text())
    document["contexts"][0]["context"]["namespace"] = name
    path = plane.directory / f"{name}.kubeconfig"
    path.write_text(json.dumps(document))
    return path


def _descendants() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


# --- with nothing ---------------------------------------------------------------------------


@pytest.mark.apiserver
@pytest.mark.slow
def test_it_gives_a_cluster_whose_guide_works_and_leaves_nothing(binaries: Programs) -> None:
    before = _descendants()
    with Quickstart(binaries) as quickstart:
        quickstart.until(STAYING)
        shown = quickstart.output
        own = _descendants() - before
        commands = re.findall(r"^  (kubectl .*|\S*python\S* -m .*)$", shown, re.MULTILINE)
        kubeconfig = re.search(r"export KUBECONFIG=(\S+)", shown)
        assert kubeconfig
        outcomes = [_in_shell(command, binaries, kubeconfig[1]) for command in commands]
        quickstart.until("SecretNotFound")  # one of the commands took it away

        quickstart.process.send_signal(signal.SIGINT)
        status = quickstart.ended()

    assert status == 0, quickstart.output
    assert len(commands) >= 10
    (refused,) = [o for o in outcomes if o.returncode]
    assert "denied the request: spec.resources.models[0].provider: " in refused.stderr
    # The sample says in its comments what is warned of: its provider brings no embedding model.
    assert [o for o in outcomes if "Warning" in o.stderr and "embedding" not in o.stderr] == []
    assert 'Secret "vllm-credentials" not found' in "".join(o.stdout for o in outcomes)
    assert len(own) >= 7, "etcd, four programs of Kubernetes, kwok and the operator"
    assert own & {p.pid for p in psutil.process_iter()} == set()
    assert not Path(kubeconfig[1]).parent.exists()


def _in_shell(
    command: str, programs: Programs, kubeconfig: str
) -> subprocess.CompletedProcess[str]:
    path = f"{as_directory(programs)}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", command],
        cwd=Path.cwd(),
        env={**os.environ, "PATH": path, "KUBECONFIG": kubeconfig},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )


# --- in somebody's cluster ------------------------------------------------------------------


@pytest.mark.apiserver
def test_in_a_given_cluster_it_says_which_and_leaves_only_what_it_names(
    binaries: Programs, plane: ControlPlane
) -> None:
    kubeconfig = _place(plane, "given")
    nodes = plane.kubectl("get", "nodes", "-o", "name")

    with Quickstart(binaries, "--once", kubeconfig=kubeconfig) as quickstart:
        assert quickstart.ended() == 0, quickstart.output
    with Quickstart(binaries, "--once", kubeconfig=kubeconfig) as again:
        assert again.ended() == 0, again.output

    assert plane.server in quickstart.output.splitlines()[1]
    assert "namespace given" in quickstart.output
    assert f"kubectl delete -n given -f {SAMPLE.relative_to(ROOT)}" in quickstart.output
    assert again.output.count("exists already") == 2
    assert plane.kubectl("get", "nodes", "-o", "name") == nodes
    phase = plane.kubectl("get", "llsd", NAME, "-n", "given", "-o", "jsonpath={.status.phase}")
    assert phase == "Ready"


@pytest.mark.apiserver
def test_not_ready_in_time_shows_conditions_and_events(
    binaries: Programs, plane: ControlPlane
) -> None:
    kubeconfig = _place(plane, "full")
    plane.kubectl("cordon", "fake-0")
    try:
        flags = ("--once", "--timeout", "3")
        with Quickstart(binaries, *flags, kubeconfig=kubeconfig) as quickstart:
            status = quickstart.ended()
    finally:
        plane.kubectl("uncordon", "fake-0")

    assert status == 1
    error = quickstart.output.partition("error: ")[2]
    assert f"full/{NAME} is not Ready after 3 s" in error
    assert re.search(r"Available +False", error)
    assert "FailedScheduling" in error


@pytest.mark.apiserver
def test_dead_operator_ends_it_with_the_end_of_the_log(
    binaries: Programs, plane: ControlPlane
) -> None:
    with Quickstart(binaries, kubeconfig=_place(plane, "dead")) as quickstart:
        quickstart.until(STAYING)
        pid = re.search(r"process (\d+)", quickstart.output)
        assert pid

        os.kill(int(pid[1]), signal.SIGKILL)
        status = quickstart.ended()

    assert status == 1
    error = quickstart.output.partition("error: ")[2]
    assert f"exit status {-signal.SIGKILL}" in error
    assert "Started workers" in error


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "does not exist"), ("{}", "current-context"), ("a: b: c", "not valid YAML")],
)
def test_useless_kubeconfig_is_one_line(tmp_path: Path, content: str | None, why: str) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)

    with Quickstart({"kubectl": Path("/nowhere/kubectl")}, kubeconfig=path) as quickstart:
        status = quickstart.ended()

    assert status == 1
    (line,) = quickstart.output.split("\n")[1:-1]
    assert line.startswith("error: ")
    assert why in line


# --- what is shown --------------------------------------------------------------------------


def _resource(phase: str, *conditions: tuple[str, str, str], generation: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"name": NAME, "generation": generation},
        "status": {
            "phase": phase,
            "conditions": [
                {"type": t, "status": s, "reason": r, "message": "", "observedGeneration": 1}
                for t, s, r in conditions
            ],
        },
    }


def test_road_tells_the_summary_last_and_nothing_twice() -> None:
    road = Road()
    state = _resource("Initializing", ("Ready", "False", "Progressing"), ("Zone", "True", "Done"))

    assert road.look({"metadata": {"name": NAME}}) == []
    assert road.look(state) == [
        Step("Zone", "True", "Done", Mood.GOOD),
        Step("Ready", "False", "Progressing", Mood.WAITING),
        Step("Phase", "Initializing", mood=Mood.WAITING),
    ]
    assert road.look(state) == []


def test_road_tells_a_new_reason_of_the_same_answer() -> None:
    road = Road()
    road.look(_resource("Initializing", ("Ready", "False", "Progressing")))

    steps = road.look(_resource("Failed", ("Ready", "False", "SecretNotFound")))

    assert steps == [
        Step("Ready", "False", "SecretNotFound", Mood.BAD),
        Step("Phase", "Failed", mood=Mood.BAD),
    ]


def test_road_does_not_tell_what_nobody_has_looked_at() -> None:
    assert Road().look(_resource("", ("Ready", "Unknown", "NotEvaluated"))) == []


def test_ready_of_an_older_spec_is_not_ready() -> None:
    ready = ("Ready", "True", "AllReady")

    assert is_ready(_resource("Ready", ready))
    assert not is_ready(_resource("Ready", ready, generation=2))
    assert not is_ready(_resource("Ready", ("Ready", "False", "Progressing")))
    assert not is_ready({"metadata": {}})


def test_plain_output_has_no_control_characters_and_does_not_tick() -> None:
    stream = io.StringIO()
    screen = Screen(stream, clock=iter([0.0, 1.25]).__next__)

    screen.tick("waiting …")
    screen.show(Step("Ready", "True", "AllReady", Mood.GOOD))

    assert stream.getvalue() == "    1.2 s  Ready              True         AllReady\n"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_line_that_ticks_is_replaced_by_the_next_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = _Terminal()
    screen = Screen(stream, clock=lambda: 0.0)

    screen.tick("waiting …")
    screen.show(Step("Ready", "True", mood=Mood.GOOD))

    assert stream.getvalue() == (
        "\r\x1b[2K    0.0 s  waiting …\r\x1b[2K    0.0 s  Ready              "
        "\x1b[32mTrue        \x1b[0m\n"
    )


# --- the operator as a process --------------------------------------------------------------


def test_operator_that_cannot_start_says_why() -> None:
    with (
        OperatorProcess("/nowhere/kubeconfig") as operator,
        pytest.raises(ProcessFailedError, match="/nowhere/kubeconfig does not exist"),
    ):
        operator.wait_ready()

    assert operator.wait(0) == 1
    assert "does not exist" in operator.tail()  # also when it is closed


_OWNER = """
import time
from hack.cluster.process import ProcessId
from tests.support.operator_process import OperatorProcess
operator = OperatorProcess("/nowhere", command=("sh", "-c", "sleep 600"))
operator.start()
print(operator.pid, operator.log_file.parent, flush=True)
time.sleep(600)
"""


def test_killed_owner_takes_the_operator_along() -> None:
    owner = subprocess.Popen([sys.executable, "-c", _OWNER], cwd=ROOT, stdout=subprocess.PIPE)
    assert owner.stdout is not None
    with owner.stdout:
        pid, directory = owner.stdout.readline().decode().split()
    running = ProcessId.of(int(pid))
    assert running

    owner.kill()
    owner.wait(timeout=10)

    deadline = time.monotonic() + _PATIENCE_S
    while (running.alive() or Path(directory).exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not running.alive()
    assert not Path(directory).exists()


def test_record_of_the_log_is_readable() -> None:
    record = {
        "timestamp": "2026-01-31T12:34:56.789Z",
        "level": "info",
        "event": "Created object",
        "kind": "Service",
        "logger": "x",
    }

    assert in_words(record) == "12:34:56 info    Created object  kind=Service"
    assert in_words({"event": "raw", "level": "output"}).split() == ["output", "raw"]
