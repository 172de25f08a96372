# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How the node is joined to this machine: one pair of interfaces and one route.

Of the pair, one end stays here and has ``host``, the other becomes ``eth0`` of the node and has
``address``. Pods have addresses of ``pods``, and the route to them leads through the node; that
is how the API server reaches kubelet, Pods and, through its proxy, Services. Nothing is translated
and nothing forwarded by this machine, so a Pod reaches the node, other Pods and servers that listen
at ``host``, and nothing beyond.

The API server listens on loopback only; a relay at ``host`` makes it reachable for kubelet and
Pods.

Several nodes may run at a time, for several test runs: each takes a *slot*, a number that decides
its addresses, by making the interface with that number. The kernel lets only one succeed, and
removes the pair with the node's namespace.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.errors import ClusterError

SLOTS = 64
DNS_SERVICE = "10.96.0.10"
"""Where Pods look for names; in the Service addresses of the control plane."""

_PREFIX = "llsd-node"  # an interface's name has at most 15 characters
_SECONDS = 10.0
_EXISTS = "File exists"


@dataclass(frozen=True, slots=True)
class Network:
    """The addresses of one node."""

    slot: int

    @property
    def link(self) -> str:
        """The interface that stays on this machine."""
        return f"{_PREFIX}{self.slot}"

    @property
    def peer(self) -> str:
        """The other end, until it moves."""
        return f"{self.link}p"

    @property
    def host(self) -> str:
        """This machine, as the node and its Pods see it."""
        return f"10.200.{self.slot}.1"

    @property
    def address(self) -> str:
        """The node."""
        return f"10.200.{self.slot}.2"

    @property
    def pods(self) -> str:
        """The addresses of its Pods."""
        return f"10.244.{self.slot}.0/24"


def claim() -> Network:
    """Take a free slot by making its pair of interfaces.

    Raises:
        ClusterError: there is none, or interfaces cannot be made.
    """
    for slot in range(SLOTS):
        network = Network(slot)
        said = _ip("link", "add", network.link, "type", "veth", "peer", "name", network.peer)
        if not said:
            return network
        if _EXISTS not in said:
            raise ClusterError(f"the node's interfaces cannot be made: {said}")
    raise ClusterError(f"{SLOTS} nodes run already, or left interfaces called {_PREFIX}N behind")


def join(network: Network, pid: int) -> None:
    """Give the peer to the network namespace of a process, and route the Pods' addresses there.

    Raises:
        ClusterError: that is not possible, or the process has no namespace of its own in time.
    """
    _wait_for_namespace(pid)
    for words in (
        ("link", "set", network.peer, "netns", str(pid), "name", "eth0"),
        ("addr", "add", f"{network.host}/30", "dev", network.link),
        ("link", "set", network.link, "up"),
        ("route", "add", network.pods, "via", network.address),
    ):
        if said := _ip(*words):
            raise ClusterError(f"ip {' '.join(words)}: {said}")


def release(link: str) -> None:
    """Remove the pair and its route; fine if it is gone."""
    if link.startswith(_PREFIX):
        _ip("link", "del", link)


def _wait_for_namespace(pid: int) -> None:
    ours = Path("/proc/self/ns/net").readlink()
    deadline = time.monotonic() + _SECONDS
    while True:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/ns/net").readlink() != ours:
                return
        if time.monotonic() > deadline:
            raise ClusterError("the node's network namespace was not made in time")
        time.sleep(0.01)


def _ip(*words: str) -> str:
    """Run ip; what it complains about, empty if it succeeded."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    result = subprocess.run(
        ["ip", *words],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
        env={**os.environ, "PATH": path, "LC_ALL": "C"},
    )
    return " ".join(result.stderr.split()) or "failed" if result.returncode else ""
