# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Images of external providers as archives that a node takes, made without a builder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hack.images import archive, base
from tests.support.provider_wheels import ProviderImage

USER = "1001"


def name_of(case: str) -> str:
    """What the image of a case is called."""
    return f"localhost/provider-{case}:1"


SCRATCH = "scratch"
"""The case that has no Python, no shell and nothing else but the provider."""


def provider_archive(images: Mapping[str, ProviderImage], directory: Path) -> Path:
    """All images in one archive, on a Debian with Python and pip.

    Args:
        images: by case; that of :data:`SCRATCH` is on nothing.
        directory: for what is made.
    """
    made = []
    for case, image in images.items():
        root = directory / case
        image.write(root)
        layer = archive.pack(root, ["lls-provider"], directory / f"{case}.layer.tar")
        config = {"Env": list(base.ENVIRONMENT), "User": USER}
        below = [] if case == SCRATCH else [base.layer()]
        made.append(archive.Image(name_of(case), [*below, layer], config))
    return archive.write_all(made, directory / "providers.tar")
