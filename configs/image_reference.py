# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Image references, read as container runtimes read them: the one grammar. Pure.

The grammar is that of github.com/distribution/reference (``regexp.go``, ``normalize.go``): what
has no registry is on Docker Hub, what has neither tag nor digest is ``latest``, and a digest beats
a tag. A reference that we read differently from the kubelet would show one image's config to
another image's server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

DOCKER_HUB: Final = "docker.io"
_HUB_API: Final = "registry-1.docker.io"
LONGEST_NAME: Final = 255
"""Characters of registry and repository that a registry serves."""

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-f]{32,128}")


class NotAnImageReference(ValueError):
    """The text is no image reference; the message says why, and is safe to show."""


@dataclass(frozen=True, slots=True)
class ImageReference:
    """One image.

    Attributes:
        registry: host and perhaps port, as written; ``docker.io`` for Docker Hub.
        repository: path in the registry.
        tag: empty only with a digest and without a tag.
        digest: empty without one; beats the tag.
    """

    registry: str
    repository: str
    tag: str
    digest: str

    @property
    def name(self) -> str:
        """Registry and repository: what credentials are matched with."""
        return f"{self.registry}/{self.repository}"

    @property
    def host(self) -> str:
        """Where its API is: Docker Hub's has another name."""
        return _HUB_API if self.registry == DOCKER_HUB else self.registry

    @property
    def target(self) -> str:
        """What to ask the registry for."""
        return self.digest or self.tag

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def parse(text: str) -> ImageReference:
    """Reads a reference.

    Raises:
        NotAnImageReference: it is none.
    """
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise NotAnImageReference(f"image {shown(text)}: the part after @ is no digest")
    rest, tag = _split_tag(rest)
    registry, repository = _split_registry(rest)
    if tag is not None and not _TAG.fullmatch(tag):
        raise NotAnImageReference(f"image {shown(text)}: the part after the last colon is no tag")
    if not _REPOSITORY.fullmatch(repository) or not _REGISTRY.fullmatch(registry):
        raise NotAnImageReference(
            f"image {shown(text)} is no image reference; "
            "it should look like registry.example.org/team/image:tag"
        )
    return ImageReference(registry, repository, tag or ("" if digest else "latest"), digest)


def _split_tag(rest: str) -> tuple[str, str | None]:
    """A colon before the last slash belongs to a port."""
    head, colon, tail = rest.rpartition(":")
    if not colon or "/" in tail:
        return rest, None
    return head, tail


def _split_registry(rest: str) -> tuple[str, str]:
    first, slash, path = rest.partition("/")
    looks_like_host = "." in first or ":" in first or first == "localhost" or first != first.lower()
    if not slash or not looks_like_host:
        registry, path = DOCKER_HUB, rest
    else:
        registry = first
    if registry == f"index.{DOCKER_HUB}":
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return registry, path


def shown(text: str) -> str:
    """A stranger's text in a message: short, and in quotes that also escape."""
    return repr(text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…")
