# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The one tree of packages, made beside the one that is there and then put in its place.

Files are hard links, so that packages are on the disk once; where that cannot be, copies. A file
whose mode is not a plain one is copied, too: its own would come along with a link, and changing it
would change the provider's file.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from configs.external import messages
from configs.external.failures import ProviderError
from configs.external.packages import Link
from llamastack_operator.merging.staged import StagedDirectory, StagingError, opened

_DIRECTORY: Final = 0o755
_PLAIN: Final = 0o644
_EXECUTABLE: Final = 0o755
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP})


def replace(output: Path, links: Sequence[Link], sources: Sequence[StagedDirectory]) -> None:
    """Makes the tree, whatever an earlier run left.

    Args:
        output: where it has to be; the directory above it exists.
        links: its files, sorted.
        sources: directories of the providers, by their numbers.

    Raises:
        OSError: it cannot be written.
        ProviderError: a file has become something else since it was looked at.
    """
    new, old = (output.with_name(f".{output.name}.{suffix}") for suffix in ("new", "old"))
    for leftover in (new, old):
        _remove(leftover)
    make_directory(new)
    for (number, folder), group in groupby(links, key=_folder):
        _fill(new, folder, [link.path.rpartition("/")[2] for link in group], sources[number])
    if os.path.lexists(output):
        output.rename(old)
    new.rename(output)
    _remove(old)


def _folder(link: Link) -> tuple[int, str]:
    return link.provider, link.path.rpartition("/")[0]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_directory(path: Path) -> None:
    """A directory, with those above it, readable by every user.

    Args:
        path: of it; nothing happens if it is there.

    Raises:
        OSError: it cannot be made.
    """
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for each in reversed(missing):
        each.mkdir()
        each.chmod(_DIRECTORY)


def _fill(new: Path, folder: str, names: Sequence[str], source: StagedDirectory) -> None:
    """The files of one directory of a provider."""
    target = new / folder
    make_directory(target)
    try:
        with source.opened(folder, directory=True) as descriptor:
            for name in names:
                _place(descriptor, name, target / name)
    except StagingError as error:
        raise ProviderError(messages.unusable_staging(source.provider, str(error))) from error


def _place(source: int, name: str, target: Path) -> None:
    """One file: a link if it can be, and else a copy."""
    try:
        os.link(name, target, src_dir_fd=source, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        # Looked at only now: what is linked cannot be exchanged any more.
        status = target.lstat()
        if status.st_mode == stat.S_IFREG | _mode(status):
            return
        target.unlink()
    _copy(source, name, target)


def _mode(status: os.stat_result) -> int:
    return _EXECUTABLE if status.st_mode & 0o111 else _PLAIN


def _copy(source: int, name: str, target: Path) -> None:
    with opened(source, name) as descriptor:
        status = os.fstat(descriptor)
        with open(descriptor, "rb", closefd=False) as reader, target.open("xb") as writer:
            shutil.copyfileobj(reader, writer, 1024 * 1024)
            os.fchmod(writer.fileno(), _mode(status))
        os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
