# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The smallest image: one static program that waits, serves its host name, or fails on request.

It is also the image of every Pod's sandbox (``pause``), which the node needs before all others.
"""

from __future__ import annotations

from pathlib import Path

from hack.images.archive import Image, pack_files, write

NAME = "localhost/probe:test"
"""What the image is called as an image for tests."""

PAUSE = "registry.k8s.io/pause:local"
"""What it is called as the sandbox of Pods; from no registry."""

_USER = "65535:65535"


def image(name: str, program: Path, target: Path) -> Path:
    """Wrap a static program.

    Args:
        name: of the image.
        program: what it runs.
        target: where to write the archive.
    """
    layer = pack_files({"pause": (program.read_bytes(), 0o755)}, target.with_suffix(".layer"))
    config = {"Entrypoint": ["/pause"], "User": _USER, "WorkingDir": "/"}
    try:
        return write(Image(name, [layer], config), target)
    finally:
        layer.unlink()
