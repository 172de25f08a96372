# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""An image as a tree of files. Links lead within it, as if it were all there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BufferedReader
from itertools import islice
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from configs.external.metadata import MAX_FILES

Kind: TypeAlias = Literal["file", "directory", "link", "other"]

_MOST_LINKS: Final = 40  # on the way to one file, as in the kernel
_MOST_WALKED: Final = 10 * MAX_FILES
_READ: Final = 0o004
_ENTER: Final = 0o001


class Entry(NamedTuple):
    """What is at a path.

    Attributes:
        kind: of it; ``other`` is what nobody installs, such as a device.
        mode: its permissions.
        size: of a file.
        link: where a link leads.
    """

    kind: Kind
    mode: int
    size: int = 0
    link: str = ""


class Contents(Protocol):
    """The files of an image, wherever they are. Paths begin without a slash; no part is a link."""

    def entry(self, path: str) -> Entry | None:
        """What is there; ``None`` for nothing. The empty path is the root directory."""

    def names(self, path: str) -> Iterable[str]:
        """What is in a directory."""

    def open(self, path: str) -> BufferedReader:
        """The content of a file, to read and to seek in; who asks for it closes it.

        Raises:
            OSError: it cannot be read.
        """


class Closed(Exception):
    """Not every user may read something.

    Attributes:
        path: of it.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Tree:
    """An image as the container of a provider sees it: with links, and as nobody in particular.

    Args:
        contents: its files.
        permissions: whether they count; in an archive of archives they mean nothing.
    """

    def __init__(self, contents: Contents, *, permissions: bool = True) -> None:
        self._contents = contents
        self._permissions = permissions

    def find(self, path: str) -> tuple[str, Entry] | None:
        """Where a path leads, and what is there; ``None`` for nothing.

        Args:
            path: in the image.

        Raises:
            Closed: a directory on the way cannot be entered by every user.
        """
        done: list[str] = []
        todo = path.split("/")[::-1]
        links = 0
        here = self._contents.entry("")
        while todo:
            part = todo.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                del done[-1:]
                continue
            self._enter(done)
            here = self._contents.entry("/".join((*done, part)))
            if here is None:
                return None
            if here.kind != "link":
                done.append(part)
                continue
            links += 1
            if links > _MOST_LINKS:
                return None
            done = [] if here.link.startswith("/") else done
            todo += here.link.split("/")[::-1]
        found = "/".join(done)
        entry = self._contents.entry(found)
        return None if entry is None else (found, entry)

    def _enter(self, parts: list[str]) -> None:
        above = "/".join(parts)
        entry = self._contents.entry(above) if parts else None
        if entry is not None and entry.kind == "directory":
            self._check(above, entry, _ENTER)

    def _check(self, path: str, entry: Entry, permission: int) -> None:
        if self._permissions and not entry.mode & permission:
            raise Closed(f"/{path}")

    def kind(self, path: str) -> Kind | None:
        """What a path leads to.

        Raises:
            Closed: a directory on the way cannot be entered by every user.
        """
        found = self.find(path)
        return found[1].kind if found else None

    def names(self, path: str) -> list[str]:
        """What is in a directory, sorted; nothing if it is none.

        Raises:
            Closed: it cannot be read by every user.
        """
        found = self.find(path)
        if found is None or found[1].kind != "directory":
            return []
        if found[0]:
            self._check(*found, _READ)
        return sorted(self._contents.names(found[0]))

    def open(self, path: str) -> BufferedReader:
        """The content of a file.

        Raises:
            Closed: it cannot be read by every user.
            OSError: it cannot be read here, or is no file.
        """
        found = self.find(path)
        if found is None or found[1].kind != "file":
            raise FileNotFoundError(path)
        self._check(*found, _READ)
        return self._contents.open(found[0])

    def files(self, top: str, first: Iterable[str]) -> tuple[str, ...]:
        """What the metadata may name: files, relative to a directory, as the installer lists them.

        Args:
            top: the directory.
            first: files that are never left out because there are too many others.
        """
        found = self.find(top)
        walked = islice(self._walk(found[0]) if found else (), _MOST_WALKED)
        regular = (path for path in walked if path.isprintable() and self._is_file(top, path))
        named = dict.fromkeys(first)
        return tuple(islice(dict.fromkeys((*named, *islice(regular, MAX_FILES))), MAX_FILES))

    def _is_file(self, top: str, path: str) -> bool:
        try:
            return self.kind(f"{top}/{path}") == "file"
        except Closed:
            return False

    def _walk(self, top: str) -> Iterator[str]:
        """Everything below a directory that is none itself; links to directories stay links."""
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                names = self.names(f"{top}/{folder}")
            except Closed:
                continue
            for name in names:
                entry = self._contents.entry(f"{top}/{folder}{name}")
                if entry is not None and entry.kind == "directory":
                    folders.append(f"{folder}{name}/")
                else:
                    yield f"{folder}{name}"
