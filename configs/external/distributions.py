# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What pip installed for one provider, told by what it wrote into the directory.

All of it is a stranger's data: the container that ran pip runs the provider's code, too. So no
text is believed beyond what it says of the same directory. A ``RECORD`` that names a file that is
not there names nothing.
"""

from __future__ import annotations

import csv
import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from packaging.utils import canonicalize_name

from configs.external.failures import Provider, one_line

MAX_METADATA: Final = 1024 * 1024
"""Bytes of a ``METADATA`` that are read; the longest of real ones has a tenth."""

MAX_RECORD: Final = 32 * 1024 * 1024
"""Bytes of a ``RECORD`` that are read: 200,000 files."""

MAX_WHEELS: Final = 4 * 1024 * 1024
"""Bytes of a ``wheels.json`` that are read: 10,000 files."""

DEFAULT_PYTHON: Final = "3.12"
"""Python of the official images."""

MAX_PATH: Final = 1024
"""Bytes of a path in a directory of packages."""

MAX_DEPTH: Final = 64
"""Directories above a file: each is opened on the way to it."""

_DIST_INFO: Final = ".dist-info"
_HEADER = re.compile(r"(Name|Version|Requires-Dist)[ \t]*:[ \t]*(.*)", re.IGNORECASE)
_UNIT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+!-]*[A-Za-z0-9])?", re.ASCII)
_PYTHON = re.compile(r"3\.[0-9]{1,2}", re.ASCII)
_PLATFORM = re.compile(r"[a-z0-9]{1,20}/([A-Za-z0-9_]{1,20})", re.ASCII)
_MACHINES: Final[Mapping[str, str]] = {"arm64": "aarch64"}
_MAX_PATH: Final = 4096
_OUT_OF_LIB: Final = "../../"


class StagedFile(NamedTuple):
    """A regular file below the directory; a tuple, because there may be 200,000.

    Attributes:
        size: in bytes.
        mode: permissions that it has.
    """

    size: int
    mode: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """One installed distribution.

    Attributes:
        name: as PEP 503 compares names.
        version: as its ``METADATA`` has it.
        requires: its requirements, as they are written.
        files: what belongs to it, by path in the directory.
    """

    name: str
    version: str
    requires: tuple[str, ...]
    files: frozenset[str]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class Wheels:
    """What the container that installed wrote down.

    Attributes:
        files: of the image, relative to :data:`configs.external.paths.IMAGE_ROOT`.
        python: minor version that installed, as ``3.12``.
        machine: as ``platform.machine()`` says it.
    """

    files: tuple[str, ...]
    python: str = DEFAULT_PYTHON
    machine: str = "x86_64"


@dataclass(frozen=True, slots=True)
class Staged:
    """All that was installed for one provider.

    Attributes:
        provider: whose it is.
        files: by path in its directory.
        distributions: by their names.
        python: minor version that installed.
        machine: that it was installed on.
    """

    provider: Provider
    files: Mapping[str, StagedFile]
    distributions: tuple[Distribution, ...]
    python: str = DEFAULT_PYTHON
    machine: str = "x86_64"


class DistributionError(ValueError):
    """Something is not what pip writes. Says what, in one line."""


def path_problem(path: str) -> str:
    """What is wrong with the path of an installed file, in one line; empty for nothing.

    Args:
        path: below the packages.
    """
    if not path.isprintable():  # what is not UTF-8 is not, either
        return f"{one_line(path)} has a name that is not printable"
    if len(path.encode()) > MAX_PATH:
        return f"{one_line(path)} is a path of more than {MAX_PATH} bytes"
    if path.count("/") > MAX_DEPTH:
        return f"{one_line(path)} is below more than {MAX_DEPTH} directories"
    return ""


def dist_infos(files: Mapping[str, StagedFile]) -> Iterator[str]:
    """The directories in which distributions describe themselves, sorted.

    Args:
        files: of one provider.
    """
    tops = {path.partition("/")[0] for path in files if "/" in path}
    yield from sorted(top for top in tops if top.endswith(_DIST_INFO))


def read(
    directory: str, metadata: bytes, record: bytes, files: Mapping[str, StagedFile]
) -> Distribution:
    """One distribution.

    Args:
        directory: one of :func:`dist_infos`.
        metadata: content of its ``METADATA``.
        record: content of its ``RECORD``; empty without one.
        files: of the provider.

    Raises:
        DistributionError: the texts are not what pip writes, or are those of another distribution.
    """
    name, version, requires = _headers(directory, metadata)
    own = canonicalize_name(directory.removesuffix(_DIST_INFO).partition("-")[0])
    if canonicalize_name(name) != own:
        msg = f"{one_line(directory)} describes another distribution: {one_line(name)}"
        raise DistributionError(msg)
    inside = {path for path in files if path.startswith(f"{directory}/")}
    claimed = {path for path in _recorded(directory, record) if path in files}
    return Distribution(own, version, requires, frozenset(inside | claimed))


def _headers(directory: str, metadata: bytes) -> tuple[str, str, tuple[str, ...]]:
    """Name, version and requirements; the text after the first empty line is a description."""
    found: dict[str, list[str]] = {"name": [], "version": [], "requires-dist": []}
    for line in metadata.decode("utf-8", "replace").replace("\r\n", "\n").split("\n"):
        if not line:
            break
        if match := _HEADER.fullmatch(line):
            found[match[1].lower()].append(match[2].strip())
    for key in ("name", "version"):
        if len(found[key]) != 1 or not _UNIT.fullmatch(found[key][0]):
            msg = f"{one_line(directory)}/METADATA has no usable {key}"
            raise DistributionError(msg)
    return found["name"][0], found["version"][0], tuple(found["requires-dist"])


def _recorded(directory: str, record: bytes) -> Iterator[str]:
    """Paths in a ``RECORD``. Scripts and data are written from where pip had them before."""
    lines = record.decode("utf-8", "replace").split("\n")
    try:
        for row in csv.reader(lines, strict=True):
            if row and len(row[0]) <= _MAX_PATH:
                yield posixpath.normpath(row[0].removeprefix(_OUT_OF_LIB))
    except csv.Error:
        msg = f"{one_line(directory)}/RECORD is not a list of files"
        raise DistributionError(msg) from None


def read_wheels(raw: bytes) -> Wheels:
    """What the container that installed wrote down.

    Raises:
        DistributionError: it is something else.
    """
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        raise DistributionError("wheels.json is not JSON") from None
    files = data.get("files") if isinstance(data, dict) else None
    if not isinstance(files, list) or not all(isinstance(name, str) for name in files):
        raise DistributionError("wheels.json has no list of files")
    python, platform = data.get("python"), data.get("platform")
    if not isinstance(python, str) or not _PYTHON.fullmatch(python):
        raise DistributionError("wheels.json has no usable version of Python")
    match = _PLATFORM.fullmatch(platform) if isinstance(platform, str) else None
    if match is None:
        raise DistributionError("wheels.json has no usable platform")
    return Wheels(tuple(files), python, _MACHINES.get(match[1], match[1]))
