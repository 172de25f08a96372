# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A control plane with a real node by hand: ``python -m hack.cluster.node``.

Results go to standard output, everything else to standard error; the exit code is 0, or 1 for a
failure that one line explains, 2 for a wrong command line, or 3 where there can be no node at all.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from hack.cluster import binaries, flags, state
from hack.cluster.cache import Platform
from hack.cluster.errors import ClusterError
from hack.cluster.node import programs, remains, requirements
from hack.cluster.node.node import Node, NodeOptions, load
from hack.cluster.plane import ControlPlane, PlaneOptions
from hack.cluster.progress import Progress
from hack.command_line import Commands

_DESCRIPTION = """\
A control plane and one real node on this machine: containerd, runc, kubelet,
kube-proxy, DNS and volumes, so that Pods run real containers. Needs Linux and root;
`check` says what else is missing. Nothing is installed, and `down` leaves nothing
behind but the cache of programs.

  export KUBECONFIG=$(python -m hack.cluster.node up)
  python -m hack.cluster.node load image.tar   # docker save, or
  kubectl run it --image=localhost/probe:test           # python -m hack.images
  python -m hack.cluster.node down

Images are never pulled: load them, and use a tag that is not `latest`.
"""
_UNAVAILABLE = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    return _commands().run(arguments, (ClusterError,), status_of=_status_of)


def _status_of(error: Exception) -> int:
    return _UNAVAILABLE if isinstance(error, requirements.NodeUnavailableError) else 1


def default_directory() -> Path:
    """Where ``up`` keeps control plane and node; short, for the sockets in it."""
    return Path(tempfile.gettempdir()) / f"llamastack-node-{os.getuid()}"


def _commands() -> Commands:
    commands = Commands("python -m hack.cluster.node", _DESCRIPTION)
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument(
        "--dir",
        type=Path,
        default=default_directory(),
        help="where certificates, images and logs are (default: %(default)s)",
    )

    up = commands.add("up", _up, "start both in the background, print the kubeconfig's path", place)
    up.add_argument(
        "archives", type=Path, nargs="*", metavar="ARCHIVE", help="images to load at once"
    )
    commands.add("down", _down, "stop both and remove their directory", place)
    archives = commands.add("load", _load, "put images into the node, from archives", place)
    archives.add_argument("archives", type=Path, nargs="+", metavar="ARCHIVE")
    commands.add("status", _status, "list the processes and their memory", place)
    commands.add(
        "check", _check, "say what this machine lacks for a node: 0 nothing, 3 it can have none"
    )
    commands.add("programs", _programs, "obtain the programs and print the directory they are in")
    return commands


def _up(options: argparse.Namespace) -> int:
    if said := requirements.problem():
        raise requirements.NodeUnavailableError(said)
    progress = Progress(subject=programs.SUBJECT)
    directory: Path = options.dir.absolute()
    _sweep(directory)
    control, own = binaries.obtain(), programs.obtain(progress=progress)
    started = time.monotonic()
    place = directory / "plane"
    plane = ControlPlane(
        control,
        PlaneOptions(
            scheduler=True, directory=place, detached=True, apiserver_flags=flags.POD_ROUTING
        ),
    )
    plane.up()
    try:
        node = Node(plane, own, NodeOptions(directory=directory / "node", detached=True))
        node.up()
        try:
            node.load(*options.archives)
        except BaseException:
            node.down()
            raise
    except BaseException:
        plane.down()
        raise
    seconds = time.monotonic() - started
    progress.say(f"ready at {plane.server} after {seconds:.1f} s, logs in {node.directory}/log")
    print(plane.kubeconfig)
    return 0


def _down(options: argparse.Namespace) -> int:
    if not _sweep(options.dir.absolute()):
        Progress(subject=programs.SUBJECT).say(f"nothing runs in {options.dir}")
    return 0


def _sweep(directory: Path) -> bool:
    """End the node, then the control plane; whether there was any of them."""
    ended = [remains.sweep(directory / "node"), state.sweep(directory / "plane")]
    with contextlib.suppress(OSError):
        directory.rmdir()
    return any(ended)


def _load(options: argparse.Namespace) -> int:
    record = remains.Remains.read(options.dir.absolute() / "node")
    if record is None:
        raise ClusterError(f"no node runs in {options.dir}")
    ctr = programs.obtain()["ctr"]
    for archive in options.archives:
        load(ctr, Path(record.socket), archive.absolute())
    return 0


def _status(options: argparse.Namespace) -> int:
    running = True
    for part in ("plane", "node"):
        record = state.Record.read(options.dir / part)
        for name, process in (record.processes if record else {}).items():
            running = running and process.alive()
            shown = f"{process.memory() >> 20:5d} MiB" if process.alive() else "  not running"
            print(f"{name:26}{process.pid:8d}{shown}")
        running = running and record is not None
    if not running:
        Progress(subject=programs.SUBJECT).say(f"not everything runs in {options.dir}")
    return 0 if running else 1


def _check(options: argparse.Namespace) -> int:
    del options
    if said := requirements.problem():  # before anything is built
        raise requirements.NodeUnavailableError(said)
    requirements.check(programs.obtain())
    return 0


def _programs(options: argparse.Namespace) -> int:
    del options
    programs.obtain()
    print(programs.cache_of_user(os.environ, Platform.here()).directory)
    return 0


if __name__ == "__main__":
    os.umask(0o022)  # what is mounted into containers is read by other users
    sys.exit(main())
