# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What can go wrong, as lines a reader can act on.

Everything that this package raises on purpose is a ``ClusterError`` whose text is one line: what
failed and what to install or set. The command prints it without a traceback, and the fixtures
fail the tests with it.
"""

from __future__ import annotations


class ClusterError(Exception):
    """Something a person has to change; the message says what."""


class BinariesUnavailableError(ClusterError):
    """A program of the control plane is not to be had on this machine."""


class ProcessFailedError(ClusterError):
    """A started program ended, or did not become ready in time.

    Attributes:
        output: the last lines of its log, to recognise known causes such as a taken port.
    """

    def __init__(self, message: str, *, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class ApiFailure(ClusterError):
    """The API server answered with an error status.

    Attributes:
        code: HTTP status.
        reason: ``reason`` of the Status body, empty if there is none.
    """

    def __init__(self, message: str, *, code: int, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
