# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Redis, PostgreSQL and the container registry: from the machine, else from Debian's packages.

What lies on ``PATH`` (or where Debian puts PostgreSQL) is used. What is missing is fetched by
``apt-get download`` and unpacked by ``dpkg-deb -x`` into the cache, with the libraries that the
machine lacks, and found by ``LD_LIBRARY_PATH``. That needs no root and leaves the machine as it is;
nothing is configured and no daemon starts.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from hack.servers.errors import BedError
from hack.servers.venvs import run

PACKAGES: Mapping[str, Sequence[str]] = {
    "redis-server": ("redis-server",),
    "redis-cli": ("redis-tools",),
    "postgres": ("postgresql",),
    "initdb": ("postgresql",),
    "psql": ("postgresql",),
    "docker-registry": ("docker-registry",),
}
"""Program → the packages to ask for; all of them may be needed by a test."""

_POSTGRES_BIN = "usr/lib/postgresql/*/bin"
_NAME = re.compile(r"^[a-z0-9][a-z0-9+.-]+$")
_WANTED = re.compile(r"^(lib|redis|postgresql|docker-registry)")
_APT_SECONDS = 300


def on_machine(name: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """A program that is installed here, or None."""
    found = shutil.which(name, path=environment.get("PATH", ""))
    if found is not None:
        return Path(found)
    return in_tree(Path("/"), name)


def in_tree(root: Path, name: str) -> Path | None:
    """A program below a directory in which packages were unpacked, or None."""
    newest = sorted(root.glob(_POSTGRES_BIN), key=_major, reverse=True)
    for directory in [*newest, root / "usr/bin", root / "usr/sbin"]:
        if os.access(directory / name, os.X_OK):
            return directory / name
    return None


def _major(directory: Path) -> int:
    version = directory.parent.name
    return int(version) if version.isdigit() else 0


def library_path(root: Path) -> str:
    """``LD_LIBRARY_PATH`` for programs in such a directory."""
    places = {path.parent for path in root.glob("usr/lib/**/*.so.*")}
    places |= {path.parent for path in root.glob("lib/**/*.so.*")}
    return ":".join(str(place) for place in sorted(places))


def unpack(
    names: Sequence[str], root: Path, packages_of: Mapping[str, Sequence[str]] = PACKAGES
) -> None:
    """Download the packages of some programs and unpack them into a directory.

    Args:
        names: the programs.
        root: the directory.
        packages_of: which packages each program needs, as ``PACKAGES`` says it.

    Raises:
        BedError: this is no Debian, or a package cannot be had.
    """
    text = ", ".join(names)
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise BedError(f"{text}: neither on PATH nor to be had without apt-get: install it")
    packages = _with_libraries(sorted({p for name in names for p in packages_of[name]}))
    debs = root / "debs"
    shutil.rmtree(debs, ignore_errors=True)
    debs.mkdir(parents=True)
    # As root, apt gives the download to a user that cannot write here.
    command = ["apt-get", "-o", "APT::Sandbox::User=root", "-qq", "download", *packages]
    run(["sh", "-c", 'cd "$0" && exec "$@"', str(debs), *command], f"{text} could not be fetched")
    for deb in sorted(debs.glob("*.deb")):
        run(["dpkg-deb", "-x", str(deb), str(root)], f"{deb.name} could not be unpacked")
    shutil.rmtree(debs)


def _with_libraries(packages: Sequence[str]) -> list[str]:
    """The packages and those that they need and this machine lacks."""
    _refresh_lists(packages[0])
    command = [
        "apt-cache", "depends", "--recurse", "--important", "--no-conflicts", "--no-breaks",
        "--no-replaces", "--no-enhances", "--no-recommends", "--no-suggests", *packages,
    ]  # fmt: skip
    lines = run(command, "apt-cache failed", seconds=_APT_SECONDS).splitlines()
    named = {line for line in lines if _NAME.match(line) and _WANTED.match(line)}
    status = run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"], "dpkg-query failed"
    )
    installed = {line.split()[0] for line in status.splitlines() if line.endswith(" installed")}
    return sorted((named | set(packages)) - (installed - set(packages)))


def _refresh_lists(package: str) -> None:
    """Fetch the lists of packages if there are none, which only root may."""
    known = run(["apt-cache", "pkgnames", package], "apt-cache failed", seconds=_APT_SECONDS)
    if known.strip():
        return
    if os.getuid() != 0:
        raise BedError(f"apt does not know {package}: run apt-get update as root, or install it")
    run(["apt-get", "-qq", "update"], "apt-get update failed", seconds=_APT_SECONDS)
