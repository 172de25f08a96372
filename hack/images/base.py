# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A stand-in for ``python:3.13-slim``: Debian trixie, whose own Python is 3.13.

It differs from the official image in where Python is (``/usr/bin``, with links in
``/usr/local/bin``) and where pip installs to (``/usr/local/lib/python3.13/dist-packages``). What
a Containerfile does with ``python -m venv`` and ``python -m pip`` works in both.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

from hack.cluster.progress import Progress
from hack.images import archive, places, tools
from hack.images.places import SUBJECT, ImageError
from hack.servers.chroot import SUITE, _mirror

NAME = "docker.io/library/python:3.13-slim"
"""What the image is called."""

PYTHON = "/usr/bin/python3.13"
SITE = "usr/local/lib/python3.13/dist-packages"
"""Where packages are found, ``.pth`` files too."""

ENVIRONMENT = (
    "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG=C.UTF-8",
)

_PACKAGES = ("ca-certificates", "netbase", "tzdata", "python3", "python3-pip", "python3-venv")
_LINKS = {"python": PYTHON, "python3": PYTHON, "python3.13": PYTHON, "pip": "/usr/bin/pip3"}
_WITHOUT = (
    "dev/",
    "proc/",
    "sys/",
    "var/cache/apt/",
    "var/lib/apt/lists/",
    "var/log/",
    "usr/share/doc/",
    "usr/share/man/",
    "usr/share/locale/",
    "usr/lib/python3.13/EXTERNALLY-MANAGED",  # the official image lets pip install
)
_SECONDS = 900


def layer(progress: Progress | None = None) -> Path:
    """The image's only layer; takes a minute or two the first time.

    Raises:
        ClusterError: debootstrap is not to be had, or fails.
    """
    progress = progress or Progress(subject=SUBJECT)
    inputs = places.key(SUITE, *_PACKAGES, *_WITHOUT, repr(_LINKS), Path(archive.__file__))

    def make(work: Path, target: Path) -> None:
        root = work / "root"
        debootstrap(root, progress)
        for name, place in _LINKS.items():
            (root / "usr/local/bin" / name).symlink_to(place)
        names = sorted(path.name for path in root.iterdir())
        archive.pack(root, names, target, keep=_kept)

    return places.made("base", inputs, make, f"a Debian {SUITE} with Python", progress)


def debootstrap(root: Path, progress: Progress) -> None:
    """Make the tree, with what is mounted while that happens gone afterwards."""
    if os.geteuid() != 0:
        raise ImageError("images are made with debootstrap, which needs root")
    tool = tools.obtain("debootstrap", progress)
    include = f"--include={','.join(_PACKAGES)}"
    command = tool.command("--variant=minbase", include, SUITE, str(root), *_mirror().split())
    tools.run(command, "debootstrap failed", seconds=_SECONDS, environment=tool.environment)


def image(target: Path, progress: Progress | None = None) -> Path:
    """The image as an archive."""
    config = {"Env": list(ENVIRONMENT), "Cmd": ["python3"]}
    return archive.write(archive.Image(NAME, [layer(progress)], config), target)


def unpack(root: Path, progress: Progress | None = None) -> None:
    """The image's files, for something to be installed into them."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    with tarfile.open(layer(progress)) as tar:
        tar.extractall(root, filter="tar")


def _kept(name: str) -> bool:
    return not any(name.startswith(prefix) for prefix in _WITHOUT)
