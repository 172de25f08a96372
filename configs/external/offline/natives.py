# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whether libraries in wheels can be loaded, by the rules of the preflight.

A wheel may bring a library for several machines and versions of Python: one has to fit. Libraries
whose names do not tell which belong together are alternatives in their directory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from configs.external.offline.target import Target
from configs.external.offline.wheels import Wheel

_NATIVE = re.compile(r"\.so(\.\d+)*$")
_TAGGED = re.compile(r"([^.]+)\.(abi3|cpython-\w+|pypy\w+)[^.]*\.so")
_MACHINES: Final[Mapping[int, str]] = {
    21: "ppc64le", 22: "s390x", 62: "x86_64", 183: "arm64", 243: "riscv64",
}  # fmt: skip


class Library(NamedTuple):
    """A library of a wheel.

    Attributes:
        wheel: that brings it.
        path: where pip would install it.
        platform: that it was compiled for.
        abi: that its name says; empty for none.
    """

    wheel: str
    path: str
    platform: str
    abi: str


class Mismatch(NamedTuple):
    """A library that cannot be loaded.

    Attributes:
        library: the one.
        what: does not match.
        wanted: what would.
        got: what it was compiled for.
        target: what to compile for.
    """

    library: Library
    what: str
    wanted: str
    got: str
    target: str


def libraries(wheels: list[Wheel]) -> Iterator[Library]:
    """All libraries, in the order of the installed directory."""
    files = sorted(
        (path.rpartition("/")[::2], path, wheel.filename, content.head)
        for wheel in wheels
        for path, content in wheel.files.items()
        if _NATIVE.search(path)
    )
    for (_, name), path, wheel, head in files:
        if platform := platform_of(head):
            tagged = _TAGGED.fullmatch(name)
            yield Library(wheel, path, platform, tagged[2] if tagged else "")


def mismatches(found: list[Library], target: Target) -> Iterator[Mismatch]:
    """Libraries that cannot be loaded. Nothing is said of the machine if nobody knows it.

    Args:
        found: all libraries.
        target: what they have to fit.
    """
    groups: dict[tuple[str, str], list[Library]] = {}
    for library in found:
        folder, _, name = library.path.rpartition("/")
        stem = _TAGGED.fullmatch(name)
        groups.setdefault((folder, stem[1] if stem else ""), []).append(library)
    for group in groups.values():
        if not any(_fits(library, target) for library in group):
            yield _mismatch(group[0], target)


def _fits(library: Library, target: Target) -> bool:
    here = target.platform in {"", library.platform}
    return here and library.abi in {"", "abi3", target.abi}


def _mismatch(library: Library, target: Target) -> Mismatch:
    here = target.platform or library.platform
    if library.platform != here:
        return Mismatch(library, "architecture", here, library.platform, here)
    return Mismatch(library, "ABI", target.abi, library.abi, f"{here} and {target.abi}")


def platform_of(head: bytes) -> str:
    """What a library was compiled for; empty if it is something else.

    Args:
        head: its first 20 bytes.
    """
    if not head.startswith(b"\x7fELF"):
        return ""
    number = int.from_bytes(head[18:20], "little" if head[5:6] == b"\1" else "big")
    return f"linux/{_MACHINES.get(number, f'machine-{number}')}"
