# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``configs.image_reference`` for those who ask registries: with what can be verified. No I/O."""

from __future__ import annotations

import re

from configs import image_reference
from configs.image_reference import DOCKER_HUB, LONGEST_NAME, ImageReference, shown
from llamastack_operator.oci.errors import BadReference

__all__ = ["DOCKER_HUB", "ImageReference", "is_digest", "parse"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


def is_digest(text: str) -> bool:
    """Whether a text is a digest of a kind that we can verify."""
    return _DIGEST.fullmatch(text) is not None


def parse(text: str) -> ImageReference:
    """Reads a reference.

    Raises:
        BadReference: it is none, or its digest is of a kind that we cannot verify.
    """
    try:
        found = image_reference.parse(text)
    except image_reference.NotAnImageReference as error:
        raise BadReference(str(error)) from None
    if found.digest and not is_digest(found.digest):
        raise BadReference(f"image {shown(text)}: the part after @ is no sha256 or sha512 digest")
    if len(found.name) > LONGEST_NAME:
        raise BadReference(f"image {shown(text)}: the name is longer than {LONGEST_NAME}")
    return found
