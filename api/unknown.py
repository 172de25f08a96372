# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Fields that no model knows, as warnings.

The models ignore unknown fields, so that an older operator reads what was written for a newer one.
The API server tells about typos in the typed parts; inside polymorphic nodes it keeps whatever is
written there in silence, and a misspelt ``endpoint`` would only be noticed when the server calls
the wrong host. Warnings, never errors: the field may simply be newer than we are.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from api.errors import FieldWarning
from api.model import ANYTHING, ApiModel, Internal
from api.spelling import closest

UNKNOWN: Final = "is not known and has no effect"


def unknown_fields(model: type[ApiModel], value: object, path: str) -> Iterator[FieldWarning]:
    """Warnings about a value that should be read into a model.

    Args:
        model: what the value is read into.
        value: the raw value; whatever is no object is passed over, others report it.
        path: of the value; empty for a whole object.
    """
    if not isinstance(value, Mapping):
        return
    fields = fields_of(model)
    prefix = f"{path}." if path else ""
    for key, child in value.items():
        field = fields.get(key)
        if field is None:
            yield FieldWarning(f"{prefix}{key}", UNKNOWN, _hint(model, key))
        else:
            yield from _below(field.annotation, child, f"{prefix}{key}")


def _hint(model: type[ApiModel], key: str) -> str:
    if key in model.mistaken:
        return model.mistaken[key]
    near = closest(key, fields_of(model))
    return f"did you mean {near}?" if near else model.mistaken.get(ANYTHING, "")


@functools.cache
def fields_of(model: type[ApiModel]) -> Mapping[str, FieldInfo]:
    """What a user may write, by its name in JSON."""
    return {
        field.alias or name: field
        for name, field in model.model_fields.items()
        if not _is_internal(field)
    }


def _is_internal(field: FieldInfo) -> bool:
    """Whether the field is filled in by us, and not the user's to set."""
    return any(isinstance(item, Internal) for item in field.metadata)


def _below(annotation: Any, value: object, path: str) -> Iterator[FieldWarning]:
    """Find the models inside a field's type and hand each the values that belong to it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _below(arguments[0], value, path)
    elif origin in (Union, UnionType):
        for arm in arguments:
            if arm is not NoneType:
                yield from _below(arm, value, path)
    elif origin is tuple:
        # A polymorphic list may be written as its only item.
        listed = isinstance(value, list | tuple)
        for index, item in enumerate(value if isinstance(value, list | tuple) else (value,)):
            yield from _below(arguments[0], item, f"{path}[{index}]" if listed else path)
    elif origin is dict and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _below(arguments[1], item, f"{path}.{key}")
    elif inspect.isclass(annotation) and issubclass(annotation, ApiModel):
        yield from unknown_fields(annotation, value, path)
