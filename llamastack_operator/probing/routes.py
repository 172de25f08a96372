# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How a server is reached: its Service's address in the cluster, the API server's proxy outside.

Inside, TLS is not verified. The certificate is the user's and may be for any name, of any CA;
nothing is sent that could be stolen, and what a liar in between could achieve is a wrong list of
providers in a status. A check that fails for most certificates would say nothing more.

Outside, there is no way to a Service but through the API server, with the right to ``get`` the
subresource ``services/proxy``. The API server removes our credentials before it passes a request
on. Whether it verifies the server's certificate is its own affair.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import aiohttp
from yarl import URL

from controller.llamastack.objects.kinds import SERVICE
from llamastack_operator.kube.config import connector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.llamastack.server.probe_port import Server
    from llamastack_operator.kube.config import Connection


Mode: TypeAlias = Literal["auto", "direct", "proxy", "off"]
"""How servers are reached: ``auto`` is direct in a cluster, and the proxy outside."""


@dataclass(frozen=True, slots=True)
class Way:
    """Where a request goes, beside its path.

    Attributes:
        base: to which the path is appended.
        headers: may hold credentials for the API server; never logged.
        proxy: URL of an HTTP proxy, or None.
        server_hostname: overrides the name in the certificate, or None.
    """

    base: URL
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: str | None = None
    server_hostname: str | None = None


class Route(Protocol):
    """A way to all servers."""

    @property
    def through_api(self) -> bool:
        """Whether the API server may answer in a server's place."""
        ...

    def connector(self) -> aiohttp.BaseConnector:
        """New connections; call it inside the running loop."""
        ...

    async def way(self, server: Server) -> Way:
        """To one server."""
        ...


class Direct:
    """By the cluster IP of the Service: no name is resolved, so no DNS server is bothered."""

    through_api: bool = False

    def connector(self) -> aiohttp.BaseConnector:
        """See ``Route.connector``; each question gets a new connection, and so any of the pods."""
        return aiohttp.TCPConnector(ssl=False, limit=0, force_close=True)

    async def way(self, server: Server) -> Way:
        """See ``Route.way``."""
        host = f"[{server.address}]" if ":" in server.address else server.address
        name = f"{server.service}.{server.key.namespace}.svc:{server.port}"
        return Way(URL(f"{server.scheme}://{host}:{server.port}"), {"Host": name})


class ThroughApi:
    """By the API server's proxy.

    Args:
        connection: the API server, and who we are.
    """

    through_api: bool = True

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def connector(self) -> aiohttp.BaseConnector:
        """See ``Route.connector``; a pool of its own, so nothing else ever waits for a server."""
        return connector(self._connection, limit=0)

    async def way(self, server: Server) -> Way:
        """See ``Route.way``."""
        authorization = await self._connection.authorization()
        name = f"{server.scheme}:{server.service}:{server.port}"
        path = SERVICE.path(namespace=server.key.namespace, name=name, subresource="proxy")
        return Way(
            URL(self._connection.server + path, encoded=True),
            {"Authorization": authorization} if authorization else {},
            self._connection.proxy,
            self._connection.server_hostname,
        )


def route_of(mode: Mode, connection: Connection) -> Direct | ThroughApi:
    """The way that a mode means.

    Args:
        mode: ``off`` gets one, too; nobody goes it.
        connection: with a kubeconfig we are taken to be outside the cluster.
    """
    outside = bool(connection.source.kubeconfig)
    return ThroughApi(connection) if mode == "proxy" or (mode == "auto" and outside) else Direct()
