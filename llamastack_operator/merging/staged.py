# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the container of an external provider left, read as a stranger's data.

Whoever wrote it ran code of his choice. So no link is followed, in no part of a path: every
directory is opened from the one above it. Only regular files and directories may be there, and of
all there is a most: of files, of the length of a path, of the bytes that are read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from configs.external import distributions, messages, paths
from configs.external.distributions import Distribution, Staged, StagedFile, Wheels
from configs.external.failures import Provider, ProviderError, one_line
from configs.external.metadata import MAX_BYTES

MAX_FILES: Final = 200_000
"""Files and directories of one provider; PyTorch with all that it needs has 30,000."""

MAX_SIZE: Final = 8 * 1024**3
"""Bytes of a file; the largest of real ones has two GiB. A file with a hole may say any size."""

_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY: Final = _OPEN | os.O_DIRECTORY
_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
    stat.S_IFDIR: "a directory",
    stat.S_IFREG: "a regular file",
}


class StagingError(Exception):
    """Something is not what a container leaves that only ran pip. Says what, in one line."""


class StagedDirectory:
    """The directory of one provider, held open."""

    def __init__(self, provider: Provider, descriptor: int) -> None:
        self.provider = provider
        self._descriptor = descriptor

    def close(self) -> None:
        """Nothing is read any more."""
        os.close(self._descriptor)

    def metadata(self) -> bytes:
        """The metadata of the image, unread; one byte more than allowed if there is more.

        Raises:
            ProviderError: it is missing, or no regular file.
        """
        try:
            content = self._read(paths.METADATA_FILE, MAX_BYTES + 1, cut=True)
        except StagingError as error:
            raise ProviderError(messages.unreadable_metadata(self.provider, str(error))) from error
        if content is None:
            raise ProviderError(messages.missing_metadata(self.provider))
        return content

    def wheels(self) -> Wheels | None:
        """What the container wrote down about the image; ``None`` if it did not.

        Raises:
            ProviderError: it wrote something else.
        """
        try:
            content = self._read(paths.WHEELS_FILE, distributions.MAX_WHEELS)
            return None if content is None else distributions.read_wheels(content)
        except (StagingError, distributions.DistributionError) as error:
            self._fail(str(error))

    def packages(self) -> Staged:
        """All that pip installed.

        Raises:
            ProviderError: there is something that pip does not install, or nothing.
        """
        wheels = self.wheels() or Wheels(())
        try:
            with opened(self._descriptor, paths.PACKAGES_DIRECTORY, directory=True) as top:
                files = _walk(top)
            found = tuple(
                self._distribution(name, files) for name in distributions.dist_infos(files)
            )
        except (StagingError, distributions.DistributionError) as error:
            self._fail(str(error))
        except OSError as error:
            self._fail(_said(error, paths.PACKAGES_DIRECTORY))
        return Staged(self.provider, files, found, wheels.python, wheels.machine)

    def digest(self, path: str) -> bytes:
        """What tells the content of an installed file from others.

        Args:
            path: below the packages.

        Raises:
            ProviderError: it cannot be read.
        """
        try:
            with self.opened(path) as descriptor, open(descriptor, "rb", closefd=False) as file:
                return hashlib.file_digest(file, hashlib.blake2b).digest()
        except StagingError as error:
            self._fail(str(error))
        except OSError as error:
            self._fail(_said(error, path))

    @contextmanager
    def opened(self, path: str, *, directory: bool = False) -> Iterator[int]:
        """The descriptor of an installed file or directory.

        Args:
            path: below the packages; empty for the packages themselves.
            directory: whether it is one.

        Raises:
            StagingError: it is something else, or behind a link.
            OSError: it cannot be opened.
        """
        below = f"{paths.PACKAGES_DIRECTORY}/{path}".rstrip("/")
        with opened(self._descriptor, below, directory=directory) as descriptor:
            yield descriptor

    def _distribution(self, name: str, files: dict[str, StagedFile]) -> Distribution:
        top = f"{paths.PACKAGES_DIRECTORY}/{name}"
        metadata = self._read(f"{top}/METADATA", distributions.MAX_METADATA)
        record = self._read(f"{top}/RECORD", distributions.MAX_RECORD)
        return distributions.read(name, metadata or b"", record or b"", files)

    def _read(self, path: str, most: int, *, cut: bool = False) -> bytes | None:
        """The content of a file of at most so many bytes; ``None`` if it is not there.

        Raises:
            StagingError: it is longer, unless the rest is to be cut; or no regular file.
        """
        try:
            with (
                opened(self._descriptor, path) as descriptor,
                open(descriptor, "rb", closefd=False) as file,
            ):
                content = file.read(most if cut else most + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StagingError(_said(error, path)) from error
        if len(content) > most:
            msg = f"{one_line(path)} has more than {most} bytes"
            raise StagingError(msg)
        return content

    def _fail(self, problem: str) -> NoReturn:
        raise ProviderError(messages.unusable_staging(self.provider, problem))


def open_staged(top: Path, provider: Provider) -> StagedDirectory:
    """The directory of a provider; who asks for it closes it.

    Args:
        top: where the directories of all are.
        provider: the one.

    Raises:
        ProviderError: there is none, or it is behind a link.
        OSError: the directory of all cannot be opened.
    """
    everybody = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    own = provider.provider_id
    try:
        descriptor = _open(everybody, own, own, directory=True)
    except FileNotFoundError as error:
        raise ProviderError(messages.missing_metadata(provider)) from error
    except StagingError as error:
        raise ProviderError(messages.unusable_staging(provider, str(error))) from error
    except OSError as error:
        raise ProviderError(messages.unusable_staging(provider, _said(error, own))) from error
    finally:
        os.close(everybody)
    return StagedDirectory(provider, descriptor)


@contextmanager
def opened(top: int, path: str, *, directory: bool = False) -> Iterator[int]:
    """The descriptor of a file or directory; every part of its path is opened from the one above.

    Args:
        top: descriptor of the directory that the path begins in.
        path: without ``..``.
        directory: whether it is one.

    Raises:
        StagingError: it is something else, or behind a link.
        OSError: it cannot be opened.
    """
    *parents, name = path.split("/")
    here = top
    try:
        for part in parents:
            here = _stepped(here, part, path, is_top=here == top)
        descriptor = _open(here, name, path, directory=directory)
    finally:
        if here != top:
            os.close(here)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _stepped(here: int, part: str, path: str, *, is_top: bool) -> int:
    """The directory below one that is closed, unless it is the first."""
    below = _open(here, part, path, directory=True)
    if not is_top:
        os.close(here)
    return below


def _open(here: int, name: str, path: str, *, directory: bool) -> int:
    try:
        descriptor = os.open(name, _DIRECTORY if directory else _OPEN, dir_fd=here)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENOTDIR, errno.ENXIO}:
            raise
        mode = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
        _refuse(path, mode, stat.S_IFDIR if directory else stat.S_IFREG)
    if not directory and not stat.S_ISREG(mode := os.fstat(descriptor).st_mode):
        os.close(descriptor)
        _refuse(path, mode, stat.S_IFREG)
    return descriptor


