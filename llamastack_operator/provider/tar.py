# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The members of a tar archive, one after the other, without their content.

``tarfile`` reads names and extended headers of any length into memory, and calls itself for each
that follows another. Here both are bounded; its own code reads the fields of a header.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

from llamastack_operator.provider.errors import ImageError

Kind: TypeAlias = Literal["file", "directory", "link", "hard link", "other"]

_BLOCK: Final = 512
_LONGEST: Final = 64 * 1024  # bytes of an extended header
_KINDS: Final[dict[bytes, Kind]] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.LNKTYPE: "hard link",
    tarfile.SYMTYPE: "link",
    tarfile.DIRTYPE: "directory",
}
_WITHOUT_DATA: Final = frozenset(
    {tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE,
     tarfile.FIFOTYPE}
)  # fmt: skip
_EXTENSIONS: Final = frozenset(
    {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
)


class Member(NamedTuple):
    """What an archive says of a file.

    Attributes:
        name: its path, as it is written.
        kind: of it.
        mode: its permissions.
        size: of its content.
        link: where a link leads.
        offset: of its content in the archive.
    """

    name: str
    kind: Kind
    mode: int
    size: int
    link: str
    offset: int


def members(file: io.BufferedReader) -> Iterator[Member]:
    """All members, in their order.

    Args:
        file: the archive.

    Raises:
        ImageError: it is no tar archive, or one with headers of an absurd length.
        OSError: it cannot be read.
    """
    size = file.seek(0, io.SEEK_END)
    position = 0
    said: dict[str, str] = {}
    while position < size:
        file.seek(position)
        block = file.read(_BLOCK)
        if block == bytes(_BLOCK):
            return
        header = _header(block)
        position += _BLOCK
        if header.type in _EXTENSIONS:
            said |= _extension(header, file)
            position += _padded(header.size)
            continue
        if header.type == tarfile.XGLTYPE:
            position += _padded(header.size)
            continue
        member = _member(header, said, position)
        said = {}
        if member.size > size - position:
            raise ImageError("the archive is cut off")
        yield member
        position += _padded(member.size)


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        raise ImageError("it is no tar archive, or a broken one") from error
    if header.size < 0 or header.mode < 0:
        raise ImageError("it is a broken tar archive")
    if header.type == tarfile.GNUTYPE_SPARSE:
        raise ImageError("sparse files in tar archives are not supported")
    return header


def _member(header: tarfile.TarInfo, said: dict[str, str], offset: int) -> Member:
    size = 0 if header.type in _WITHOUT_DATA else int(said.get("size", header.size))
    return Member(
        said.get("path", header.name),
        _KINDS.get(header.type, "other"),
        header.mode & 0o777,
        size,
        said.get("linkpath", header.linkname),
        offset,
    )


def _extension(header: tarfile.TarInfo, file: io.BufferedReader) -> dict[str, str]:
    """What an extended header says of the next member."""
    if header.size > _LONGEST:
        raise ImageError("a file in the archive has an absurdly long name")
    content = file.read(header.size)
    if header.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": _text(content)}
    if header.type == tarfile.GNUTYPE_LONGLINK:
        return {"linkpath": _text(content)}
    return dict(_records(content))


def _records(content: bytes) -> Iterator[tuple[str, str]]:
    """Records of the form ``LENGTH KEY=VALUE NEWLINE``, of those keys that matter."""
    position = 0
    while position < len(content):
        number, space, _ = content[position : position + 20].partition(b" ")
        if not space or not number.isdigit() or int(number) <= len(number) + 1:
            raise ImageError("a header in the archive is broken")
        end = position + int(number)
        key, _, value = content[position + len(number) + 1 : end].rstrip(b"\n").partition(b"=")
        if key.startswith(b"GNU.sparse."):
            raise ImageError("sparse files in tar archives are not supported")
        if key == b"size" and not (value.isdigit() and len(value) < 20):  # noqa: PLR2004 -- 64 bits
            raise ImageError("a header in the archive is broken")
        if key in {b"path", b"linkpath", b"size"}:
            yield key.decode(), _text(value)
        position = end


def _text(content: bytes) -> str:
    return content.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
