# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The node's first process: PID 1 in namespaces of its own.

    unshare --net --mount --pid ... python -m hack.cluster.node.inside PLAN

It makes the mounts that keep this machine as it is, waits for its network interface, starts the
programs of the plan, and reaps what they leave. If one of the programs ends, so does the node: a
test then learns of it by a line in the log, and not by a time-out.

SIGHUP is a power failure: everything dies at once, what is in memory is gone, and the programs
start again. Images and the kubelet's directory are what the disk of a machine would be, and stay.

What stays in here: ``/run``, ``/var/lib`` and ``/var/log`` are empty file systems in memory,
because programs insist on such places, and names are those of the cluster alone. The kubelet sets a
few variables of the kernel for the whole machine and refuses to run if it cannot; files with the
values that it wants are mounted over them, so it finds them set (and, told to protect the kernel's
defaults, would say so if it did not).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

MEMORY = ("/run", "/var/lib", "/var/log")
WANTED = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What the kubelet wants of the kernel (pkg/kubelet/cm, ``setupKernelTunables``)."""

_RESOLVER = Path("/etc/resolv.conf")
_SECONDS = 30.0


def main(path: Path) -> NoReturn:
    """Run the plan; ends when a program ends."""
    plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    _mount([*MEMORY, *plan["memory"]])
    if _RESOLVER.exists():  # else it pointed into /run, and there are no names either
        _run("mount", "--bind", plan["names"], str(_RESOLVER))
    _connect(plan["address"], plan["gateway"])
    signal.signal(signal.SIGHUP, _fail)
    while True:
        try:
            _work(plan)
        except _PowerFailure:
            _lose_everything(Path(plan["kubelet"]))


class _PowerFailure(Exception):
    """The machine goes off, and on again."""


def _fail(*_: object) -> NoReturn:
    raise _PowerFailure


def _work(plan: dict[str, Any]) -> NoReturn:
    """Start the programs, and reap."""
    running = {}
    for program in plan["programs"]:
        for command in program.get("before", ()):
            _until(command)
        running[_start(program, Path(plan["log"]))] = program["name"]
    while True:
        pid, status = os.wait()
        if pid in running:
            code = os.waitstatus_to_exitcode(status)
            sys.exit(f"{running[pid]} ended with {code}: {_last_line(plan['log'], running[pid])}")


def _lose_everything(kubelet: Path) -> None:
    """End all processes but this one, and forget what a machine has in memory only.

    Args:
        kubelet: its directory, whose mounts go, and whose files stay.
    """
    os.kill(-1, signal.SIGKILL)  # all of the PID namespace but its first
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for place in reversed(mounted):
        if place.startswith(("/run/", f"{kubelet}/")):
            _run("umount", "--lazy", place)
    for entry in Path("/run").iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _mount(memory: list[str]) -> None:
    # Mounts of the kubelet have to be seen by containers, and not by this machine.
    _run("mount", "--make-rprivate", "/")
    _run("mount", "--make-rshared", "/")
    for place in memory:
        _run("mount", "-t", "tmpfs", "tmpfs", place)
    for name, value in WANTED.items():
        target = Path("/proc/sys") / name
        if target.exists() and target.read_text().strip() != value:
            file = Path("/run") / f"wanted-{name.replace('/', '-')}"
            file.write_text(f"{value}\n")
            _run("mount", "--bind", str(file), str(target))


def _connect(address: str, gateway: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while "eth0" not in (name for _, name in socket.if_nameindex()):
        if time.monotonic() > deadline:
            sys.exit("no network interface came")
        time.sleep(0.01)
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "addr", "add", address, "dev", "eth0")
    _run("ip", "link", "set", "eth0", "up")
    _run("ip", "route", "add", "default", "via", gateway)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")  # of this namespace


def _start(program: dict[str, Any], logs: Path) -> int:
    with (logs / f"{program['name']}.log").open("ab") as log:
        child = subprocess.Popen(
            program["command"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **program.get("environment", {})},
        )
    child.returncode = 0  # it is ours to reap, by its number
    return child.pid


def _until(command: list[str]) -> None:
    """Run a command until it succeeds."""
    deadline = time.monotonic() + _SECONDS
    while (result := subprocess.run(command, capture_output=True, check=False)).returncode:
        if time.monotonic() > deadline:
            sys.exit(f"{command[0]}: {result.stderr.decode(errors='replace').strip()}")
        time.sleep(0.05)


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(command)}: {result.stderr.strip()}")


def _last_line(logs: str, name: str) -> str:
    text = (Path(logs) / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    return next(reversed(text.strip().splitlines()), "(it said nothing)")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
