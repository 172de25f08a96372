# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""From an index to a manifest, from a manifest to the blobs. No I/O.

OCI image specification 1.1 and Docker's image manifest version 2, schema 2, which say the same in
other media types. What is read here was written by strangers: sizes and digests are checked before
anything is fetched, and a type that is not known is refused by name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from llamastack_operator.oci.errors import BadAnswer
from llamastack_operator.oci.reference import is_digest

_OCI: Final = "application/vnd.oci.image."
_DOCKER: Final = "application/vnd.docker.distribution.manifest."
OCI_INDEX: Final = f"{_OCI}index.v1+json"
OCI_MANIFEST: Final = f"{_OCI}manifest.v1+json"
DOCKER_LIST: Final = f"{_DOCKER}list.v2+json"
DOCKER_MANIFEST: Final = f"{_DOCKER}v2+json"
_INDEXES: Final = frozenset({OCI_INDEX, DOCKER_LIST})
_MANIFESTS: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
ACCEPT: Final = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST))
"""A registry that is not told of indexes picks a platform for us, and not ours."""

_CONFIGS: Final = frozenset(
    {f"{_OCI}config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
_MOST_ENTRIES: Final = 1000


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Something that a digest names.

    Attributes:
        digest: sha256 or sha512.
        size: in bytes.
        media_type: empty if it is not said.
    """

    digest: str
    size: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Index:
    """Manifests of one image for several platforms.

    Attributes:
        manifests: with operating system and architecture.
    """

    manifests: tuple[tuple[Descriptor, str, str], ...]

    def choose(self, architecture: str) -> Descriptor:
        """The manifest to read labels from.

        The pods may run on nodes of another architecture than ours; a config does not depend on
        it, so if ours is missing any Linux will do, the first by name for the sake of order.

        Raises:
            BadAnswer: there is none for Linux.
        """
        linux = [(arch, manifest) for manifest, os, arch in self.manifests if os == "linux"]
        if not linux:
            raise BadAnswer("the image index has no manifest for Linux")
        return min(linux, key=lambda found: (found[0] != architecture, found[0]))[1]


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image for one platform.

    Attributes:
        config: its config blob.
        layers: its layers, lowest first.
    """

    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What we want to know of a config blob.

    Attributes:
        labels: of the image.
        diff_ids: digests of the uncompressed layers, lowest first.
    """

    labels: Mapping[str, str]
    diff_ids: tuple[str, ...]


def digest_of(body: bytes) -> str:
    """The digest of a body."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def verify(body: bytes, digest: str, what: str) -> None:
    """Whether a body is what its digest says.

    Raises:
        BadAnswer: it is something else: damaged on the way, or forged.
    """
    algorithm, _, expected = digest.partition(":")
    if hashlib.new(algorithm, body).hexdigest() != expected:
        raise BadAnswer(f"the {what} that the registry sent is not what its digest says")


def read_manifest(body: bytes, content_type: str) -> Index | Manifest:
    """Reads an index or a manifest.

    Args:
        body: verified.
        content_type: of the answer; the body's own word wins.

    Raises:
        BadAnswer: it is neither, or of a form that has no labels (schema 1, an artifact).
    """
    data = _mapping(body, "manifest")
    declared = data.get("mediaType")
    media_type = declared if isinstance(declared, str) else content_type.partition(";")[0].strip()
    if media_type in _INDEXES:
        return Index(tuple(_platform(entry) for entry in _items(data, "manifests")))
    if media_type in _MANIFESTS:
        config = _descriptor(data.get("config"))
        if config.media_type not in _CONFIGS:
            raise BadAnswer("this is no container image, but an artifact of another kind")
        return Manifest(config, tuple(map(_descriptor, _items(data, "layers"))))
    raise BadAnswer("the manifest is of a type that has no labels we can read (Docker schema 1?)")


def read_config(body: bytes) -> ImageConfig:
    """Reads a config blob.

    Raises:
        BadAnswer: it is none.
    """
    data = _mapping(body, "image config")
    config = data.get("config") or {}
    labels = config.get("Labels") or {} if isinstance(config, dict) else None
    rootfs = data.get("rootfs") or {}
    diff_ids = rootfs.get("diff_ids") or [] if isinstance(rootfs, dict) else None
    if not isinstance(labels, dict) or not isinstance(diff_ids, list):
        raise BadAnswer("the image config has another form than it should")
    return ImageConfig(
        {key: value for key, value in labels.items() if isinstance(value, str)},
        tuple(digest for digest in diff_ids if isinstance(digest, str)),
    )


def _platform(entry: object) -> tuple[Descriptor, str, str]:
    platform = entry.get("platform") if isinstance(entry, dict) else None
    platform = platform if isinstance(platform, dict) else {}
    # Attestations are listed like images, for a platform "unknown".
    return _descriptor(entry), str(platform.get("os", "")), str(platform.get("architecture", ""))


def _descriptor(entry: object) -> Descriptor:
    if isinstance(entry, dict):
        digest, size = entry.get("digest"), entry.get("size")
        media_type = entry.get("mediaType", "")
        if (
            isinstance(digest, str)
            and is_digest(digest)
            and isinstance(size, int)
            and size >= 0
            and isinstance(media_type, str)
        ):
            return Descriptor(digest, size, media_type)
    raise BadAnswer("the manifest refers to something without a digest and a size")


def _items(data: Mapping[str, Any], key: str) -> list[object]:
    items = data.get(key)
    if not isinstance(items, list) or len(items) > _MOST_ENTRIES:
        raise BadAnswer(f"the manifest's {key} are no list of a sensible length")
    return items


def _mapping(body: bytes, what: str) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise BadAnswer(f"the {what} is not JSON")
    return data
