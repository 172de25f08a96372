# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A directory as an image: its root, or what the image has at ``/lls-provider``."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from io import BufferedReader
from typing import Final

from configs.external.offline.contents import Entry, Kind
from llamastack_operator.merging.staged import StagingError, opened

_NOTHING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
_KINDS: Final[dict[int, Kind]] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
}


class DirectoryFiles:
    """The contents of a directory, as :class:`configs.external.offline.contents.Contents`.

    Args:
        descriptor: of the directory.
        place: what it is in the image; empty for the root. There is nothing else then.
    """

    def __init__(self, descriptor: int, place: str = "") -> None:
        self._descriptor = descriptor
        self._place = place

    def entry(self, path: str) -> Entry | None:
        """What is at a path, no part of which is a link."""
        below = self._below(path)
        if below is None:
            return Entry("directory", 0o755) if not path else None
        if not below:
            return Entry("directory", 0o755)  # whose permissions are the author's own matter
        folder, _, name = below.rpartition("/")
        try:
            with opened(self._descriptor, folder or ".", directory=True) as parent:
                status = os.stat(name, dir_fd=parent, follow_symlinks=False)
                link = os.readlink(name, dir_fd=parent) if stat.S_ISLNK(status.st_mode) else ""
        except StagingError:
            return None
        except OSError as error:
            if error.errno in _NOTHING:
                return None
            raise
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "other")
        return Entry(kind, stat.S_IMODE(status.st_mode), status.st_size, link)

    def names(self, path: str) -> Iterable[str]:
        """What is in a directory."""
        below = self._below(path)
        if below is None:
            return (self._place,)
        try:
            with opened(self._descriptor, below or ".", directory=True) as descriptor:
                return tuple(os.listdir(descriptor))
        except StagingError:
            return ()

    def open(self, path: str) -> BufferedReader:
        """The content of a file.

        Raises:
            OSError: it cannot be read.
        """
        try:
            with opened(self._descriptor, self._below(path) or ".") as descriptor:
                return open(os.dup(descriptor), "rb")
        except StagingError as error:
            raise FileNotFoundError(errno.ENOENT, str(error), path) from error

    def _below(self, path: str) -> str | None:
        """The path in the directory; ``None`` if it is not in there."""
        if not self._place:
            return path
        top, _, below = path.partition("/")
        return below if top == self._place else None
