# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Images of external providers as archives that a node takes, made without a builder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hack.images import archive, base
from tests.support.provider_wheels import PROVIDER, ProviderImage

USER: Final = "1001"
_PROGRAM: Final = 0o755


@dataclass(frozen=True)
class NodeImage:
    """An image of a provider with all that is around it.

    Attributes:
        provider: what is below ``/lls-provider``.
        programs: text of more files that anybody may run, by their path in the image.
        removed: paths of the base that the image does not have.
        on_base: whether it is on a Debian with Python and pip, else on nothing.
        mode: of ``/lls-provider``.
    """

    provider: ProviderImage
    programs: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    on_base: bool = True
    mode: int = 0o755


def name_of(case: str) -> str:
    """What the image of a case is called."""
    return f"localhost/provider-{case}:1"


def provider_archive(images: Mapping[str, NodeImage], directory: Path) -> Path:
    """All images in one archive.

    Args:
        images: by case.
        directory: for what is made.
    """
    made = []
    for case, image in images.items():
        root = directory / case
        image.provider.write(root).chmod(image.mode)
        layers = [archive.pack(root, [PROVIDER], directory / f"{case}.provider.tar")]
        if around := _around(image):
            layers.append(archive.pack_files(around, directory / f"{case}.around.tar"))
        below = [base.layer()] if image.on_base else []
        config = {"Env": list(base.ENVIRONMENT), "User": USER}
        made.append(archive.Image(name_of(case), [*below, *layers], config))
    return archive.write_all(made, directory / "providers.tar")


def _around(image: NodeImage) -> dict[str, tuple[bytes, int]]:
    """Files of the image that are not the provider's; a removed one is a whiteout (OCI)."""
    found = {path: (text.encode(), _PROGRAM) for path, text in image.programs.items()}
    for path in image.removed:
        parent, _, name = path.rpartition("/")
        found[f"{parent}/.wh.{name}"] = (b"", _PROGRAM)
    return found
