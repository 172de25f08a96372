# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The image of ``docs/examples/trustyai-fms``: a provider that others wrote, with an adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from hack.images.published import build_adapter
from hack.root import ROOT
from hack.servers.bed import Bed
from tests.support.provider_wheels import METADATA, ProviderImage

EXAMPLE: Final = ROOT / "docs" / "examples" / "trustyai-fms"
PUBLISHED: Final = "llama_stack_provider_trustyai_fms"
TYPE: Final = "remote::trustyai_fms"


def image(bed: Bed, work: Path) -> ProviderImage:
    """What the example's ``Containerfile`` puts into the image.

    Args:
        bed: which has the wheels of ``packages.lock``.
        work: an empty directory, to build the adapter's wheel in.
    """
    build_adapter(work)
    wheels = [*bed.wheels.glob("*.whl"), *work.glob("*.whl")]
    text = (EXAMPLE / METADATA).read_text(encoding="utf-8")
    files = {f"packages/{path.name}": path.read_bytes() for path in wheels}
    return ProviderImage((), "trustyai_fms_adapter", TYPE, "safety", text, files=files)


def config(detector_url: str) -> dict[str, Any]:
    """``config`` of the resource, with one shield that asks a detector of texts."""
    shield = {"type": "content", "detector_url": detector_url, "message_types": ["user"]}
    return {"shields": {"pii": shield}}
