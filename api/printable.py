# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Text of strangers as one that can be shown."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text without anything but printable characters, in one line: others become escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
