# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The shape of an object, judged by the models of this version.

Nobody works with what these models read: an object is converted to the hub first. They say where it
has a wrong type, at the paths of whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from api.conversion.spec import is_namespace
from api.errors import FieldError, FieldWarning
from api.translate import field_errors
from api.v1alpha1.types import LlamaStackDistribution


def idle_fields(obj: Mapping[str, Any]) -> Iterator[FieldWarning]:
    """What the Go operator's schema admits, and what has no effect under either operator."""
    node: Any = obj
    for key in ("spec", "network", "allowedFrom", "namespaces"):
        node = node.get(key) if isinstance(node, Mapping) else None
    for index, name in enumerate(node if isinstance(node, list | tuple) else ()):
        if not is_namespace(name):
            path = f"spec.network.allowedFrom.namespaces[{index}]"
            yield FieldWarning(path, "names no namespace and has no effect")


def shape_errors(obj: Mapping[str, Any]) -> tuple[FieldError, ...]:
    """Every error of shape, each at the field as the user wrote it."""
    try:
        LlamaStackDistribution.model_validate(obj)
    except ValidationError as error:
        return field_errors(error, obj)
    return ()
