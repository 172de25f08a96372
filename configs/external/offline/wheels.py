# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What pip would make of a wheel, read without unpacking it anywhere.

A wheel is a stranger's archive. So every file in it is read once, in small pieces and up to a
limit, and what is kept of it is a digest. A wheel that pip would refuse is refused.
"""

from __future__ import annotations

import configparser
import csv
import hashlib
import io
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Final, NamedTuple

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from configs.external import distributions
from configs.external.distributions import Distribution, StagedFile
from configs.external.failures import one_line

MAX_BYTES: Final = 8 * 1024**3
"""Bytes of what all wheels of an image unpack to."""

MAX_FILES: Final = 200_000
"""Files in all wheels of an image, as for the merge."""

MAX_DIRECTORY: Final = 16 * 1024 * 1024
"""Bytes of an archive's list of files: 100,000 of them with long names."""

HEAD: Final = 20
"""Bytes of the beginning of each file that are kept: they tell what a library was compiled for."""

_CHUNK: Final = 1024 * 1024
MODE: Final = 0o644
"""Permissions of what pip installs, but for programs."""

_INFO: Final = ".dist-info"
_DATA: Final = ".data"
_SCHEMES: Final[Mapping[str, str]] = {
    "purelib": "", "platlib": "", "data": "", "scripts": "bin/", "headers": "include/{}/",
}  # fmt: skip
_HEADER = re.compile(r"^(Wheel-Version|Requires-Python)[ \t]*:[ \t]*(.*?)[ \t\r]*$", re.I | re.M)
_BROKEN: Final = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OverflowError, OSError,
    NotImplementedError, RuntimeError, IndexError, KeyError,
)  # fmt: skip


class WheelError(ValueError):
    """pip would not install a wheel. Says why, in one line."""


