# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The control plane by hand: ``python -m hack.cluster``.

Results go to standard output (a path, a table), everything else to standard error, so that
``KUBECONFIG=$(python -m hack.cluster up)`` does what it looks like. The exit code is 0, or
1 for a failure that one line explains, or 2 for a wrong command line (130 if
interrupted, as usual).
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hack.cluster import state
from hack.cluster.binaries import as_directory, obtain
from hack.cluster.errors import ClusterError
from hack.cluster.plane import ControlPlane, PlaneOptions
from hack.cluster.progress import Progress
from hack.command_line import Commands

_DESCRIPTION = """\
A real Kubernetes control plane on this machine: etcd, API server, controllers,
scheduler, and nodes that are simulated by kwok, so that Pods become Ready without
containers. It needs no root, no network and no container runtime once the programs
are there, and stops only what it started.

  export KUBECONFIG=$(python -m hack.cluster up)
  kubectl get nodes                          # try it
  python -m hack.cluster down       # stop it, remove everything

The programs come from KUBEBUILDER_ASSETS or PATH if their version fits, else from
~/.cache/llamastack-operator, which is filled by download or, with Go alone, from
source (6 to 9 minutes, once).
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    return _commands().run(arguments, (ClusterError,))


def _commands() -> Commands:
    commands = Commands("python -m hack.cluster", _DESCRIPTION)
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument(
        "--dir",
        type=Path,
        default=state.default_directory(),
        help="where certificates, data and logs are (default: %(default)s)",
    )
    shape = argparse.ArgumentParser(add_help=False)
    shape.add_argument(
        "--nodes", type=_count, default=2, metavar="N", help="simulated nodes (default: 2)"
    )
    shape.add_argument(
        "--port", type=_port, default=0, help="port of the API server (default: a free one)"
    )

    commands.add(
        "up", _up, "start it in the background and print its kubeconfig's path", place, shape
    )
    commands.add("down", _down, "stop it and remove its directory", place)
    commands.add("status", _status, "list its processes and their memory", place)
    commands.add(
        "run", _run, "start it, print the kubeconfig's path, stop it on Ctrl-C", place, shape
    )
    commands.add("binaries", _binaries, "obtain the programs and print the directory they are in")
    return commands


def _count(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 1000:
        raise argparse.ArgumentTypeError("0 to 1000 nodes")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 1024 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port from 1024 to 65535")
    return number


def _start(options: argparse.Namespace, *, detached: bool) -> ControlPlane:
    progress = Progress()
    plane_options = PlaneOptions(
        scheduler=True,
        nodes=options.nodes,
        port=options.port,
        directory=options.dir.absolute(),
        detached=detached,
    )
    programs = obtain(progress=progress)
    plane = ControlPlane(programs, plane_options)
    started = time.monotonic()
    plane.up()
    seconds = time.monotonic() - started
    progress.say(f"ready at {plane.server} after {seconds:.1f} s, logs in {plane.directory}/log")
    return plane


def _up(options: argparse.Namespace) -> int:
    record = state.Record.read(options.dir)
    if record is not None and all(process.alive() for process in record.processes.values()):
        Progress().say("runs already")
        print(record.kubeconfig)
        return 0
    state.sweep(options.dir)  # what is left of one that did not end by `down`
    print(_start(options, detached=True).kubeconfig)
    return 0


def _down(options: argparse.Namespace) -> int:
    if not state.sweep(options.dir):
        Progress().say(f"nothing runs in {options.dir}")
    return 0


def _status(options: argparse.Namespace) -> int:
    record = state.Record.read(options.dir)
    if record is None:
        Progress().say(f"nothing runs in {options.dir}")
        return 1
    for name, process in record.processes.items():
        shown = f"{process.memory() >> 20:5d} MiB" if process.alive() else "  not running"
        print(f"{name:26}{process.pid:8d}{shown}")
    print(f"kubeconfig: {record.kubeconfig}")
    return 0 if all(process.alive() for process in record.processes.values()) else 1


def _run(options: argparse.Namespace) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stop like Ctrl-C
    plane = _start(options, detached=False)
    try:
        print(plane.kubeconfig, flush=True)
        while True:
            time.sleep(1)
            ended = [name for name, program in plane.programs.items() if not program.running()]
            if ended:
                raise plane.programs[ended[0]].failure(f"{ended[0]} ended")
    except KeyboardInterrupt:
        return 0
    finally:
        plane.down()


def _binaries(options: argparse.Namespace) -> int:
    del options
    print(as_directory(obtain()))
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
