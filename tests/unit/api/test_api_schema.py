# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Pydantic's JSON schema becomes a structural one: a test a row of the table in ``api.schema``."""

from __future__ import annotations

import copy
import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model

from api.model import (
    AnyValue,
    ApiModel,
    Int32,
    Int64,
    Internal,
    IntOrString,
    KeyedBy,
    Matching,
    NamedOpenObject,
    OpenObject,
    Polymorphic,
    Quantity,
    UniqueItems,
    rule,
    rules,
)
from api.schema import NotStructural, structural, structural_schema
from api.v1alpha1.fields import SchemaDefault


class _Colour(StrEnum):
    RED = "red"


class _Child(ApiModel):
    """A child."""

    name: str
    """Its name."""


class _Tree(ApiModel):
    """A tree."""

    branches: tuple[_Tree, ...] = ()


def _field(annotation: Any, default: Any = ...) -> Any:
    """The structural schema of one field of that type."""
    model = create_model("Model", __base__=ApiModel, field=(annotation, default))
    return structural_schema(model)["properties"]["field"]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        pytest.param(str | None, {"type": "string"}, id="optional"),
        pytest.param(
            _Child,
            {
                "type": "object",
                "description": "A child.",
                "properties": {"name": {"type": "string", "description": "Its name."}},
                "required": ["name"],
            },
            id="nested model is inlined",
        ),
        pytest.param(
            Annotated[_Child | None, Field(description="Mine.")],
            {
                "type": "object",
                "description": "Mine.",
                "properties": {"name": {"type": "string", "description": "Its name."}},
                "required": ["name"],
            },
            id="optional nested model, described by its field",
        ),
        pytest.param(int | str, {"x-kubernetes-int-or-string": True}, id="int or string"),
        pytest.param(
            int | str | None, {"x-kubernetes-int-or-string": True}, id="optional int or string"
        ),
        pytest.param(IntOrString, {"x-kubernetes-int-or-string": True}, id="IntOrString"),
        pytest.param(Literal["x"], {"type": "string", "enum": ["x"]}, id="const"),
        pytest.param(Literal["x", "y"], {"type": "string", "enum": ["x", "y"]}, id="literal"),
        pytest.param(_Colour, {"type": "string", "enum": ["red"]}, id="enumeration"),
        pytest.param(
            Annotated[int, Field(gt=0)],
            {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
            id="exclusive minimum",
        ),
        pytest.param(
            Annotated[int, Field(lt=9)],
            {"type": "integer", "maximum": 9, "exclusiveMaximum": True},
            id="exclusive maximum",
        ),
        pytest.param(
            Annotated[Int32, Field(ge=1)],
            {"type": "integer", "format": "int32", "minimum": 1, "maximum": 2147483647},
            id="int32",
        ),
        pytest.param(Int64, {"type": "integer", "format": "int64"}, id="int64"),
        pytest.param(
            set[str],
            {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            id="set",
        ),
        pytest.param(
            Annotated[tuple[str, ...], Field(max_length=3), UniqueItems()],
            {
                "type": "array",
                "items": {"type": "string"},
                "maxItems": 3,
                "x-kubernetes-list-type": "set",
            },
            id="list without duplicates keeps its limit",
        ),
        pytest.param(Any, {"x-kubernetes-preserve-unknown-fields": True}, id="any"),
        pytest.param(AnyValue, {"x-kubernetes-preserve-unknown-fields": True}, id="AnyValue"),
        pytest.param(
            dict[str, Any],
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            id="dict of anything",
        ),
        pytest.param(
            OpenObject,
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            id="OpenObject",
        ),
        pytest.param(
            dict[str, str],
            {"type": "object", "additionalProperties": {"type": "string"}},
            id="dict of strings",
        ),
        pytest.param(
            dict[Annotated[str, Field(pattern="^a", max_length=3)], str],
            {"type": "object", "additionalProperties": {"type": "string"}},
            id="dict of strings with bounded keys",
        ),
        pytest.param(
            dict[Annotated[str, Matching("^a$", "a")], str],
            {"type": "object", "additionalProperties": {"type": "string"}},
            id="dict of strings with keys that match",
        ),
        pytest.param(
            datetime.datetime, {"type": "string", "format": "date-time"}, id="date and time"
        ),
        pytest.param(
            tuple[_Child, ...],
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "description": "A child.",
                    "properties": {"name": {"type": "string", "description": "Its name."}},
                    "required": ["name"],
                },
                "x-kubernetes-list-type": "atomic",
            },
            id="list of objects is atomic unless told otherwise",
        ),
        pytest.param(
            tuple[Any, ...],
            {"type": "array", "items": {"x-kubernetes-preserve-unknown-fields": True}},
            id="list of anything",
        ),
    ],
)
def test_row_of_the_table(annotation: Any, expected: dict[str, Any]) -> None:
    assert _field(annotation) == expected


