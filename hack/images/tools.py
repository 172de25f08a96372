# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The programs that make images: from the machine, else Debian's, unpacked into the cache.

Nothing is installed: ``apt-get download`` and ``dpkg-deb -x``, as for the servers' programs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hack.cluster.cache import Cache
from hack.cluster.progress import Progress
from hack.images.places import ImageError, cache_of_user
from hack.servers.debian import in_tree, unpack
from hack.servers.errors import BedError

PACKAGES: Mapping[str, Sequence[str]] = {"debootstrap": ("debootstrap",), "buildah": ("buildah",)}

_TAIL_LINES = 5


_WITH_LIBRARIES = """\
set -e
root=$1; shift
for place in "$root"/usr/lib/*-linux-gnu*; do
    below=${place#"$root"}
    mount -t overlay overlay -o "lowerdir=$place:$below" "$below"
done
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that was found or unpacked.

    Attributes:
        path: of the program.
        libraries: the directory in which it and its libraries were unpacked. They are laid over
            this machine's, in a mount namespace, since ``LD_LIBRARY_PATH`` is not enough: buildah
            starts itself again in an empty environment.
        environment: what to add to ours.
    """

    path: Path
    libraries: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, *words: str) -> list[str]:
        """The command line, in a mount namespace of its own: what it mounts, nobody else sees."""
        prefix = ["unshare", "--mount", "--"]
        if self.libraries is not None:
            prefix += ["sh", "-c", _WITH_LIBRARIES, "sh", str(self.libraries)]
        return [*prefix, str(self.path), *words]


def obtain(name: str, progress: Progress) -> Tool:
    """One of the programs.

    Raises:
        ImageError: it is neither installed nor to be had.
    """
    places = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    if installed := shutil.which(name, path=places):
        return Tool(Path(installed))
    cache = Cache(cache_of_user().directory / "tools")
    root = cache.directory / name
    if in_tree(root, name) is None:
        with (
            cache.locked(progress),
            progress.step(f"fetching {name}", "from Debian's packages"),
        ):
            try:
                unpack([name], root, PACKAGES)
            except BedError as error:
                raise ImageError(str(error)) from error
    path = in_tree(root, name)
    if path is None:
        raise ImageError(f"{name} is not in Debian's package: install it")
    if name == "debootstrap":  # a script
        return Tool(path, environment={"DEBOOTSTRAP_DIR": str(root / "usr/share/debootstrap")})
    return Tool(path, libraries=root)


def run(
    command: Sequence[str], failed: str, *, seconds: float, environment: Mapping[str, str] = {}
) -> str:
    """Run a program to its end; what it wrote to standard output.

    Raises:
        ImageError: ``failed``, and the program's last words.
    """
    try:
        result = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            env={**os.environ, **environment},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImageError(f"{failed}: {error}") from error
    if result.returncode:
        output = (result.stderr.strip() or result.stdout.strip()).splitlines()
        raise ImageError(f"{failed}: {' | '.join(output[-_TAIL_LINES:])}")
    return result.stdout
