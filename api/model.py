# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The base class of all models, and the field types that Kubernetes has and Python has not.

Each type here carries two things side by side: how a value is checked in Python, and the keys
that ``api.schema`` puts into the CRD for it. Keeping them in one annotation is what keeps the API
server and ``validate`` on the command line of one opinion.

Models are frozen (a cached object is never changed), ignore unknown fields (an older operator must
read what a newer one's users wrote; ``api.unknown`` reports them instead), use camelCase in the
object and snake_case in Python, and treat an explicit null as absent, as the API server does by
pruning it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError, PydanticOmit, core_schema

from api.docstrings import attribute_docstrings

Json: TypeAlias = dict[str, Any]
"""A JSON object."""


ANYTHING: Final = "*"
"""No name of a field: stands for all others."""


class ApiModel(BaseModel):
    """Base of every model that describes a part of a Kubernetes object."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        defer_build=True,  # only what is read is built, and once, not for every model around it
    )

    mistaken: ClassVar[Mapping[str, str]] = {}
    """What people write who do not know the fields → what to do instead; :data:`ANYTHING` for what
    looks like nothing known."""

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            return {key: value for key, value in data.items() if value is not None}
        return data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe each field by the string below it."""
        made = handler(schema)
        properties = handler.resolve_ref_schema(made).get("properties", {})
        texts = attribute_docstrings(cls, ApiModel)
        for name, field in cls.model_fields.items():
            node = properties.get(field.alias or name)
            if node is not None and name in texts:
                node.setdefault("description", texts[name])
        return made

    def plain(self) -> Json:
        """What the user set, as JSON data in Kubernetes' spelling; defaults are left out.

        For the parts that go into a child as they are (env, tolerations, resources).
        """
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class AtomicModel(ApiModel):
    """Base of references and selectors, which have one owner under server-side apply.

    Half of a reference from one manager and half from another would name something that nobody
    asked for. Core/v1 marks the same types.
    """

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})


def kind_of(value: object) -> str:
    """The JSON type of a value, in the words of error messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    for types, word in ((int, "integer"), (float, "number"), (str, "string")):
        if isinstance(value, types):
            return word
    if isinstance(value, Mapping):
        return "object"
    return "list" if isinstance(value, Iterable) else type(value).__name__


def problem(code: str, message: str) -> PydanticCustomError:
    """An error whose message reaches the user word for word."""
    # Braces would be taken for placeholders; a context value is not formatted again.
    return PydanticCustomError(code, "{text}", {"text": message})


def rule(
    cel: str,
    message: str,
    *,
    field_path: str = "",
    reason: str = "",
    optional_old_self: bool = False,
) -> Json:
    """One entry of ``x-kubernetes-validations``.

    Args:
        cel: expression that must be true.
        message: what is said otherwise; starts with the path of the field.
        field_path: relative path, e.g. ``.endpoint``, for ``details.causes`` of the answer.
        reason: e.g. ``FieldValueRequired``; the API server's default is FieldValueInvalid.
        optional_old_self: evaluate on creation too, with ``oldSelf`` as an optional value.
    """
    entry: Json = {"rule": cel, "message": message}
    if field_path:
        entry["fieldPath"] = field_path
    if reason:
        entry["reason"] = reason
    if optional_old_self:
        entry["optionalOldSelf"] = True
    return entry


def rules(*entries: Json) -> Json:
    """The value for ``json_schema_extra`` of a model or field with CEL rules."""
    return {"x-kubernetes-validations": list(entries)}


class _Checked:
    """An annotation that checks a value after its type."""

    __slots__ = ()

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Check what the type let through."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: Any) -> Any:
        """The value; raises what ``problem`` makes."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Matching(_Checked):
    """A string with a pattern, and words for people who do not read patterns.

    The value is not repeated in the message: somebody may have pasted a secret into the wrong
    field.

    Attributes:
        pattern: anchored at both ends; valid in Python and in RE2.
        words: what a value is that matches.
    """

    pattern: str
    words: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Add the pattern."""
        return {**handler(schema), "pattern": self.pattern}

    def _check(self, value: str) -> str:
        # Not match(): Python's $ also matches before a line break at the end.
        if re.fullmatch(self.pattern.removesuffix("$"), value) is None:
            raise problem("matching", f"must be {self.words}")
        return value


# --- scalars -----------------------------------------------------------------------------------
# Pydantic reads "8321" as an integer and 1 as a boolean unless told to be strict; the API server
# does not, and neither do we.

Bool: TypeAlias = Annotated[bool, Strict()]
Int32: TypeAlias = Annotated[
    int, Strict(), Field(le=2**31 - 1, json_schema_extra={"format": "int32"})
]
# Without a maximum: limits are doubles in a CRD, and the greatest int64 is none.
Int64: TypeAlias = Annotated[int, Strict(), Field(json_schema_extra={"format": "int64"})]
Port: TypeAlias = Annotated[
    int, Strict(), Field(ge=1, le=65535, json_schema_extra={"format": "int32"})
]
Percentage: TypeAlias = Annotated[
    int, Strict(), Field(ge=1, le=2**31 - 1, json_schema_extra={"format": "int32"})
]
NonEmpty: TypeAlias = Annotated[str, Field(min_length=1)]
Timestamp: TypeAlias = Annotated[str, Field(json_schema_extra={"format": "date-time"})]

_DNS_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
OBJECT_NAME: Final = rf"^{_DNS_LABEL}(\.{_DNS_LABEL})*$"
"""DNS-1123 subdomain: the names of Secrets, ConfigMaps, ServiceAccounts."""

LABEL_KEY: Final = (
    rf"^({_DNS_LABEL}(\.{_DNS_LABEL})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$"
)
"""Qualified name: an optional DNS prefix and a name of at most 63 characters."""

ObjectName: TypeAlias = Annotated[
    str,
    Field(max_length=253),
    Matching(OBJECT_NAME, "the name of an object: lower case letters, digits, '-' and '.'"),
]
NamespaceName: TypeAlias = Annotated[
    str,
    Field(max_length=63),
    Matching(rf"^{_DNS_LABEL}$", "the name of a namespace: lower case letters, digits and '-'"),
]
LabelKey: TypeAlias = Annotated[
    str,
    Field(max_length=317),
    Matching(LABEL_KEY, "a label key such as team or example.com/team, without a value"),
]
LabelValue: TypeAlias = Annotated[
    str,
    Field(max_length=63),
    Matching(
        r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        "the value of a label: letters, digits, '-', '_', '.', with a letter or digit at each end",
    ),
]
DataKey: TypeAlias = Annotated[
    str,
    Field(max_length=253),
    Matching(
        r"^[-._a-zA-Z0-9]+$", "a key of a Secret or ConfigMap: letters, digits, '-', '_', '.'"
    ),
]
"""A key of a Secret or ConfigMap."""

# Without a sign: the API server admits "-1Gi" as a quantity and then refuses every pod with it.
_NUMBER: Final = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)"
QUANTITY: Final = rf"^{_NUMBER}([KMGTPE]i|[numkMGTPE]|[eE](\+|-)?{_NUMBER})?$"


def _int_or_string(value: Any) -> Any:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    hint = "; write it in quotes" if isinstance(value, float) else ""
    raise problem("int_or_string", f"must be an integer or a string, got {kind_of(value)}{hint}")


def _quantity(value: Any) -> Any:
    value = _int_or_string(value)
    if isinstance(value, str) and re.fullmatch(QUANTITY, value) is None:
        raise problem("quantity", f'must be a quantity such as 500m, 2 or 10Gi, got "{value}"')
    if isinstance(value, int) and value < 0:
        raise problem("quantity", f"must be a quantity such as 500m, 2 or 10Gi, got {value}")
    return value


IntOrString: TypeAlias = Annotated[
    int | str, BeforeValidator(_int_or_string), WithJsonSchema({"x-kubernetes-int-or-string": True})
]
Quantity: TypeAlias = Annotated[
    int | str,
    BeforeValidator(_quantity),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "pattern": QUANTITY}),
]

# --- open objects ------------------------------------------------------------------------------

OpenObject: TypeAlias = Annotated[
    Json, WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
]
"""An object that is not ours to describe; kept whole."""

AnyValue: TypeAlias = Annotated[Any, WithJsonSchema({"x-kubernetes-preserve-unknown-fields": True})]
"""Any JSON value; kept whole."""


def _has_name(value: Json) -> Json:
    name = value.get("name")
    if not isinstance(name, str) or not name:
        raise problem("missing_name", "needs a name")
    return value


NamedOpenObject: TypeAlias = Annotated[
    Json,
    AfterValidator(_has_name),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"name": {"type": "string", "minLength": 1}},
            "required": ["name"],
            "x-kubernetes-preserve-unknown-fields": True,
        }
    ),
]
"""An open object that is an entry of a list keyed by name."""


@dataclass(frozen=True, slots=True)
class Internal:
    """Marks a field that is filled in while reading: not in the schema, not the user's to set."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Leave the field out."""
        raise PydanticOmit


