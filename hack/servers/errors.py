# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What can go wrong with the servers for tests, as lines a reader can act on."""

from __future__ import annotations


class BedError(Exception):
    """Something a person has to change; the message is one line that says what."""


class BootFailed(BedError):
    """The server ended, or did not answer in time.

    Attributes:
        error: the line that says why: the last unindented one of the log that names an exception.
        log: everything that the server wrote.
    """

    def __init__(self, message: str, *, error: str, log: str) -> None:
        super().__init__(message)
        self.error = error
        self.log = log


class ServerAnswered(BedError):
    """The server answered with an error status.

    Attributes:
        status: HTTP status.
        body: the answer's text.
    """

    def __init__(self, message: str, *, status: int, body: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