def _refuse(path: str, mode: int, *expected: int) -> NoReturn:
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    needed = " or ".join(_KINDS[each] for each in expected)
    msg = f"{one_line(path)} is {kind} and not {needed}"
    raise StagingError(msg)


def _walk(top: int) -> dict[str, StagedFile]:
    """All files below a directory.

    Raises:
        StagingError: there are too many, or other things than files and directories.
    """
    found: dict[str, StagedFile] = {}
    folders = [""]
    count = 0
    while folders:
        folder = folders.pop()
        with _scanned(top, folder) as entries:
            for entry in entries:
                count += 1
                if count > MAX_FILES:
                    msg = f"there are more than {MAX_FILES} files"
                    raise StagingError(msg)
                path = _checked(f"{folder}{entry.name}")
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    folders.append(f"{path}/")
                elif not stat.S_ISREG(status.st_mode):
                    _refuse(path, status.st_mode, stat.S_IFREG, stat.S_IFDIR)
                elif status.st_size > MAX_SIZE:
                    msg = f"{one_line(path)} has more than {MAX_SIZE} bytes"
                    raise StagingError(msg)
                else:
                    found[path] = StagedFile(status.st_size, stat.S_IMODE(status.st_mode))
    return found


@contextmanager
def _scanned(top: int, folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    """What is in a directory; its own descriptor is closed before anything below is opened."""
    with (
        opened(top, folder.rstrip("/") or ".", directory=True) as descriptor,
        os.scandir(descriptor) as entries,
    ):
        yield entries


def _checked(path: str) -> str:
    if problem := distributions.path_problem(path):
        raise StagingError(problem)
    return path


def _said(error: OSError, path: str) -> str:
    return f"{one_line(path)} cannot be read: {error.strerror}"
