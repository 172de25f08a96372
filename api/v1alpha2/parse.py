# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reading an object into the models.

Only the shape is judged here (types, required fields, patterns); rules that span fields are
``api.validation``'s. What is read shares nothing with the object: a cached object cannot be changed
through ``settings``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from api.errors import FieldError, InvalidResource
from api.model import Json
from api.translate import field_errors
from api.v1alpha2.types import LlamaStackDistribution

MAX_DEPTH: Final = 64
"""Levels of nesting that are read. Nobody configures a server that deep, and without a bound one
resource could exhaust the interpreter's stack."""


def parse(obj: Mapping[str, Any]) -> LlamaStackDistribution:
    """Read an object.

    Args:
        obj: as decoded from JSON or YAML; not changed, not kept.

    Raises:
        InvalidResource: with every error of shape, each at the field as the user wrote it.
    """
    resource, errors = read(obj)
    if resource is None or errors:
        raise InvalidResource(errors)
    return resource


def read(obj: Mapping[str, Any]) -> tuple[LlamaStackDistribution | None, tuple[FieldError, ...]]:
    """Read as much of an object as can be read.

    Sections of the spec that have errors are left out and the rest is read, so that rules about
    the other sections can still be checked.

    Returns:
        The resource, or ``None`` if nothing can be made of it; and all errors of shape.
    """
    try:
        plain = _copy(obj, MAX_DEPTH)
    except _TooDeepError:
        return None, (FieldError("spec", f"is nested deeper than {MAX_DEPTH} levels"),)
    try:
        return LlamaStackDistribution.model_validate(plain), ()
    except ValidationError as error:
        errors = field_errors(error, obj)
        broken = {item["loc"][:2] for item in error.errors(include_url=False)}
    if not isinstance(plain, Mapping):
        return None, errors
    try:
        return LlamaStackDistribution.model_validate(_without(plain, broken)), errors
    except ValidationError:
        return None, errors


class _TooDeepError(Exception):
    pass


def _copy(value: Any, depth: int) -> Any:
    if not isinstance(value, Mapping | list | tuple):
        return value
    if not depth:
        raise _TooDeepError
    if isinstance(value, Mapping):
        return {key: _copy(item, depth - 1) for key, item in value.items()}
    return [_copy(item, depth - 1) for item in value]


def _without(obj: Mapping[str, Any], broken: set[tuple[int | str, ...]]) -> Json:
    """The object without its broken sections, and with what the models cannot do without.

    Args:
        obj: the object.
        broken: first one or two steps of the locations of errors.
    """
    metadata, spec = obj.get("metadata"), obj.get("spec")
    if not isinstance(metadata, Mapping) or any(at[0] == "metadata" for at in broken):
        metadata = {}
    sections = {
        name: section
        for name, section in (spec if isinstance(spec, Mapping) else {}).items()
        if ("spec", name) not in broken
    }
    return {"metadata": metadata, "spec": {"distribution": {}, **sections}}
