# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What stands in the way of a step, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """What stands in the way of a step.

    Attributes:
        reason: UpperCamelCase.
        message: for people, field path first where there is one.
        permanent: whether only an edit by the user can help.
        kind: of the child that it is about, where that is known.
        beside: whether the Deployment is as it should be all the same.
    """

    reason: str
    message: str
    permanent: bool = True
    kind: str = ""
    beside: bool = False
