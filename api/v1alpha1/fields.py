# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Kinds of fields that this version has and a new one must not get.

Values of which the Go operator takes the empty one for a field that was left out: stored objects
have them, so the schema must let them through, and conversion leaves them out. And defaults that
the API server writes into objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

from pydantic import Field, GetJsonSchemaHandler, Strict
from pydantic_core import CoreSchema

from api.model import OBJECT_NAME, Matching

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"

ObjectNameOrEmpty: TypeAlias = Annotated[
    str,
    Field(max_length=253),
    Matching(
        f"^({OBJECT_NAME.removeprefix('^').removesuffix('$')})?$",
        "the name of an object (lower case letters, digits, '-' and '.') or empty",
    ),
]
LabelOrEmpty: TypeAlias = Annotated[
    str,
    Field(max_length=63),
    Matching(f"^({_LABEL})?$", "lower case letters, digits and '-', or empty"),
]
"""A DNS label: the name of a namespace or of a container."""

PortOrZero: TypeAlias = Annotated[
    int, Strict(), Field(ge=0, le=65535, json_schema_extra={"format": "int32"})
]


@dataclass(frozen=True, slots=True)
class SchemaDefault:
    """Marks a field whose default the API server writes into every object that lacks it.

    For defaults that objects have already. A new field gets none: what is stored once can never be
    changed again, so the code fills defaults in when it reads.

    Attributes:
        value: the default, as JSON data.
    """

    value: Any

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Add the default under a name of its own; pydantic's is there for every field."""
        return {**handler(schema), "x-default": self.value}
