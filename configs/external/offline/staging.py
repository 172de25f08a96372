# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What pip would install of several wheels in one directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from configs.external.distributions import Distribution, Staged, StagedFile
from configs.external.failures import Provider, one_line
from configs.external.offline.target import Target
from configs.external.offline.wheels import MODE, Wheel


class Overwritten(NamedTuple):
    """A file that two wheels bring with different content.

    Attributes:
        path: of it.
        first: name of a wheel.
        second: name of the other.
    """

    path: str
    first: str
    second: str


class Staging:
    """Wheels, one beside the other.

    Args:
        wheels: all that are installed.

    Attributes:
        problems: why pip would fail, each in one line.
        overwritten: files of which pip would keep one of two.
    """

    def __init__(self, wheels: Sequence[Wheel]) -> None:
        self.problems: list[str] = []
        self.overwritten: list[Overwritten] = []
        self._owners: dict[str, Wheel] = {}
        self._distributions: dict[str, Distribution] = {}
        for wheel in wheels:
            self._add(wheel)
        self.problems += (
            f"{one_line(path)} is a file of one wheel and a directory of another"
            for path in _files_as_directories(self._owners)
        )

    def _add(self, wheel: Wheel) -> None:
        one = wheel.distribution
        first = self._distributions.setdefault(one.name, one)
        if first is not one:
            which = f"{one_line(first)}, {one_line(one)}"
            self.problems.append(f"There are two wheels of {one_line(one.name)}: {which}")
            return
        for path, content in wheel.files.items():
            owner = self._owners.setdefault(path, wheel)
            if owner.files[path].digest != content.digest:
                self.overwritten.append(Overwritten(path, owner.filename, wheel.filename))

    @property
    def digests(self) -> Mapping[str, bytes]:
        """What tells the content of each file from others."""
        return {path: wheel.files[path].digest for path, wheel in self._owners.items()}

    def staged(self, provider: Provider, target: Target) -> Staged:
        """The directory as the merge reads it.

        Args:
            provider: whose it is.
            target: where pip runs.
        """
        files = {
            path: StagedFile(wheel.files[path].size, MODE) for path, wheel in self._owners.items()
        }
        own = tuple(self._distributions[name] for name in sorted(self._distributions))
        if not target.machine:
            return Staged(provider, files, own, target.python)
        return Staged(provider, files, own, target.python, target.machine)


def _files_as_directories(paths: Mapping[str, object]) -> Iterator[str]:
    """Files below which there are others; sorted part by part, those follow at once."""
    for path, following in pairwise(sorted(paths, key=lambda path: path.split("/"))):
        if following.startswith(f"{path}/"):
            yield path
