# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Modules that their own tests need not reach, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXCEPTIONS: Final[Mapping[str, str]] = {
    "configs/external/inside/install.py": (
        "a program for images of others, which tests/servers/test_external_install.py starts"
    ),
    "configs/external/inside/preflight.py": (
        "a program for images of servers, which tests/servers/test_external_preflight.py starts"
    ),
    "llamastack_operator/__main__.py": (
        "chooses the command; the tests of the commands, a folder further down, go through it"
    ),
    "llamastack_operator/cli/run.py": (
        "signals, the event loop and the exit code of a whole process, which "
        "tests/apiserver/test_operator_process.py starts"
    ),
}
"""Reasons by the path of a module."""
