# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A real PostgreSQL beside a node, under the name that the samples have for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from hack.cluster.errors import ClusterError
from hack.cluster.node import objects
from hack.cluster.node.node import Node
from hack.servers.installing import install
from hack.servers.services import Postgres

_PLACE: Final = "example"  # the namespace in the samples' connection strings
_PORT: Final = 5432


@dataclass(frozen=True)
class Database:
    """One database.

    Attributes:
        server: that it is in.
        name: of the database, and of the user who owns it.
        password: with every character that needs care.
    """

    server: Postgres
    name: str = "llamastack"
    password: str = "p@ss/w:rd?%#e2e"

    @property
    def url(self) -> str:
        """The connection string for pods."""
        user = f"{self.name}:{quote(self.password, safe='')}"
        return f"postgresql://{user}@postgres.{_PLACE}.svc.cluster.local:{_PORT}/{self.name}"


@contextlib.contextmanager
def offered(node: Node) -> Iterator[Database]:
    """A database that pods of a node reach; it lives outside of the cluster."""
    client = node.plane.client
    with Postgres(install(())) as server:
        database = Database(server)
        server.database(database.name, database.name, database.password)
        node.offer(server.port)
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _PLACE}}
        client.create("/api/v1/namespaces", manifest)
        objects.publish(client, _PLACE, "postgres", _PORT, (node.host, server.port))
        yield database
        with contextlib.suppress(ClusterError):
            client.delete(f"/api/v1/namespaces/{_PLACE}")
