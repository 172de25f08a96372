# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which releases of the server the config engine is proven with, and what each is made of.

An *era* is a generation of the config schema (``configs``). The wheels do not cap their
dependencies, so an unpinned install breaks as its dependencies move on: with mcp 2 llama-stack
0.7.3 does not even print its help, and 0.4.7 breaks with the llama-stack-api of another release.
Therefore ``Release.requirements`` is resolved once, as of a day near the release
(``Release.as_of``), into a lock file that lists every package; ``python -m hack.servers lock``
makes it again.

The extras are the small packages that providers import at boot; one that is missing takes the whole
server down with it. Nothing that needs torch is among them.

``OLDER`` are servers that no config is written for, with what published providers need to run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LOCKS = Path(__file__).parent / "locks"
"""One lock file a release, and ``build.txt``, which pins what builds the few source packages."""

SOURCE_ONLY = ("fire", "codeshield")
"""Packages without wheels; everything else is never built."""

_EVERYWHERE = (
    "mcp<2",
    "chardet",
    "pypdf",
    "faiss-cpu",
    "sqlite-vec",
    "redis",
    "asyncpg",
    "psycopg2-binary",
    "aiosqlite",
    "pymongo",
    "requests",
    "packaging",
    "boto3",
    "ollama",
    "anthropic",
    "together",
    "databricks-sdk",
    "google-genai",
    "chromadb-client",
    "qdrant-client",
    "weaviate-client",
    "pymilvus",
    "elasticsearch<9",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
)


@dataclass(frozen=True, slots=True)
class Release:
    """One release of the server.

    Attributes:
        era: the generation of its config schema.
        package: the distribution's name, ``llama-stack`` or ``ogx``.
        version: its version.
        as_of: the day (RFC 3339) at whose end its dependencies were resolved.
        extras: requirements beside ``package`` itself.
    """

    era: str
    package: str
    version: str
    as_of: str = ""
    extras: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Package and version, for people."""
        return f"{self.package} {self.version}"

    @property
    def slug(self) -> str:
        """The same in a file name."""
        return f"{self.package}-{self.version}"

    @property
    def module(self) -> str:
        """The package's import name."""
        return self.package.replace("-", "_")

    @property
    def command(self) -> tuple[str, ...]:
        """The program that runs a config, and its words before the file."""
        return ("ogx", "run") if self.package == "ogx" else ("llama", "stack", "run")

    @property
    def lock(self) -> Path:
        """Its lock file."""
        return LOCKS / f"{self.slug}.txt"

    @property
    def requirements(self) -> tuple[str, ...]:
        """What the lock file is made from."""
        own = [f"{self.package}=={self.version}"]
        if self.package == "llama-stack" and self not in OLDER:
            own.append(f"llama-stack-api=={self.version}")
        return (*own, *self.extras)


_UNTIL_06 = (*_EVERYWHERE, "litellm", "huggingface-hub", "autoevals")
_FROM_07 = (*_EVERYWHERE, "litellm", "codeshield")
# ogx takes mcp 2, and three of its providers want what llama-stack brings along by itself.
_OGX = (*(extra for extra in _EVERYWHERE if extra != "mcp<2"), "aiohttp", "pgvector", "neo4j")

RELEASES: tuple[Release, ...] = (
    Release("0.4", "llama-stack", "0.4.7", "2026-07-31", _UNTIL_06),
    Release("0.5-0.6", "llama-stack", "0.5.4", "2026-06-30", _UNTIL_06),
    Release("0.5-0.6", "llama-stack", "0.6.1", "2026-04-01", _UNTIL_06),
    Release("0.7", "llama-stack", "0.7.3", "2026-07-31", _FROM_07),
    Release("ogx", "ogx", "1.5.0", "2026-10-12", _OGX),
)
"""Oldest first."""

# The first three are what the server and its image bring, the last is what a later server has and
# the wheels of hack.servers.wheels need.
_02 = ("chromadb-client", "sqlalchemy", "greenlet", "tornado")

OLDER: tuple[Release, ...] = (Release("0.2", "llama-stack", "0.2.22", "2025-10-15", _02),)
"""From before all eras: no config is made for them, but providers were written for them."""

INSTALLED = (*OLDER, *RELEASES)
"""Every release that tests run."""


def newest(era: str) -> Release:
    """The newest release of an era.

    Raises:
        KeyError: there is none.
    """
    found = [release for release in INSTALLED if release.era == era]
    if not found:
        raise KeyError(era)
    return found[-1]


def find(text: str) -> Release:
    """The release that somebody means by ``0.7.3``, ``ogx``, ``llama-stack 0.7.3`` or an era.

    Raises:
        KeyError: none, or more than one.
    """
    for release in INSTALLED:
        if text in {release.name, release.slug, release.version}:
            return release
    return newest(text)
