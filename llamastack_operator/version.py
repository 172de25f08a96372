# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Our version, from the installed package's metadata."""

from __future__ import annotations

from importlib import metadata

try:
    VERSION = metadata.version("llamastack-operator")
except metadata.PackageNotFoundError:  # run from a source tree that was never installed
    VERSION = "0.0.0+source"

USER_AGENT = f"llamastack-operator/{VERSION}"
