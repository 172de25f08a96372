# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""An image with the real llama-stack 0.7.3, started as upstream's images start it.

The packages are those of the bed's lock file, put where the base image's Python looks. Two large
ones are left out, of which the server imports nothing unless Oracle's inference or the code scanner
is configured. Byte code is shipped, because whoever runs the image may write nowhere; it is marked
as unchecked, since the layer's files have no times to check it against.

The tokenizer is the bed's (``hack.servers.inside.byte_tokenizer``): the real one is
downloaded when the server boots.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hack.cluster.cache import Platform
from hack.cluster.progress import Progress
from hack.images import archive, base, places, tools
from hack.images.places import SUBJECT, ImageError
from hack.servers.chroot import enter
from hack.servers.errors import BedError
from hack.servers.places import INSIDE as TOKENIZER
from hack.servers.releases import LOCKS, Release, newest
from hack.servers.resolving import uv, wheels_only
from hack.servers.venvs import index_settings

INSIDE = Path(__file__).parent / "inside"
RELEASE: Release = newest("0.7")
NAME = f"localhost/llama-stack:{RELEASE.version}"
"""What the image is called."""

USER = "1001"
ENTRYPOINT = "/opt/llama-stack/entrypoint.sh"

_LEFT_OUT = ("oci", "semgrep")
_COMMAND = """\
#!{python}
import sys
from llama_stack.cli.llama import main
sys.exit(main())
"""
_ENVIRONMENT = (
    *base.ENVIRONMENT,
    "PYTHONUNBUFFERED=1",
    "PYTHONDONTWRITEBYTECODE=1",
    "HF_HUB_OFFLINE=1",
    "LLAMASTACK_BED_TOKENIZER=bytes",
)
_SECONDS = 900


def image(progress: Progress | None = None) -> Path:
    """The image as an archive; takes a few minutes the first time.

    Raises:
        ClusterError: a tool is missing or a package cannot be had.
    """
    progress = progress or Progress(subject=SUBJECT)
    below = base.layer(progress)
    tokenizer = sorted(TOKENIZER.glob("byte_tokenizer.*"))
    inputs = places.key(
        below.name, NAME, _COMMAND, *_LEFT_OUT, *_ENVIRONMENT,
        RELEASE.lock, LOCKS / "build.txt", tokenizer, sorted(INSIDE.iterdir()), Path(__file__),
    )  # fmt: skip

    def make(work: Path, target: Path) -> None:
        root = work / "root"
        base.unpack(root, progress)
        site = root / base.SITE
        _install(site)
        for path in tokenizer:
            shutil.copy(path, site)
        _write(root / "usr/local/bin/llama", _COMMAND.format(python=base.PYTHON))
        _write(root / ENTRYPOINT.lstrip("/"), (INSIDE / "entrypoint.sh").read_text())
        _compile(root)
        own = ["usr/local/bin/llama", base.SITE, ENTRYPOINT.lstrip("/")]
        layer = archive.pack(root, own, work / "layer.tar")
        config = {"Env": list(_ENVIRONMENT), "User": USER, "Entrypoint": [ENTRYPOINT]}
        archive.write(archive.Image(NAME, [below, layer], config), target)

    return places.made("server", inputs, make, f"an image of {RELEASE.name}", progress)


def _install(site: Path) -> None:
    """Put the packages of the lock file into a directory, for the image's Python."""
    try:
        program = str(uv())
    except BedError as error:
        raise ImageError(str(error)) from error
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[Platform.here().arch]
    command = [
        program, "pip", "install", "--quiet", "--no-deps", "--target", str(site),
        "--python-version", "3.13", "--python-platform", f"{machine}-manylinux_2_28",
        *wheels_only(),
        "--build-constraints", str(LOCKS / "build.txt"),
        "--requirements", str(RELEASE.lock),
    ]  # fmt: skip
    settings = index_settings(os.environ)
    tools.run(
        command, f"{RELEASE.name} could not be installed", seconds=_SECONDS, environment=settings
    )
    for name in _LEFT_OUT:
        shutil.rmtree(site / name, ignore_errors=True)
    shutil.rmtree(site / "bin", ignore_errors=True)  # for an interpreter of this machine


def _compile(root: Path) -> None:
    command = [
        *enter(root), base.PYTHON, "-m", "compileall", "-qq", "-j", "0",
        "--invalidation-mode", "unchecked-hash", f"/{base.SITE}",
    ]  # fmt: skip
    # Some packages ship files for other Pythons, which make it fail though the rest is done.
    tools.run(["/bin/sh", "-c", '"$@" || true', "sh", *command], "compileall", seconds=_SECONDS)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
