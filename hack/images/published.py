# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The image of ``docs/examples/trustyai-fms``: a provider that others wrote, and its adapter.

It is what the example's ``Containerfile`` builds, made without a builder.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from hack.cluster.progress import Progress
from hack.images import archive, base, places, tools
from hack.images.places import SUBJECT, ImageError
from hack.servers import wheels
from hack.servers.errors import BedError
from hack.servers.places import PROVIDER_LOCK

NAME = "localhost/trustyai-fms-provider:1"
"""What the image is called."""

_EXAMPLE = PROVIDER_LOCK.parent
_METADATA = "lls-provider-spec.yaml"
_PYTHON = base.PYTHON.rpartition("python")[2]
_SECONDS = 300


def image(progress: Progress | None = None) -> Path:
    """The image as an archive.

    Raises:
        ClusterError: a wheel cannot be had or built.
    """
    progress = progress or Progress(subject=SUBJECT)
    below = base.layer(progress)
    sources = sorted(path for path in _EXAMPLE.rglob("*") if path.suffix in {".py", ".toml"})
    inputs = places.key(
        below.name, NAME, PROVIDER_LOCK, _EXAMPLE / _METADATA, sources, Path(__file__)
    )

    def make(work: Path, target: Path) -> None:
        top = work / "lls-provider"
        packages = top / "packages"
        packages.mkdir(parents=True)
        try:
            wheels.fetch(packages, _PYTHON)
        except BedError as error:
            raise ImageError(str(error)) from error
        build_adapter(packages)
        shutil.copy(_EXAMPLE / _METADATA, top)
        layer = archive.pack(work, [top.name], work / "layer.tar")
        config = {"Env": list(base.ENVIRONMENT), "User": "1001"}
        archive.write(archive.Image(NAME, [below, layer], config), target)

    return places.made("provider", inputs, make, "an image of a published provider", progress)


def build_adapter(directory: Path) -> None:
    """Put the adapter's wheel into a directory, built offline with the backend that is here.

    Raises:
        ImageError: it cannot be built.
    """
    command = [
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index",
        "--no-build-isolation", "--disable-pip-version-check", "-w", str(directory), str(_EXAMPLE),
    ]  # fmt: skip
    tools.run(command, "the adapter's wheel cannot be built", seconds=_SECONDS)
