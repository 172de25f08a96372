# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is wrong with an image before anything can be said of the provider in it."""

from __future__ import annotations


class ImageError(Exception):
    """It cannot be read. Says why, in one line."""
