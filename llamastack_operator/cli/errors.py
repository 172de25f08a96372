# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a command fails with when its user can do something about it.

``__main__`` knows these two and nothing else, so that it can tell of a failure of any command
without importing the others.
"""

from __future__ import annotations


class CommandError(Exception):
    """It did not work. Each line of the message becomes a line on standard error."""


class UsageError(CommandError):
    """It could not begin: the command, or what it was given, was wrong."""
