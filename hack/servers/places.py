# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where things are: one directory for each set of pins, and what is finished in it.

``<cache>/llamastack-operator/servers/<key>``: the key is a hash of everything that decides what is
inside (lock files, the tokenizer, the way of installing), so nothing in it is ever stale. A part is
finished when its marker is there, which is written last; a part without one is made again.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hack.cluster.cache import Cache, Platform, user_directory
from hack.cluster.errors import BinariesUnavailableError
from hack.root import ROOT
from hack.servers.errors import BedError
from hack.servers.releases import INSTALLED, LOCKS

INSIDE = Path(__file__).parent / "inside"
"""Files that go into a server's environment."""

PROVIDER_LOCK = ROOT / "docs" / "examples" / "trustyai-fms" / "packages.lock"
"""Pins the wheels of a provider that others wrote."""

BED_VARIABLE = "LLAMASTACK_OPERATOR_BED"
"""Set to ``chroot`` to have the servers in a Debian chroot though a fitting Python is there."""

_LAYOUT = "1"  # of the directory; another one is another key


def pins_hash() -> str:
    """Sixteen hex digits that change with every pin and with the platform."""
    here = Platform.here()
    digest = hashlib.sha256(f"{_LAYOUT} {here.os}/{here.arch}\n".encode())
    files = [release.lock for release in INSTALLED] + [LOCKS / "build.txt", PROVIDER_LOCK]
    for path in [*files, *sorted(INSIDE.glob("byte_tokenizer.*"))]:
        digest.update(f"{path.name}\n".encode())
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()[:16]


def cache_of_user(environment: Mapping[str, str] = os.environ) -> Cache:
    """The directory of these pins, and its lock.

    Raises:
        BedError: the user has no home directory.
    """
    try:
        return Cache(user_directory(environment) / "servers" / pins_hash())
    except BinariesUnavailableError as error:
        raise BedError(str(error)) from None


def temporary() -> Path:
    """Where running servers keep their data on this machine; one place for each user."""
    return Path(tempfile.gettempdir()) / f"llamastack-servers-{os.getuid()}"


def is_finished(directory: Path) -> bool:
    """Whether a part was installed completely."""
    return (directory / ".finished").exists()


def finish(directory: Path) -> None:
    """Say that a part is complete."""
    (directory / ".finished").touch()
