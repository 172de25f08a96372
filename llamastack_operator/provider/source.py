# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Opens the image that a path names."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from configs.external import paths
from configs.external.offline.contents import Contents
from configs.external.offline.installer import DEFAULT_SEARCH_PATH
from llamastack_operator.provider import archive
from llamastack_operator.provider.directory import DirectoryFiles
from llamastack_operator.provider.errors import ImageError

_TOP: Final = paths.IMAGE_ROOT.strip("/")
_OF_A_PROVIDER: Final = frozenset({paths.METADATA_FILE, paths.PACKAGES_DIRECTORY})


@dataclass(frozen=True, slots=True)
class Source:
    """An image that is open.

    Attributes:
        contents: its files.
        platform: that it says it is for; empty if it does not.
        search_path: directories with programs; ``None`` if the image is not all there.
    """

    contents: Contents
    platform: str = ""
    search_path: tuple[str, ...] | None = None


@contextmanager
def opened(path: str, platform: str = "") -> Iterator[Source]:
    """The image that a path names, to be read as long as this is entered.

    Args:
        path: of a directory or an archive.
        platform: of the image, where an archive has several; empty for any.

    Raises:
        ImageError: it is no image.
        OSError: it cannot be read.
    """
    with ExitStack() as stack:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(kind):
            yield _directory(descriptor)
        elif stat.S_ISREG(kind):
            file = stack.enter_context(open(descriptor, "rb", closefd=False))
            found = archive.read(file, platform, stack)
            search_path = found.search_path or DEFAULT_SEARCH_PATH
            yield Source(found.contents, found.platform, search_path)
        else:
            raise ImageError("it is neither a directory nor an archive")


def _directory(descriptor: int) -> Source:
    """A root directory, or that of a provider: the one that has what a provider has."""
    names = set(os.listdir(descriptor))
    if _TOP not in names and names & _OF_A_PROVIDER:
        return Source(DirectoryFiles(descriptor, _TOP))
    whole = len(names) > 1
    return Source(DirectoryFiles(descriptor), "", DEFAULT_SEARCH_PATH if whole else None)
