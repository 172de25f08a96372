# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What wheels are for: a platform, and a minor version of Python."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from packaging.tags import Tag, compatible_tags, cpython_tags

from configs.external.distributions import DEFAULT_PYTHON

_MACHINES: Final[Mapping[str, str]] = {"amd64": "x86_64", "arm64": "aarch64"}
_SHOWN: Final[Mapping[str, str]] = {"aarch64": "arm64"}
_PLATFORM = re.compile(r"linux/([a-z0-9_]{1,20})(?:/v[0-9]+)?", re.ASCII)
_PYTHON = re.compile(r"3\.([0-9]{1,2})", re.ASCII)
_GLIBC = re.compile(r"(?:linux|manylinux(?:1|2010|2014|_[0-9]+_[0-9]+))_(\w+)", re.ASCII)
_SOME: Final = "some"


@dataclass(frozen=True, slots=True)
class Target:
    """Where wheels are to run.

    Attributes:
        python: minor version, as ``3.12``.
        machine: as ``platform.machine()`` says it; empty if nobody knows.
    """

    python: str = DEFAULT_PYTHON
    machine: str = ""

    @property
    def platform(self) -> str:
        """As messages call it; empty if nobody knows."""
        return f"linux/{_SHOWN.get(self.machine, self.machine)}" if self.machine else ""

    @property
    def where(self) -> str:
        """Platform and Python, for a resolution."""
        return f"Python {self.python} on {self.platform or 'the platform of the nodes'}"

    @property
    def abi(self) -> str:
        """The part of a library's name that this Python looks for."""
        return f"cpython-{self.python.replace('.', '')}"

    def takes(self, tags: Iterable[Tag]) -> bool:
        """Whether pip there would take a wheel.

        Any release of glibc will do, because only the images of nodes tell which there is. Where
        nobody knows the machine, any of Linux will do.

        Args:
            tags: what the wheel fits.
        """
        good = self._good()
        return any((tag.interpreter, tag.abi, self._system(tag.platform)) in good for tag in tags)

    def _good(self) -> set[tuple[str, str, str]]:
        minor = int(self.python.partition(".")[2])
        name = f"cp3{minor}"
        own = cpython_tags((3, minor), [name], [_SOME])
        general = compatible_tags((3, minor), name, [_SOME])
        return {(t.interpreter, t.abi, t.platform) for t in (*own, *general)}

    def _system(self, platform: str) -> str:
        """A platform of a tag, if it is ours, as the one that tags are made for here."""
        match = _GLIBC.fullmatch(platform)
        fits = match is not None and self.machine in {"", match[1]}
        return _SOME if fits else platform


def machine_of(platform: str) -> str | None:
    """The machine of a platform as image indexes write it; ``None`` if it is none of Linux.

    Args:
        platform: as ``linux/amd64``.
    """
    match = _PLATFORM.fullmatch(platform)
    return _MACHINES.get(match[1], match[1]) if match else None


def is_python(text: str) -> bool:
    """Whether a text is a minor version of Python."""
    return _PYTHON.fullmatch(text) is not None
