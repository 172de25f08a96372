# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whether what is stored as a status can be read as one. Pure.

The API server checks a status when it is written, by the definition of that time. What was stored
under another definition may have any shape, and only we write a status: one that cannot be read
says nothing, and is written again as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from api.v1alpha2.status import Status

if TYPE_CHECKING:
    from informers.ports import Object

_OTHER_WORDS: Final = frozenset({"enum"})
"""Errors that are none to us: a word that another release of the operator wrote."""


def with_readable_status(cr: Object) -> Object:
    """The resource, without its status if that has another shape."""
    status = cr.get("status")
    if status is None or _is_readable(status):
        return cr
    return {part: value for part, value in cr.items() if part != "status"}


def _is_readable(status: object) -> bool:
    if not isinstance(status, Mapping):
        return False
    try:
        Status.model_validate(status)
    except ValidationError as error:
        return all(item["type"] in _OTHER_WORDS for item in error.errors(include_url=False))
    return True
