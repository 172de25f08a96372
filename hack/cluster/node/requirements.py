# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a machine lacks for a real node, in one line; found by trying, not by versions.

What can be tried without the node's programs is tried before any of them is obtained: nobody waits
ten minutes to be told no. Everything happens in namespaces that are gone at once.

A container without privileges, a kernel without a module and a machine without a tool all end
differently, and only doing the thing tells.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from hack.cluster.errors import ClusterError
from hack.cluster.node import cgroups
from hack.cluster.node.programs import library_environment

TOOLS = {"unshare": "util-linux", "mount": "mount", "ip": "iproute2"}
"""Programs that have to be there, and the packages that have them."""

HIDDEN = tuple(Path(name) for name in ("/run", "/var/run", "/var/lib", "/var/log"))
"""Directories that are others for the programs of the node."""

_TRY = """\
set -e
mount -t tmpfs tmpfs /run
mkdir /run/upper /run/work /run/lower /run/merged
mount -t overlay overlay -o lowerdir=/run/lower,upperdir=/run/upper,workdir=/run/work /run/merged
ip link add probe-a type veth peer name probe-b
"""
_TRY_NFT = '"$0" add table ip probe'
_SECONDS = 20


class NodeUnavailableError(ClusterError):
    """There can be no real node on this machine; the message says what is missing."""


def problem() -> str:
    """What is missing before any program is obtained; empty for nothing."""
    if sys.platform != "linux":
        return "a real node needs Linux"
    if os.geteuid() != 0:
        return "a real node needs root (namespaces, mounts, cgroups)"
    missing = [f"{name} (package {package})" for name, package in TOOLS.items() if _lacks(name)]
    if missing:
        return f"a real node needs {', '.join(missing)}"
    if not cgroups.trees():
        return f"a real node needs cgroups that can be written at {cgroups.ROOT}"
    if said := _refused(_TRY):
        return f"a real node needs namespaces, overlay and veth of the kernel: {said}"
    return ""


def check(programs: Mapping[str, Path], *places: Path) -> None:
    """Look at everything that a node needs, the programs and their places included.

    Args:
        programs: the node's programs.
        places: what the programs in there have to see.

    Raises:
        NodeUnavailableError: something fails, or a place would be hidden.
    """
    if said := problem():
        raise NodeUnavailableError(said)
    for place in [*places, *programs.values(), Path(sys.prefix), Path(__file__)]:
        if hidden := next(_hidden(place), None):
            msg = f"{place} is below {hidden}, which the node has for itself: move it"
            raise NodeUnavailableError(msg)
    if said := _refused(_TRY_NFT, str(programs["nft"]), library_environment(programs)):
        raise NodeUnavailableError(f"a real node needs nftables of the kernel: {said}")


def _refused(script: str, word: str = "sh", environment: Mapping[str, str] = {}) -> str:
    """What the kernel says to a script in namespaces of its own; empty if it does all of it."""
    namespaces = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    result = subprocess.run(
        ["unshare", *namespaces, "sh", "-c", script, word],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
        env={**os.environ, **environment},
    )
    return " ".join(result.stderr.split()) or "refused" if result.returncode else ""


def _lacks(name: str) -> bool:
    places = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    return shutil.which(name, path=places) is None


def _hidden(place: Path) -> Iterator[Path]:
    for directory in HIDDEN:
        if place.absolute().is_relative_to(directory) or place.resolve().is_relative_to(directory):
            yield directory
