# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The files of an image: those of each layer, over those of the layers below it.

Only names, kinds and sizes are held; content is read where it is. A member that would leave the
image, or be a device, is not a file that anybody could install: the first ends the reading, the
second is held as something that is no file.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Final

from configs.external.offline.contents import Entry
from llamastack_operator.provider.errors import ImageError
from llamastack_operator.provider.tar import Member, members

MAX_FILES: Final = 500_000
"""Members of all layers. The image of a server with PyTorch has a tenth."""

MAX_DEPTH: Final = 128
"""Directories above a file."""

MAX_FOLLOWED: Final = 1_000_000
"""Parts of all links that lead to directories of other members."""

_MOST_LINKS: Final = 40
_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_DIRECTORY: Final = Entry("directory", 0o755)


class _Node:
    """A file or directory."""

    __slots__ = ("children", "entry", "file", "offset")

    def __init__(
        self, entry: Entry, file: io.BufferedReader | None = None, offset: int = 0
    ) -> None:
        self.entry = entry
        self.file = file
        self.offset = offset
        self.children: dict[str, _Node] = {}


class LayeredFiles:
    """The contents of an image, as :class:`configs.external.offline.contents.Contents`."""

    def __init__(self) -> None:
        self._root = _Node(_DIRECTORY)
        self._count = 0
        self._followed = 0

    def add(self, layer: io.BufferedReader, *, whiteouts: bool = True) -> None:
        """Lays a layer over what is there.

        Args:
            layer: a tar archive, which has to stay open.
            whiteouts: whether files of certain names remove others.

        Raises:
            ImageError: it is none, or it has too much in it.
            OSError: it cannot be read.
        """
        found = [(_parts(member.name), member) for member in self._counted(members(layer))]
        if whiteouts:
            for parts, _ in found:
                self._white_out(parts)
        for parts, member in found:
            if parts and not (whiteouts and parts[-1].startswith(_WHITEOUT)):
                self._add(parts, member, layer)

    def _counted(self, found: Iterable[Member]) -> Iterator[Member]:
        for member in found:
            self._count_one()
            yield member

    def _count_one(self) -> None:
        self._count += 1
        if self._count > MAX_FILES:
            msg = f"there are more than {MAX_FILES} files"
            raise ImageError(msg)

    def _white_out(self, parts: tuple[str, ...]) -> None:
        """Removes what a layer below has."""
        if not parts or not parts[-1].startswith(_WHITEOUT):
            return
        parent = self._node(parts[:-1])
        if parent is None:
            return
        if parts[-1] == _OPAQUE:
            parent.children.clear()
        else:
            parent.children.pop(parts[-1].removeprefix(_WHITEOUT), None)

    def _add(self, parts: tuple[str, ...], member: Member, layer: io.BufferedReader) -> None:
        parent = self._made(parts[:-1])
        before = parent.children.get(parts[-1])
        if member.kind == "hard link":
            target = self._node(_parts(member.link))
            if target is not None and target.entry.kind == "file":
                parent.children[parts[-1]] = target
            return
        entry = Entry(member.kind, member.mode, member.size, member.link)
        made = _Node(entry, layer, member.offset)
        if before is not None and before.entry.kind == member.kind == "directory":
            made.children = before.children
        parent.children[parts[-1]] = made

    def _made(self, parts: tuple[str, ...]) -> _Node:
        """A directory, which is made if it is not there."""
        found = self._node(parts, make=True)
        if found is None:
            raise ImageError("a directory in the archive is a link that leads in a circle")
        return found

    def _node(self, parts: tuple[str, ...], *, make: bool = False) -> _Node | None:
        """What is at a path, with links to directories followed within the image."""
        trail = [self._root]
        todo = list(reversed(parts))
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                trail = trail[: max(len(trail) - 1, 1)]
                continue
            node = trail[-1].children.get(part)
            if node is not None and node.entry.kind == "link" and (make or todo):
                links += 1
                if links > _MOST_LINKS:
                    return None
                trail = [self._root] if node.entry.link.startswith("/") else trail
                todo += self._leads(node.entry.link)
                continue
            if make and (node is None or node.entry.kind != "directory"):
                self._count_one()
                node = trail[-1].children[part] = _Node(_DIRECTORY)
            if node is None:
                return None
            trail.append(node)
        return trail[-1]

    def _leads(self, link: str) -> list[str]:
        """The parts of a link, the last one first."""
        parts = [part for part in reversed(link.split("/")) if _counts(part)]
        self._followed += len(parts)
        if self._followed > MAX_FOLLOWED:
            raise ImageError("the archive has far too many links")
        return parts

    # --- what a reader asks -----------------------------------------------------------------------

    def entry(self, path: str) -> Entry | None:
        """What is at a path, no part of which is a link."""
        node = self._plain(path)
        return None if node is None else node.entry

    def names(self, path: str) -> Iterable[str]:
        """What is in a directory."""
        node = self._plain(path)
        return () if node is None else tuple(node.children)

    def open(self, path: str) -> io.BufferedReader:
        """The content of a file, which is a part of the archive.

        Raises:
            OSError: there is none.
        """
        node = self._plain(path)
        if node is None or node.file is None or node.entry.kind != "file":
            raise FileNotFoundError(path)
        return io.BufferedReader(_Section(node.file, node.offset, node.entry.size))

    def _plain(self, path: str) -> _Node | None:
        node: _Node | None = self._root
        for part in path.split("/") if path else ():
            node = node.children.get(part) if node else None
        return node


class _Section(io.RawIOBase):
    """A part of a file, as a file; several may be open at a time."""

    def __init__(self, file: io.BufferedReader, offset: int, size: int) -> None:
        self._file = file
        self._offset = offset
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("negative position")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        room = max(self._size - self._position, 0)
        self._file.seek(self._offset + min(self._position, self._size))
        read = self._file.readinto(memoryview(buffer)[:room])
        self._position += read
        return read


def _parts(name: str) -> tuple[str, ...]:
    """A path in an archive, part by part.

    Raises:
        ImageError: it leads out of the image, or is too deep.
    """
    parts = tuple(filter(_counts, name.split("/")))
    if ".." in parts:
        raise ImageError("a file in the archive has a name that leads out of it")
    if len(parts) > MAX_DEPTH:
        msg = f"a file in the archive is below more than {MAX_DEPTH} directories"
        raise ImageError(msg)
    return parts


def _counts(part: str) -> bool:
    return part not in {"", "."}
