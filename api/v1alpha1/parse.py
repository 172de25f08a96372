# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The shape of an object, judged by the models of this version.

Nobody works with what these models read: an object is converted to the hub first. They say where it
has a wrong type, at the paths of whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from api.errors import FieldError
from api.translate import field_errors
from api.v1alpha1.types import LlamaStackDistribution


def shape_errors(obj: Mapping[str, Any]) -> tuple[FieldError, ...]:
    """Every error of shape, each at the field as the user wrote it."""
    try:
        LlamaStackDistribution.model_validate(obj)
    except ValidationError as error:
        return field_errors(error, obj)
    return ()