def test_list_keyed_by_a_field_is_a_map() -> None:
    schema = _field(Annotated[tuple[NamedOpenObject, ...], KeyedBy(("name",))])

    assert schema["x-kubernetes-list-type"] == "map"
    assert schema["x-kubernetes-list-map-keys"] == ["name"]
    assert schema["items"]["required"] == ["name"]
    assert schema["items"]["x-kubernetes-preserve-unknown-fields"] is True


def test_quantity_has_a_pattern_beside_int_or_string() -> None:
    schema = _field(Quantity)

    assert schema["x-kubernetes-int-or-string"] is True
    assert "pattern" in schema
    assert "type" not in schema


def test_recursive_model_becomes_an_open_object() -> None:
    schema = structural_schema(_Tree)

    items = schema["properties"]["branches"]["items"]
    assert items["x-kubernetes-preserve-unknown-fields"] is True
    assert "properties" not in items


@pytest.mark.parametrize("default", [None, "x"])
def test_defaults_and_titles_are_dropped(default: str | None) -> None:
    assert _field(str | None, default) == {"type": "string"}


@pytest.mark.parametrize("default", [0, False, "", "x"])
def test_default_of_the_schema_is_emitted(default: Any) -> None:
    annotation = Annotated[str | None, SchemaDefault(default)]

    assert _field(annotation, None) == {"type": "string", "default": default}


@pytest.mark.parametrize(
    "annotation",
    [
        pytest.param(tuple[int, str], id="tuple of two types"),
        pytest.param(int | bool, id="other union"),
        pytest.param(Decimal, id="decimal"),
        pytest.param(_Child | str, id="object or string"),
        pytest.param(
            Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})],
            id="keyword that nobody handles",
        ),
    ],
)
def test_what_has_no_structural_schema_is_refused_with_its_path(annotation: Any) -> None:
    with pytest.raises(NotStructural, match=r"^\.field"):
        _field(annotation)


def test_polymorphic_node_is_open_and_described() -> None:
    class Model(ApiModel):
        """A model."""

        children: Annotated[tuple[_Child, ...], Polymorphic("One or more")] = ()
        """Little ones."""

    assert structural_schema(Model)["properties"]["children"] == {
        "description": "Little ones.\nOne or more with the fields:\n"
        "- name (string, required): Its name.",
        "x-kubernetes-preserve-unknown-fields": True,
    }


def test_internal_field_is_not_in_the_schema() -> None:
    class Model(ApiModel):
        """A model."""

        shown: str = ""
        """Shown."""

        hidden: Annotated[str, Internal()] = ""
        """Hidden."""

    assert list(structural_schema(Model)["properties"]) == ["shown"]


def test_rules_of_model_and_field_are_kept() -> None:
    class Model(ApiModel):
        """A model."""

        model_config = ConfigDict(json_schema_extra=rules(rule("self.a != ''", "a: is empty")))

        a: Annotated[str, Field(json_schema_extra=rules(rule("self != 'x'", "a: is x")))] = ""
        """A."""

    schema = structural_schema(Model)

    assert schema["x-kubernetes-validations"] == [
        {"rule": "self.a != ''", "message": "a: is empty"}
    ]
    assert schema["properties"]["a"]["x-kubernetes-validations"] == [
        {"rule": "self != 'x'", "message": "a: is x"}
    ]


def test_docstring_loses_the_line_breaks_of_the_source_and_keeps_paragraphs() -> None:
    class Model(ApiModel):
        """A line
        and its end.

        Another paragraph.
        """

    assert structural_schema(Model)["description"] == "A line and its end.\n\nAnother paragraph."


def test_string_below_a_field_describes_it_also_in_a_class_that_inherits_it() -> None:
    class Model(_Child):
        first: str
        """Mine,
        on two lines."""

        second: Annotated[str, Field(description="Told.")]
        """Not this."""

        third: str
        fourth: ClassVar[int] = 0
        "Nor this."

        class Nested(ApiModel):
            first: str
            """Of another class."""

    properties = structural_schema(Model)["properties"]

    assert {name: child.get("description") for name, child in properties.items()} == {
        "name": "Its name.",
        "first": "Mine, on two lines.",
        "second": "Told.",
        "third": None,
    }


def test_input_is_not_changed() -> None:
    class Model(BaseModel):
        child: _Child | None = None
        numbers: set[int] = set()

    before = Model.model_json_schema()
    after = copy.deepcopy(before)

    structural(after)

    assert after == before
