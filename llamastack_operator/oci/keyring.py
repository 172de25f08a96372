# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Pull secrets, read and matched as the kubelet does it (FR-027h). No I/O.

``pkg/credentialprovider/{config,keyring}.go`` of Kubernetes is the model, quirks included: a
config that the kubelet would not find an image with must not work for us either, nor the other way
round. An entry's key is a host, perhaps with port and path, each part of the host a glob; keys are
tried in reverse alphabetical order, so that the longer path comes first; every match is a
candidate, and they are tried in order until the registry accepts one. Docker Hub's key,
``index.docker.io``, is looked at last.

Identity tokens are not used, as the kubelet does not use them.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from llamastack_operator.oci.reference import DOCKER_HUB

DOCKER_CONFIG_JSON: Final = "kubernetes.io/dockerconfigjson"
DOCKER_CONFIG: Final = "kubernetes.io/dockercfg"
_DATA_KEYS: Final = {DOCKER_CONFIG_JSON: ".dockerconfigjson", DOCKER_CONFIG: ".dockercfg"}
_HUB_KEY: Final = "index.docker.io"
_MOST_CANDIDATES: Final = 16  # each costs two requests of somebody's patience


class BadPullSecret(Exception):
    """A Secret without credentials that we can read. The message never quotes the Secret."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What may open a registry.

    Attributes:
        secret: name of the Secret that it came from.
        username: never shown.
        password: never shown.
    """

    secret: str
    username: str = field(repr=False)
    password: str = field(repr=False)


def read_secret(name: str, kind: str, data: Mapping[str, Any]) -> dict[str, Credential]:
    """The credentials in a Secret, by key as written.

    Args:
        name: of the Secret.
        kind: its type.
        data: as the API server sends it, base64.

    Raises:
        BadPullSecret: not a pull secret, or not readable; as a whole, like the kubelet.
    """
    key = _DATA_KEYS.get(kind)
    if key is None:
        raise BadPullSecret(f"is of type {kind or 'Opaque'}, not {DOCKER_CONFIG_JSON}")
    if key not in data:
        raise BadPullSecret(f"has no key {key}")
    try:
        entries = json.loads(base64.b64decode(data[key], validate=True))
        if kind == DOCKER_CONFIG_JSON:
            entries = entries.get("auths") or {}
        return {str(host): _credential(name, entry) for host, entry in entries.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        # Without the cause: it quotes the text that could not be read.
        raise BadPullSecret(f"has a key {key} that is no docker config") from None


def _credential(secret: str, entry: Mapping[str, Any]) -> Credential:
    username, password = entry.get("username") or "", entry.get("password") or ""
    if auth := entry.get("auth"):
        username, password = _decode(auth)
    if not isinstance(username, str) or not isinstance(password, str):
        raise TypeError
    return Credential(secret, username, password)


def _decode(auth: str) -> tuple[str, str]:
    compact = "".join(auth.split())
    try:
        decoded = base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True).decode()
    except binascii.Error:
        raise ValueError from None
    username, colon, password = decoded.partition(":")
    if not colon:
        raise ValueError
    return username, password


class Keyring:
    """Credentials of all pull secrets of one pod. Lives as long as one question."""

    def __init__(self) -> None:
        self._credentials: dict[str, list[Credential]] = {}

    def add(self, entries: Mapping[str, Credential]) -> None:
        """The entries of one Secret; of equal keys, those that came first are tried first."""
        for location, credential in entries.items():
            key = _key(location)
            if key is not None:
                self._credentials.setdefault(key, []).append(credential)

    def lookup(self, image: str) -> tuple[Credential, ...]:
        """Candidates for an image, in the order in which to try them.

        Args:
            image: registry and repository, Docker Hub's spelled out.
        """
        found: dict[Credential, None] = {}
        for key in sorted(self._credentials, reverse=True):
            if _matches(key, image):
                found.update(dict.fromkeys(self._credentials[key]))
        if image.startswith(f"{DOCKER_HUB}/"):
            found.update(dict.fromkeys(self._credentials.get(_HUB_KEY, ())))
        return tuple(found)[:_MOST_CANDIDATES]


@dataclass(frozen=True, slots=True)
class _Place:
    """A location, cut as Go's net/url cuts it; brackets in a host may be a glob's."""

    host: str
    port: str
    path: str

    @classmethod
    def of(cls, location: str) -> _Place:
        rest = re.sub(r"^https?://", "", location)
        rest = re.split("[?#]", rest, maxsplit=1)[0]
        authority, slash, path = rest.partition("/")
        host, colon, port = authority.rpartition("@")[2].rpartition(":")
        if not colon or port.endswith("]"):
            host, port = (f"{host}:{port}" if colon else port), ""
        return cls(host, port, slash + path)


def _key(location: str) -> str | None:
    """Host and path of an entry, without the version that docker login writes for Docker Hub."""
    place = _Place.of(location)
    if not place.host:
        return None
    path = place.path
    if path.startswith(("/v1/", "/v2/")):
        path = path[3:]
    port = f":{place.port}" if place.port else ""
    return f"{place.host}{port}{path if path != '/' else ''}"


def _matches(key: str, image: str) -> bool:
    pattern, target = _Place.of(key), _Place.of(image)
    globs, labels = pattern.host.split("."), target.host.split(".")
    return (
        pattern.port == target.port
        and len(globs) == len(labels)
        and all(_glob(glob, label) for glob, label in zip(globs, labels, strict=True))
        and target.path.startswith(pattern.path)
    )


def _glob(glob: str, label: str) -> bool:
    """One part of a host; ``*`` never crosses a dot, because dots were cut before."""
    return re.fullmatch(fnmatch.translate(glob.replace("[^", "[!")), label) is not None
