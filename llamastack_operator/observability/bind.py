# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where a server listens: addresses as the flags spell them, and sockets that are really bound.

The spelling is Go's, which people know from every other operator: ``:8080``, ``127.0.0.1:8080``,
``[::1]:8080``; port 0 is any free port; a bare ``0`` is off (controller-runtime).

The socket is bound here and not by aiohttp: asyncio opens one socket a family for "all
interfaces", and with port 0 each of them gets a port of its own.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

MAX_PORT = 65535
BACKLOG = 128


@dataclass(frozen=True, slots=True)
class BindAddress:
    """A place to listen.

    Attributes:
        host: name or address; empty for all interfaces.
        port: 0 for any free one.
        enabled: false when the server is switched off.
    """

    host: str = ""
    port: int = 0
    enabled: bool = True

    @classmethod
    def parse(cls, text: str) -> BindAddress:
        """Read an address.

        Raises:
            ValueError: neither ``host:port``, ``[v6]:port``, ``:port`` nor ``0``.
        """
        if text == "0":
            return cls(enabled=False)
        host, colon, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{text!r} has several colons; write an IPv6 address in brackets")
        if not colon or not (port.isascii() and port.isdigit()) or int(port) > MAX_PORT:
            raise ValueError(f"{text!r} is not [HOST]:PORT with a port from 0 to {MAX_PORT}")
        return cls(host, int(port))

    def __str__(self) -> str:
        if not self.enabled:
            return "0"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class BindError(Exception):
    """Nothing can listen there.

    Attributes:
        flag: which setting names the address.
        address: the address.
    """

    def __init__(self, flag: str, address: BindAddress, reason: str) -> None:
        super().__init__(f"{flag} {address}: {reason}")
        self.flag = flag
        self.address = address


class AddressInUse(BindError):
    """Another process listens there already."""

    def __init__(self, flag: str, address: BindAddress) -> None:
        super().__init__(
            flag, address, f"port {address.port} is in use; choose another, or 0 to switch it off"
        )


def listen(flag: str, address: BindAddress) -> socket.socket:
    """A listening socket. The caller closes it.

    Args:
        flag: for the error message, e.g. ``--metrics-bind-address``.
        address: an enabled address.

    Raises:
        AddressInUse: somebody listens there.
        BindError: anything else, such as a missing right or an unknown host.
    """
    try:
        return _bound(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(flag, address) from error
        reason = (error.strerror or str(error)).lower()
        raise BindError(flag, address, f"cannot listen there: {reason}") from error
    except UnicodeError as error:  # what the IDNA codec makes of ``x..y``
        raise BindError(flag, address, "cannot listen there: not a host name") from error


def _bound(address: BindAddress) -> socket.socket:
    if not address.host:
        return _bound_everywhere(address.port)
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, _, _, _, target = found[0]
    return _nonblocking(socket.create_server(target, family=family, backlog=BACKLOG))


def _bound_everywhere(port: int) -> socket.socket:
    """One socket for both families, or for IPv4 alone where the machine has no IPv6."""
    if socket.has_dualstack_ipv6():
        try:
            return _nonblocking(
                socket.create_server(
                    ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG
                )
            )
        except OSError as error:
            if error.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
                raise
    return _nonblocking(socket.create_server(("", port), backlog=BACKLOG))


def _nonblocking(listener: socket.socket) -> socket.socket:
    listener.setblocking(False)
    return listener
