# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where the servers and programs are, and how to call them.

There are two kinds of beds, and callers do not see the difference: environments on this machine, or
a Debian chroot (``chroot``). Command lines come with whatever has to stand before them, and a path
that is handed to a server goes through ``Bed.inside``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hack.servers import chroot, debian, places
from hack.servers.errors import BedError
from hack.servers.household import Household
from hack.servers.releases import INSTALLED, Release

_MAKE = "run `make servers`"


@dataclass(frozen=True, slots=True)
class Bed:
    """The installed servers of these pins.

    Attributes:
        directory: of the cache.
        chroot: root of the Debian tree they are in; None if they are on this machine.
    """

    directory: Path
    chroot: Path | None = None

    @classmethod
    def open(cls, releases: Sequence[Release] = INSTALLED) -> Bed:
        """What ``make servers`` made.

        Raises:
            BedError: something of it is missing.
        """
        bed = cls.here()
        missing = [release.name for release in releases if not bed.has(release)]
        missing += [] if places.is_finished(bed.wheels) else ["the wheels of a provider"]
        missing += [name for name in debian.PACKAGES if bed.find(name) is None]
        if missing:
            raise BedError(f"{', '.join(missing)}: not installed, {_MAKE}")
        return bed

    @classmethod
    def here(cls) -> Bed:
        """The bed of this machine, whether or not anything is in it.

        Raises:
            BedError: there can be none.
        """
        directory = places.cache_of_user().directory
        return cls(directory, chroot.tree(directory) if chroot.is_wanted() else None)

    def has(self, release: Release) -> bool:
        """Whether a release is installed completely."""
        return places.is_finished(self.venv(release))

    def programs(self) -> tuple[str, ...]:
        """Every name that ``program`` takes."""
        return tuple(debian.PACKAGES)

    @property
    def workspace(self) -> Path:
        """A directory on this machine that servers can read and write."""
        return places.temporary() if self.chroot is None else self.chroot / "srv/bed"

    @property
    def household(self) -> Household:
        """What this process starts in the bed."""
        return Household.of(self.workspace)

    def inside(self, path: Path) -> str:
        """How a server calls a path below ``workspace``."""
        return str(path) if self.chroot is None else f"/{path.relative_to(self.chroot)}"

    def venv(self, release: Release) -> Path:
        """The directory of a release's environment, as seen from this machine."""
        base = self.directory if self.chroot is None else self.chroot / "opt"
        return base / release.slug

    def command(self, release: Release, program: str) -> list[str]:
        """How to run a program of a release's environment."""
        return [*self._enter(), f"{self.inside(self.venv(release))}/bin/{program}"]

    def python(self, release: Release) -> list[str]:
        """How to run a release's interpreter."""
        return self.command(release, "python")

    def program(self, name: str) -> list[str]:
        """How to run ``redis-server``, ``redis-cli``, ``postgres``, ``initdb``, ``psql`` or
        ``docker-registry``.

        Raises:
            BedError: it is not installed.
        """
        path = self.find(name)
        if path is None:
            raise BedError(f"{name}: not installed, {_MAKE}")
        if self.chroot is not None:
            return [*self._enter(), self.inside(path)]
        if path.is_relative_to(self.directory):
            libraries = debian.library_path(self.unpacked)
            return ["/usr/bin/env", f"LD_LIBRARY_PATH={libraries}", str(path)]
        return [str(path)]

    def unprivileged(self, name: str) -> list[str]:
        """How to run a program that refuses to be run by root, as ``nobody`` if we are root.

        Raises:
            BedError: it is not installed.
        """
        command = self.program(name)
        if os.getuid() != 0:
            return command
        # The cache may lie in a home directory that is closed to nobody: reading stays allowed.
        caps = "+dac_override"
        nobody = [
            "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
            f"--inh-caps={caps}", f"--ambient-caps={caps}",
        ]  # fmt: skip
        enter = self._enter()
        return [*enter, *nobody, *command[len(enter) :]]

    @property
    def wheels(self) -> Path:
        """Where the wheels of a provider that others wrote are, as seen from this machine."""
        return self.directory / "wheels"

    @property
    def unpacked(self) -> Path:
        """Where packages are unpacked that this machine lacks."""
        return self.directory / "debian"

    def find(self, name: str) -> Path | None:
        """A program as seen from this machine, or None."""
        if self.chroot is not None:
            return debian.in_tree(self.chroot, name)
        return debian.on_machine(name) or debian.in_tree(self.unpacked, name)

    def _enter(self) -> list[str]:
        return [] if self.chroot is None else chroot.enter(self.chroot)
