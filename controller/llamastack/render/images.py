# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How images are pulled."""

from __future__ import annotations


def pull_policy(image: str) -> str:
    """The API's own default, written out, so that a changed tag changes it, too."""
    if "@" in image:
        return "IfNotPresent"
    _, separator, tag = image.rpartition("/")[2].partition(":")
    return "Always" if not separator or tag == "latest" else "IfNotPresent"
