# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a case is, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from hack.servers.releases import Release

if TYPE_CHECKING:
    from configs.engine import Generated
    from hack.servers.endpoint import OpenAIEndpoint
    from hack.servers.server import LlamaServer
    from hack.servers.services import Postgres, Redis

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Services:
    """What the servers of all cases share."""

    redis: Redis
    locked_redis: Redis
    postgres: Postgres


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a spec may point at.

    Attributes:
        endpoint: of the case alone.
        services: databases.
        database: name of a database of the case alone, its user and password.
    """

    endpoint: OpenAIEndpoint
    services: Services
    database: str


@dataclass(frozen=True, slots=True)
class Running:
    """A booted server with everything that a probe may look at.

    Attributes:
        case: that is proven.
        server: that runs.
        around: endpoints and databases.
        generated: what the engine made.
    """

    case: Case
    server: LlamaServer
    around: Capabilities
    generated: Generated


def value_of(secret: str, key: str) -> str:
    """What a key of a Secret holds, in every case."""
    return f"value-of-{secret}-{key}"


Probe: TypeAlias = Callable[[Running], Awaitable[str]]
"""Asks something of the server and raises AssertionError if the answer is wrong; otherwise says in
a few words what is proven."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the matrix.

    Attributes:
        group: the table that it belongs to.
        name: the row.
        release: the server.
        spec: sections of the spec, for the capabilities of the case.
        probes: what to look at once it runs, after providers and models.
        distribution: by name; by default the hand-made base of the release's era.
        refused: what the server's last words must contain, if it cannot boot here for want of
            something that is not ours to give; the config is checked by its classes all the same.
        why: what is wanting, for the report.
        secrets: (Secret, key) → value, where the usual one will not do.
        tls: whether the server answers by HTTPS.
    """

    group: str
    name: str
    release: Release
    spec: Callable[[Capabilities], Json]
    probes: tuple[Probe, ...] = ()
    distribution: str = ""
    refused: str = ""
    why: str = ""
    secrets: Callable[[Capabilities], Mapping[tuple[str, str], str]] | None = None
    tls: bool = False

    @property
    def id(self) -> str:
        """For test reports."""
        return f"{self.release.slug}/{self.group}/{self.name}".replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case.

    Attributes:
        case: the case.
        proven: in a few words each.
        booted: whether the server came up.
        seconds: until it answered.
        failure: what is wrong; empty if nothing is.
    """

    case: Case
    proven: tuple[str, ...] = ()
    booted: bool = False
    seconds: float = 0.0
    failure: str = field(default="")
