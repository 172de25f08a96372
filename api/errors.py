# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What can be wrong with a resource, as data.

A finding names the field first, because that is what the reader has to change, and it is
the same text wherever it comes up: ``kubectl apply`` (CRD and policy), the webhook, a condition of
the resource, ``validate`` on the command line. Findings are values, not exceptions: all of them
are reported at once, so nobody has to fix a file one error at a time.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing about one field.

    Attributes:
        path: of the field as the user wrote it, e.g. ``spec.providers.inference[1].id``.
        message: what is wrong, to be read after the path.
        hint: what to do about it; empty if the message says so already.
    """

    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.path}: {self.message}{hint}"


@dataclass(frozen=True, slots=True, order=True)
class FieldError(Finding):
    """The resource cannot be used as it is."""


@dataclass(frozen=True, slots=True, order=True)
class FieldWarning(Finding):
    """The resource works, but perhaps not as its author thinks."""


class InvalidResource(Exception):
    """The resource breaks rules; the message has one line an error.

    Attributes:
        errors: every error that was found, in the order of the fields.
    """

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors
