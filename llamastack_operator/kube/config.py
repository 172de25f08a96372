# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where the API server is and how to authenticate, from kubernetes_asyncio.

The library is used for exactly this: kubeconfig files (merging, exec plug-ins, OIDC, token
files) and the in-cluster service account with its token rotation; see
:mod:`llamastack_operator.kube.library`. Nothing else uses it, because the ground below it is
moving.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from llamastack_operator.kube.library import loaders

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class KubeConfigError(Exception):
    """The cluster to talk to cannot be determined; the message says why and what to do."""


@dataclass(frozen=True)
class Source:
    """Which configuration to use.

    Attributes:
        kubeconfig: path, or several separated by ``:``; empty for the in-cluster configuration.
        context: name of a context; empty for the current one.
    """

    kubeconfig: str = ""
    context: str = ""

    @classmethod
    def find(cls, kubeconfig: str, context: str, environ: Mapping[str, str]) -> Source:
        """The flag, else ``KUBECONFIG``, else in-cluster, else ``~/.kube/config``.

        In-cluster comes before the home directory: a pod has no business with a file that
        happens to be in its image.
        """
        path = kubeconfig or environ.get("KUBECONFIG", "")
        if not path and "KUBERNETES_SERVICE_HOST" not in environ:
            path = str(Path(environ.get("HOME", "~")).expanduser() / ".kube" / "config")
        return cls(path, context)

    def __str__(self) -> str:
        if not self.kubeconfig:
            return "the in-cluster configuration"
        context = f', context "{self.context}"' if self.context else ""
        return f"kubeconfig {self.kubeconfig}{context}"


@dataclass
class Connection:
    """An API server and a way to authenticate to it.

    Attributes:
        server: base URL without a trailing slash.
        tls: for https; ``None`` for http.
        server_hostname: overrides the name in the server's certificate (``tls-server-name``).
        proxy: URL of an HTTP proxy, or ``None``.
        source: where all of it came from.
    """

    server: str
    tls: ssl.SSLContext | None
    server_hostname: str | None
    proxy: str | None
    source: Source
    _configuration: Any = field(repr=False)

    async def authorization(self) -> str | None:
        """The current ``Authorization`` header; in-cluster tokens are re-read every minute."""
        header = await self._configuration.get_api_key_with_prefix("BearerToken")
        return str(header) if header else None

    async def refresh(self) -> None:
        """Obtain credentials again: token file, exec plug-in or OIDC (A13).

        Raises:
            KubeConfigError: it failed.
        """
        self._configuration = await _load(self.source)


async def connect(source: Source) -> Connection:
    """Read the configuration. Does not talk to the API server yet.

    Raises:
        KubeConfigError: no usable configuration.
    """
    configuration = await _load(source)
    server = str(configuration.host).rstrip("/")
    return Connection(
        server=server,
        tls=_ssl_context(configuration, source) if server.startswith("https") else None,
        server_hostname=configuration.tls_server_name,
        proxy=configuration.proxy,
        source=source,
        _configuration=configuration,
    )


async def _load(source: Source) -> Any:
    load = loaders()
    configuration = load.configuration()
    try:
        if not source.kubeconfig:
            load.in_cluster(client_configuration=configuration)
            return configuration
        _check_readable(source)
        await load.kubeconfig(
            config_file=source.kubeconfig,
            context=source.context or None,
            client_configuration=configuration,
            persist_config=False,
        )
    except KubeConfigError:
        raise
    except Exception as error:
        raise KubeConfigError(_explain(source, error)) from error
    if not str(configuration.host).startswith(("http://", "https://")):
        raise KubeConfigError(f"{source}: the cluster's server is not an http(s) URL")
    return configuration


def _check_readable(source: Source) -> None:
    paths = [Path(part).expanduser() for part in source.kubeconfig.split(os.pathsep) if part]
    if not any(path.is_file() for path in paths):
        raise KubeConfigError(
            f"no cluster configuration: {source.kubeconfig} does not exist; "
            "give --kubeconfig FILE, set KUBECONFIG, or run in a pod with a service account"
        )
    for path in paths:
        if path.is_file() and not os.access(path, os.R_OK):
            raise KubeConfigError(f"{path} cannot be read: permission denied")


def _explain(source: Source, error: Exception) -> str:
    detail = str(error).splitlines()[0] if str(error) else type(error).__name__
    if type(error).__module__.startswith("yaml"):
        detail = "not valid YAML: " + detail
    elif isinstance(error, (TypeError, AttributeError, AssertionError)):
        detail = "not a kubeconfig, or its context lacks a cluster or a user"
    return f"{source} cannot be used: {detail}"


def _ssl_context(configuration: Any, source: Source) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    except (ssl.SSLError, OSError) as error:
        raise KubeConfigError(
            f"{source} cannot be used: CA bundle or client certificate: {error}"
        ) from error
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def connector(connection: Connection, *, limit: int) -> aiohttp.TCPConnector:
    """A connection pool; must be called inside the running loop.

    Args:
        connection: whose TLS settings to use.
        limit: connections at a time; 0 for no limit.
    """
    return aiohttp.TCPConnector(
        limit=limit,
        ssl=connection.tls if connection.tls is not None else True,
        # Addresses of an API server behind a load balancer move; idle connections do not pin them.
        ttl_dns_cache=30,
        keepalive_timeout=75,
    )


def in_cluster_namespace(path: Path = NAMESPACE_FILE) -> str:
    """The namespace of the pod we run in, or an empty string outside a cluster."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
