# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Values of which the Go operator takes the empty one for a field that was left out.

Stored objects have them, so the schema must let them through; conversion leaves them out.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import Field, Strict

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
