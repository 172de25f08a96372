# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``configs.image_reference`` with the errors of those who ask registries. No I/O."""

from __future__ import annotations

from configs import image_reference
from configs.image_reference import DOCKER_HUB, ImageReference, is_digest
from llamastack_operator.oci.errors import BadReference

__all__ = ["DOCKER_HUB", "ImageReference", "is_digest", "parse"]


def parse(text: str) -> ImageReference:
    """Reads a reference.

    Raises:
        BadReference: it is none, or its digest is of a kind that we cannot verify.
    """
    try:
        return image_reference.parse(text)
    except image_reference.NotAnImageReference as error:
        raise BadReference(str(error)) from None
