# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Free TCP ports on loopback that stay free while their server is restarted.

Asking the kernel for port 0 gives a port of the *ephemeral* range, from which outgoing connections
get theirs too. While such a server is down (a test kills it), a client that keeps trying to connect
may be given exactly that port and connect to itself, and the server can never come back. So ports
are picked at random from below the ephemeral range. Two of us may still pick the same one; that
shows when the server starts, and the caller picks again.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

from hack.cluster.errors import ClusterError

_LOWEST = 12000
_EPHEMERAL_FROM = 32768  # what Linux and IANA say, unless the kernel was told otherwise
_ATTEMPTS = 200
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:``port`` now."""
    with socket.socket() as probe:
        # As servers do: connections that linger in TIME_WAIT are no obstacle, a listener is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port on loopback that nobody listens on, outside the ephemeral range.

    Raises:
        ClusterError: none was found in 200 attempts.
    """
    # The system's randomness: two test processes with one seed must not go through one sequence.
    dice = random.SystemRandom()
    for _ in range(_ATTEMPTS):
        port = dice.randrange(_LOWEST, max(_ephemeral_from(), _LOWEST + 1000))
        if is_free(port):
            return port
    raise ClusterError("no free TCP port was found on 127.0.0.1")


def _ephemeral_from() -> int:
    try:
        return int(_RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL_FROM
