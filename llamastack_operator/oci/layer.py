# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One file out of a layer: a tar archive, mostly compressed. No I/O, in small steps.

``tarfile`` would need all of it unpacked in memory, or a blocking file, and spends tens of
microseconds on each member; a layer made to hurt has tens of thousands. So the headers are walked
here (POSIX.1-2001 ``ustar`` with pax, and GNU's long names) as the decompressor gives out bytes:
never more than a chunk and the one file are in memory, and the caller can let others run between
two steps. What is unpacked is counted, so that a bomb stops at the limit.

The last entry of a name wins, as when unpacking.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from llamastack_operator.oci.errors import BadLabel, TooLarge

MAX_COMPRESSED: Final = 8 * 1024 * 1024
"""Bytes of a layer as the registry sends it. A layer with one config has a few KiB."""

MAX_UNPACKED: Final = 32 * 1024 * 1024
"""Bytes of a layer once unpacked."""

_STEP: Final = 256 * 1024  # bytes unpacked between two looks at the clock: about a millisecond
_INPUT: Final = 64 * 1024  # compressed bytes handed over at a time
_BLOCK: Final = 512
_ZERO: Final = bytes(_BLOCK)
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_LONGEST_EXTENSION: Final = 64 * 1024  # bytes of a pax header or a GNU long name
_REGULAR: Final = frozenset({b"0", b"\0", b"7"})
_LINKS: Final = frozenset({b"1", b"2"})
_PAX: Final = b"x"
_PAX_GLOBAL: Final = b"g"
_SHORTEST_RECORD: Final = 5  # "5 a=\n"
_GNU_LONG_NAME: Final = b"L"


def steps(
    blob: bytes, path: str, *, most: int, unpacked: int = MAX_UNPACKED
) -> Iterator[bytes | None]:
    """Looks for a file; yields None after each step, and the content at last.

    Args:
        blob: the layer as stored.
        path: of the file, without a leading slash.
        most: bytes that the file may have.
        unpacked: bytes that the whole layer may have.

    Raises:
        BadLabel: no such file, not a regular file, or not a layer that we can read.
        TooLarge: the file, or the layer once unpacked, is beyond its limit.
    """
    walk = TarWalk(path, most=most)
    total = 0
    for chunk in _unpacked(blob):
        total += len(chunk)
        if total > unpacked:
            raise TooLarge(f"the layer with the config unpacks to more than {unpacked} bytes")
        walk.feed(chunk)
        yield None
    yield walk.result()


def _unpacked(blob: bytes) -> Iterator[bytes]:
    if blob.startswith(_ZSTD_MAGIC):
        raise BadLabel(
            "the layer with the config is compressed with zstd, which is not supported; use gzip"
        )
    if not blob.startswith(_GZIP_MAGIC):
        for start in range(0, len(blob), _STEP):
            yield blob[start : start + _STEP]
        return
    position = 0
    while blob.startswith(_GZIP_MAGIC, position):  # one member after the other, as in eStargz
        unpacker = zlib.decompressobj(wbits=31)
        while not unpacker.eof:
            piece = unpacker.unconsumed_tail
            if not piece:
                piece = blob[position : position + _INPUT]
                position += len(piece)
            try:
                chunk = unpacker.decompress(piece, _STEP)
            except zlib.error:
                raise BadLabel("the layer with the config is no valid gzip") from None
            if not chunk and not piece and not unpacker.eof:
                raise BadLabel("the layer with the config is cut off")
            yield chunk
        position -= len(unpacker.unused_data)


class TarWalk:
    """Walks a tar archive that comes in chunks.

    Args:
        path: of the file that is wanted.
        most: bytes that it may have.
    """

    def __init__(self, path: str, *, most: int) -> None:
        self._path = path
        self._most = most
        self._buffer = bytearray()
        self._skip = 0  # bytes that nobody wants
        self._wanted: tuple[bytes, int, int] | None = None  # kind, size, size with padding
        self._name = ""  # given by an extension to the next member
        self._size: int | None = None
        self._ended = False
        self._found: bytes | None = None
        self._not_regular = False

    def feed(self, chunk: bytes) -> None:
        """The next bytes.

        Raises:
            BadLabel: this is no tar archive.
            TooLarge: the file is larger than allowed.
        """
        if self._ended:
            return
        view = memoryview(chunk)
        skipped = min(self._skip, len(view))
        self._skip -= skipped
        self._buffer += view[skipped:]
        position = 0
        while (used := self._step(position)) > 0:
            position += used
        beyond = max(position - len(self._buffer), 0)
        self._skip += beyond
        del self._buffer[: position - beyond]

    def result(self) -> bytes:
        """The file.

        Raises:
            BadLabel: it was not there, or is no regular file.
        """
        if not self._ended and (self._skip or self._buffer or self._wanted):
            raise BadLabel("the layer with the config is cut off")
        if self._not_regular:
            raise BadLabel(f"{self._path!r} in the layer is a link or a folder, not a regular file")
        if self._found is None:
            raise BadLabel(f"there is no file {self._path!r} in the layer that the labels name")
        return self._found

    def _step(self, position: int) -> int:
        """Bytes used from there on; 0 to wait for more. May reach beyond what is here: skipped."""
        if self._ended or position > len(self._buffer):
            return 0
        if self._wanted is not None:
            kind, size, padded = self._wanted
            if len(self._buffer) - position < padded:
                return 0
            self._wanted = None
            self._take(kind, bytes(self._buffer[position : position + size]))
            return padded
        if len(self._buffer) - position < _BLOCK:
            return 0
        header = bytes(self._buffer[position : position + _BLOCK])
        if header == _ZERO:
            self._ended = True
            return _BLOCK
        return _BLOCK + self._member(header)

    def _member(self, header: bytes) -> int:
        """Decides about one member; bytes of it to skip."""
        _check(header)
        kind = header[156:157]
        size = _number(header[124:136])
        if kind in {_PAX, _GNU_LONG_NAME}:
            if size > _LONGEST_EXTENSION:
                raise TooLarge("the layer with the config has an absurdly long file name")
            return self._want(kind, size)
        if kind == _PAX_GLOBAL:
            return _padded(size)
        size = size if self._size is None else self._size
        name = _clean(self._name or _ustar_name(header))
        self._name, self._size = "", None
        if name != self._path:
            return _padded(size) if kind not in _LINKS else 0
        self._not_regular = kind not in _REGULAR
        if self._not_regular:
            return 0 if kind in _LINKS else _padded(size)
        if size > self._most:
            raise TooLarge(f"{self._path!r} in the layer is {size} bytes, more than {self._most}")
        return self._want(kind, size)

    def _want(self, kind: bytes, size: int) -> int:
        if size:
            self._wanted = (kind, size, _padded(size))
        else:
            self._take(kind, b"")
        return 0

    def _take(self, kind: bytes, content: bytes) -> None:
        if kind == _GNU_LONG_NAME:
            self._name = content.rstrip(b"\0").decode("utf-8", "replace")
        elif kind == _PAX:
            self._name, self._size = _pax(content, self._name, self._size)
        else:
            self._found = content


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _check(header: bytes) -> None:
    unsigned = sum(header) - sum(header[148:156]) + 8 * 0x20
    if header[257:262] != b"ustar" or _number(header[148:156]) != unsigned:
        raise BadLabel("the layer with the config is no tar archive")


def _number(field: bytes) -> int:
    """Octal, or base-256 where the first bit says so."""
    if field[0] == 0x80:  # noqa: PLR2004 -- a positive number in base 256
        return int.from_bytes(field[1:])
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise BadLabel("the layer with the config is no tar archive") from None


def _ustar_name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    # GNU's older form has other things where POSIX has the prefix.
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "replace")


def _clean(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in {"", "."})


def _pax(content: bytes, name: str, size: int | None) -> tuple[str, int | None]:
    """Path and size out of records of the form ``LENGTH KEY=VALUE NEWLINE``."""
    position = 0
    while position < len(content):
        length, space, _ = content[position : position + 20].partition(b" ")
        if not space or not length.isdigit() or int(length) < _SHORTEST_RECORD:
            raise BadLabel("the layer with the config has a broken pax header")
        record = content[position + len(length) + 1 : position + int(length)].rstrip(b"\n")
        key, _, value = record.partition(b"=")
        if key == b"path":
            name = value.decode("utf-8", "replace")
        elif key == b"size" and value.isdigit():
            size = int(value[:18])
        position += int(length)
    return name, size
