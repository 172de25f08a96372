# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where the repository is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
"""The folder that is checked out."""