@dataclass(frozen=True, slots=True)
class Polymorphic:
    """Marks a node that may have several JSON types (R-D2).

    A structural schema has one type a node, so the CRD leaves such a node open and describes it
    in words; ``api.policy`` and ``api.validation`` check what the schema cannot.

    Attributes:
        forms: what may stand there, e.g. ``a boolean or an object``.
    """

    forms: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """An open node; ``x-forms`` and ``x-object`` are for its description."""
        return {
            "x-kubernetes-preserve-unknown-fields": True,
            "x-forms": self.forms,
            "x-object": handler(schema),
        }


# --- lists -------------------------------------------------------------------------------------


def _duplicates(values: Iterable[object]) -> list[str]:
    seen: set[object] = set()
    twice: dict[str, None] = {}
    for value in values:
        if value in seen:
            twice[str(value)] = None
        seen.add(value)
    return list(twice)


@dataclass(frozen=True, slots=True)
class UniqueItems(_Checked):
    """A list without duplicates (``x-kubernetes-list-type: set``)."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Add the list type."""
        return {**handler(schema), "x-kubernetes-list-type": "set"}

    def _check(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        if twice := _duplicates(items):
            raise problem("duplicates", f"has duplicates: {', '.join(twice)}")
        return items


@dataclass(frozen=True, slots=True)
class KeyedBy(_Checked):
    """A list of objects that is a map by some of their fields (``x-kubernetes-list-type: map``).

    Server-side apply then merges by key instead of replacing the list, and the API server refuses
    duplicates.

    Attributes:
        keys: the fields, in Kubernetes' spelling.
    """

    keys: tuple[str, ...]

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Add the list type and its keys."""
        return {
            **handler(schema),
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": list(self.keys),
        }

    def _check(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        plain = [item.plain() if isinstance(item, ApiModel) else item for item in items]
        identities = ["/".join(str(item.get(key)) for key in self.keys) for item in plain]
        if twice := _duplicates(identities):
            raise problem(
                "duplicates", f"has duplicates by {'/'.join(self.keys)}: {', '.join(twice)}"
            )
        return items
