# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Tests that stand in other files, named in a table: whether they are there."""

from __future__ import annotations

import functools
import re
from pathlib import Path

_TESTS = Path(__file__).parents[1]


@functools.cache
def is_test(name: str) -> bool:
    """Whether there is a test of that name, ``file::function`` without ``tests/`` and ``.py``."""
    file, _, function = name.partition("::")
    path = _TESTS / f"{file}.py"
    if not path.exists():
        return False
    return bool(re.search(rf"^(async )?def {function}\(", path.read_text("utf-8"), re.MULTILINE))
