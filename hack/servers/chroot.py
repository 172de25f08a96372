# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A Debian tree for machines without Python 3.12: the servers in a chroot.

Debian trixie has Python 3.13. The tree is made by debootstrap, which needs root, as chroot does.

Nothing is ever mounted for others to see: each command line that enters the tree first makes a
mount namespace of its own (``unshare``), mounts /proc and /dev in there, and becomes the program.
The kernel undoes the mounts when the last process is gone, so the tree can be removed like any
other directory, with no bind mount in it that would lead elsewhere.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hack.cluster.progress import Progress
from hack.servers import interpreters
from hack.servers.errors import BedError
from hack.servers.places import BED_VARIABLE, finish, is_finished
from hack.servers.releases import LOCKS, Release
from hack.servers.resolving import uv
from hack.servers.venvs import add_tokenizer, commands, index_settings, run

SUITE = "trixie"
PYTHON = "/usr/bin/python3.13"

_PACKAGES = (
    "ca-certificates",
    "python3",
    "python3-venv",
    "redis-server",
    "postgresql",
    "postgresql-17-pgvector",
    "docker-registry",
)
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_HANDED_ON = ("UV_", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY")

_ENTER = (
    'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && '
    'exec chroot "$0" /usr/bin/env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"'
)


def tree(directory: Path) -> Path:
    """Where the tree is in the cache."""
    return directory / SUITE


def is_wanted() -> bool:
    """Whether the servers live in a chroot on this machine.

    Raises:
        BedError: they would have to, and cannot.
    """
    if os.environ.get(BED_VARIABLE, "") != "chroot" and interpreters.find_python() is not None:
        return False
    if os.getuid() != 0:
        raise NoPythonError(
            "the servers need Python 3.12 or later (on PATH or in ~/.pyenv), or root for a chroot"
        )
    return True


class NoPythonError(BedError):
    """There is no fitting Python, and no root to make up for it."""


def enter(root: Path) -> list[str]:
    """What has to stand before a command line that shall run in the tree."""
    return ["unshare", "--mount", "--", "/bin/sh", "-c", _ENTER, str(root)]


def is_possible() -> str:
    """An empty text, or what is missing on this machine."""
    tools = [name for name in ("debootstrap", "unshare", "chroot") if shutil.which(name) is None]
    return f"{', '.join(tools)} not found" if tools else ""


def make(root: Path, progress: Progress) -> None:
    """Make the tree with debootstrap, and the programs in it.

    Raises:
        BedError: a tool is missing, or debootstrap failed.
    """
    if is_finished(root):
        return
    if missing := is_possible():
        raise BedError(f"{missing}: install it (Debian, Ubuntu: apt-get install debootstrap)")
    shutil.rmtree(root, ignore_errors=True)  # nothing is mounted in it, see above
    root.mkdir(parents=True)
    with progress.step(f"making a Debian {SUITE} tree", "a minute or two, once"):
        run(
            [
                "unshare", "--mount", "--", "debootstrap", "--variant=minbase",
                f"--include={','.join(_PACKAGES)}", SUITE, str(root), *_mirror().split(),
            ],
            "debootstrap failed",
        )  # fmt: skip
        for name in ("opt", "srv/bed"):
            (root / name).mkdir(parents=True, exist_ok=True)
    finish(root)


def make_venv(root: Path, release: Release, directory: Path) -> None:
    """Make a release's environment in the tree; uv runs inside, with a cache of its own there.

    Raises:
        BedError: a package could not be installed.
    """
    if is_finished(directory):
        return
    shutil.rmtree(directory, ignore_errors=True)
    tools = root / "opt/tools"
    tools.mkdir(exist_ok=True)
    shutil.copy(uv(), tools / "uv")
    for path in [release.lock, LOCKS / "build.txt"]:
        shutil.copy(path, tools)
    # How this machine reaches its index: names, certificates, variables.
    for name in ("/etc/resolv.conf", "/etc/hosts", _CERTIFICATES):
        if Path(name).exists():
            shutil.copyfile(name, root / name.lstrip("/"))
    inside = f"/{directory.relative_to(root)}"
    variables = {**os.environ, **index_settings(os.environ)}
    settings = [f"{k}={v}" for k, v in variables.items() if k.startswith(_HANDED_ON)]
    settings += ["UV_CACHE_DIR=/opt/uv-cache", "HOME=/root", f"SSL_CERT_FILE={_CERTIFICATES}"]
    for command in commands(release, inside, PYTHON, "/opt/tools/uv", "/opt/tools"):
        line = [*enter(root), "/usr/bin/env", *settings, *command]
        run(line, f"{release.name} could not be installed")
    add_tokenizer(directory)
    finish(directory)


def _mirror() -> str:
    """The mirror that this machine's apt uses, or nothing for debootstrap's own choice."""
    for path in Path("/etc/apt/sources.list.d").glob("debian.sources"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("URIs:"):
                return line.split()[1]
    return ""