class Content(NamedTuple):
    """A file of a wheel.

    Attributes:
        size: in bytes.
        digest: of its content.
        head: the beginning of it.
    """

    size: int
    digest: bytes
    head: bytes


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel.

    Attributes:
        filename: of it.
        tags: what it fits.
        pythons: that it runs on, as ``Requires-Python`` says it.
        distribution: as pip would install it.
        files: by the path that pip would install them at.
    """

    filename: str
    tags: frozenset[Tag]
    pythons: SpecifierSet
    distribution: Distribution
    files: Mapping[str, Content]

    def runs_on(self, python: str) -> bool:
        """Whether it is for a minor version of Python; any patch release of it will do."""
        try:
            return any(self.pythons.contains(f"{python}.{patch}") for patch in (0, 99))
        except ValueError:  # of a number that Python does not read, for its length
            return False


def tags_of(filename: str) -> frozenset[Tag]:
    """What a wheel fits, by its name.

    Raises:
        WheelError: it is not the name of a wheel.
    """
    return _parsed(filename)[3]


def read(filename: str, file: io.BufferedReader, *, most_files: int, most_bytes: int) -> Wheel:
    """Reads a wheel to its end.

    Args:
        filename: of it.
        file: its content.
        most_files: that it may have.
        most_bytes: that they may have together.

    Raises:
        WheelError: pip would not install it, or it has too much.
    """
    name, version, _, tags = _parsed(filename)
    careful = _Careful(file)
    try:
        with zipfile.ZipFile(careful) as archive:
            return _Reader(archive, filename, most_files, most_bytes).wheel(name, version, tags)
    except WheelError:
        raise
    except distributions.DistributionError as error:
        raise WheelError(f"Wheel {one_line(filename)} is invalid: {error}") from error
    except _BROKEN as error:
        problem = one_line(str(error) or type(error).__name__)
        raise WheelError(f"Wheel {one_line(filename)} is invalid: {problem}") from error
    finally:
        careful.detach()  # whose file it is closes it


def _parsed(filename: str) -> tuple[str, Version, object, frozenset[Tag]]:
    try:
        return parse_wheel_filename(filename)
    except ValueError:
        raise WheelError(f"{one_line(filename)} is not a valid wheel filename") from None


class _Careful(io.BufferedReader):
    """A file that does not give out more at once than the list of files of a large archive has."""

    def read(self, size: int | None = -1, /) -> bytes:
        most = MAX_DIRECTORY + 1 if size is None or size < 0 else size
        content = super().read(min(most, MAX_DIRECTORY + 1))
        if len(content) > MAX_DIRECTORY:
            raise zipfile.BadZipFile("its list of files is too long")
        return content


class _Reader:
    """Reads one wheel."""

    def __init__(
        self, archive: zipfile.ZipFile, filename: str, most_files: int, most_bytes: int
    ) -> None:
        self._archive = archive
        self._filename = filename
        members = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        if len(members) > most_files:
            raise self._error(f"the wheels of the image have more than {MAX_FILES} files")
        if sum(info.file_size for info in members.values()) > most_bytes:
            raise self._error(f"the wheels of the image unpack to more than {MAX_BYTES} bytes")
        self._members = members

    def _error(self, problem: str) -> WheelError:
        return WheelError(f"Wheel {one_line(self._filename)} is invalid: {problem}")

    def wheel(self, name: str, version: Version, tags: frozenset[Tag]) -> Wheel:
        """All of it."""
        info = self._info(name)
        head = _headers(self._text(f"{info}/WHEEL", distributions.MAX_METADATA))
        if not head.get("wheel-version", "").startswith("1."):
            raise self._error(f"{one_line(info)}/WHEEL has no version that is known")
        metadata = self._text(f"{info}/METADATA", distributions.MAX_METADATA)
        self._check_record(self._text(f"{info}/RECORD", distributions.MAX_RECORD))
        files = dict(self._files())
        files |= self._scripts(info)
        staged = {path: StagedFile(file.size, MODE) for path, file in files.items()}
        distribution = distributions.read(info, metadata, b"", staged)
        if not _same(distribution.version, version):
            raise self._error(f"its metadata is that of version {one_line(distribution.version)}")
        owned = Distribution(
            distribution.name, distribution.version, distribution.requires, frozenset(files)
        )
        return Wheel(self._filename, tags, self._pythons(metadata), owned, files)

    def _info(self, name: str) -> str:
        """The directory in which the wheel describes itself."""
        tops = {path.partition("/")[0] for path in self._members if "/" in path}
        found = sorted(top for top in tops if top.endswith(_INFO))
        if len(found) != 1:
            many = "more than one" if found else "no"
            raise self._error(f"it has {many} .dist-info directory")
        if canonicalize_name(found[0].removesuffix(_INFO).partition("-")[0]) != name:
            raise self._error(f"{one_line(found[0])} is that of another distribution")
        return found[0]

    def _text(self, path: str, most: int) -> bytes:
        member = self._members.get(path)
        if member is None:
            raise self._error(f"it has no {one_line(path)}")
        if member.file_size > most:
            raise self._error(f"{one_line(path)} has more than {most} bytes")
        with self._opened(member) as file:
            return file.read(most)

    def _opened(self, member: zipfile.ZipInfo) -> IO[bytes]:
        if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise self._error(f"{one_line(member.filename)} is compressed in an unusual way")
        return self._archive.open(member)

    def _check_record(self, record: bytes) -> None:
        try:
            for _ in csv.reader(record.decode("utf-8", "replace").split("\n"), strict=True):
                pass
        except csv.Error:
            raise self._error("its RECORD is not a list of files") from None

    def _files(self) -> Iterator[tuple[str, Content]]:
        """What pip would write, each where it would."""
        for path, member in self._members.items():
            place = self._place(path)
            with self._opened(member) as file:
                yield place, _content(file, member.file_size)

    def _place(self, path: str) -> str:
        top, _, below = path.partition("/")
        if not top.endswith(_DATA):
            return self._inside(path, path, "")
        scheme, _, rest = below.partition("/")
        if scheme not in _SCHEMES or not rest:
            raise self._error(f"pip knows no place for {one_line(path)}")
        return self._inside(path, rest, _SCHEMES[scheme].format(top.partition("-")[0]))

    def _inside(self, path: str, rest: str, place: str) -> str:
        normal = posixpath.normpath(rest)
        if normal.startswith(("/", "../")) or normal in {".", ".."}:
            raise self._error(f"{one_line(path)} leads out of the directory of packages")
        return f"{place}{normal}"

    def _scripts(self, info: str) -> Iterator[tuple[str, Content]]:
        """Commands that pip makes; what they do stands for what is in them."""
        path = f"{info}/entry_points.txt"
        if path not in self._members:
            return
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        try:
            parser.read_string(self._text(path, distributions.MAX_METADATA).decode())
        except configparser.Error as error:
            raise self._error(f"its entry points cannot be read: {one_line(error)}") from None
        for section in ("console_scripts", "gui_scripts"):
            for name, does in parser[section].items() if parser.has_section(section) else ():
                if distributions.path_problem(name) or "/" in name or name in {".", ".."}:
                    raise self._error(f"{one_line(name)} is no name of a script")
                text = does.encode()
                yield f"bin/{name}", Content(len(text), hashlib.blake2b(text).digest(), b"")

    def _pythons(self, metadata: bytes) -> SpecifierSet:
        text = _headers(metadata).get("requires-python", "")
        try:
            return SpecifierSet(text)
        except InvalidSpecifier:
            return SpecifierSet()  # as pip does


def _content(file: IO[bytes], size: int) -> Content:
    """Reads a file to its end, where its checksum is compared."""
    digest, head, total = hashlib.blake2b(), b"", 0
    while chunk := file.read(_CHUNK):
        head = head or chunk[:HEAD]
        digest.update(chunk)
        total += len(chunk)
    if total != size:
        raise zipfile.BadZipFile("a file of it is cut off")
    return Content(total, digest.digest(), head)


def _headers(text: bytes) -> dict[str, str]:
    head = text.decode("utf-8", "replace").replace("\r\n", "\n").partition("\n\n")[0]
    return {match[1].lower(): match[2] for match in _HEADER.finditer(head)}


def _same(text: str, version: Version) -> bool:
    try:
        return Version(text) == version
    except ValueError:
        return False
