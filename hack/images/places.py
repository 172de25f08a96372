# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where images are kept, and when they are made again.

``<cache>/llamastack-operator/images/<name>-<hash>.tar``: the hash covers all that goes in, so an
image is never stale, and an image that appears there is complete. Of each name the newest few are
kept: every change of the operator's code is another image.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from hack.cluster.cache import Cache, user_directory
from hack.cluster.errors import BinariesUnavailableError, ClusterError
from hack.cluster.progress import Progress

SUBJECT = "images"
_KEPT = 3


class ImageError(ClusterError):
    """An image cannot be made here; the message says what is missing."""


def cache_of_user(environment: Mapping[str, str] = os.environ) -> Cache:
    """The directory of images.

    Raises:
        ImageError: the user has no home directory.
    """
    try:
        return Cache(user_directory(environment) / "images")
    except BinariesUnavailableError as error:
        raise ImageError(str(error)) from None


def key(*parts: str | Path | Iterable[Path]) -> str:
    """Sixteen hex digits that change with each text and with each file's name and content."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(f"{part}\n".encode())
            continue
        for path in [part] if isinstance(part, Path) else part:
            content = path.read_bytes()
            digest.update(f"{path.name} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()[:16]


def made(
    name: str, inputs: str, make: Callable[[Path, Path], None], what: str, progress: Progress
) -> Path:
    """A file of the cache, made if it is not there.

    Args:
        name: of the file before its key and suffix.
        inputs: the key.
        make: writes the file; gets a work directory and where to write.
        what: is being made, for people.
        progress: where to show it.

    Raises:
        ClusterError: it cannot be made.
    """
    cache = cache_of_user()
    target = cache.directory / f"{name}-{inputs}.tar"
    if target.exists():
        with contextlib.suppress(OSError):
            target.touch()  # in use: not the first to go
        return target
    lock = Cache(cache.directory / name)  # one lock a name: an image may need another one
    with lock.locked(progress):
        if not target.exists():
            with progress.step(f"making {what}"), _workspace(lock) as work:
                make(work, work / "image.tar")
                (work / "image.tar").replace(target)
            _prune(cache.directory, name)
    return target


@contextlib.contextmanager
def _workspace(cache: Cache) -> Iterator[Path]:
    with cache.workspace() as work:
        work.chmod(0o755)  # it becomes the root directory of an image
        yield work


def _prune(directory: Path, name: str) -> None:
    pattern = f"{name}-{'[0-9a-f]' * 16}.tar"
    files = sorted(directory.glob(pattern), key=lambda path: path.stat().st_mtime)
    for path in files[:-_KEPT]:
        path.unlink(missing_ok=True)
