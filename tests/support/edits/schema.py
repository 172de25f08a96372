# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Every field of the spec, from the models.

A path is written as in messages, with ``[]`` for the members of a list and ``{}`` for those of a
map: ``spec.workload.overrides.env[].name``. Sections of one shape under several names are walked
once, as ``*``: the thirteen sections of providers have the same fields, and so have those of
external providers.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel

from api.model import Internal
from api.v1alpha1.providers import Providers as OldProviders
from api.v1alpha2 import Spec
from api.v1alpha2.external import ExternalProviders
from api.v1alpha2.providers import Providers

Json = dict[str, Any]

_ALIKE: Final = (Providers, OldProviders, ExternalProviders)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the spec.

    Attributes:
        path: where it is.
        leaf: whether it has no fields of its own.
    """

    path: str
    leaf: bool


def fields(spec: type[BaseModel] = Spec) -> list[Field]:
    """All of them, in the order of the documentation."""
    found = {field.path: field for field in _fields(spec, "spec")}
    return list(found.values())


def _fields(model: type[BaseModel], path: str) -> Iterator[Field]:
    for name, field in model.model_fields.items():
        if any(isinstance(item, Internal) for item in field.metadata):
            continue
        here = f"{path}.{field.alias or name}"
        inner, suffix = _shape(field.annotation)
        yield Field(here, inner is None)
        if inner is not None:
            # Of external providers, all but one are lists.
            alike = issubclass(model, _ALIKE) and name != "install"
            below = f"{path}.*" if alike else here
            yield from _fields(inner, below + suffix)


def _shape(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The model in an annotation, and how its fields are reached from the field."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _shape(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        found = [_shape(arg) for arg in get_args(annotation) if arg is not type(None)]
        return next((shape for shape in found if shape[0] is not None), (None, ""))
    if origin is tuple:
        inner, suffix = _shape(get_args(annotation)[0])
        return inner, f"[]{suffix}"
    if origin is dict or origin is Mapping:
        inner, suffix = _shape(get_args(annotation)[1])
        return inner, f"{{}}{suffix}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    return None, ""


if __name__ == "__main__":
    for field in fields():
        print(field.path, "" if field.leaf else "(section)")
