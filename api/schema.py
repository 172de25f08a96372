# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Pydantic's JSON schema → the structural schema that a CRD must have.

The API server refuses pydantic's document: references, unions with null, ``const``, numeric
``exclusiveMinimum`` and more have no place in a structural schema (KEP-1693). Worse are the parts
it accepts: ``additionalProperties: true`` prunes nested data, and a ``default`` is written into
stored objects for ever. One pure function answers all of it; each row has its test.

=============================  ================================================================
pydantic writes                emitted
=============================  ================================================================
``anyOf: [X, null]``           X; the null arm and a null default go
``$ref`` / ``$defs``           inlined; a recursive type becomes an open object
``anyOf: [integer, string]``   ``x-kubernetes-int-or-string``
``const``, one ``enum``        ``enum: [x]``
numeric ``exclusiveMinimum``   ``minimum`` and ``exclusiveMinimum: true`` (maximum likewise)
``uniqueItems``                ``x-kubernetes-list-type: set``
no type (``Any``)              ``x-kubernetes-preserve-unknown-fields``
``additionalProperties: true`` ``type: object`` and ``x-kubernetes-preserve-unknown-fields``
one ``patternProperties``      ``additionalProperties``: nothing can be said about keys
``default``, ``title``         dropped: pydantic writes a default for every optional field
``SchemaDefault``              ``default``
list of objects                ``x-kubernetes-list-type: atomic`` unless the model says otherwise
``Polymorphic``                an open node, its forms and fields told in the description
anything else                  an error: dropped in silence, it would be a rule nobody checks
=============================  ================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from pydantic import BaseModel

Schema: TypeAlias = dict[str, Any]

_OPEN: Final[Schema] = {"x-kubernetes-preserve-unknown-fields": True}

_COPIED: Final = (
    "type",
    "format",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "nullable",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
)
"""Keywords that mean the same in both worlds and go through as they are."""

_HANDLED: Final = frozenset(
    {
        *_COPIED,
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "examples",
        "items",
        "patternProperties",
        "properties",
        "propertyNames",
        "title",
        "uniqueItems",
        "x-default",
        "x-forms",
        "x-object",
    }
)
"""Keywords that are understood, if only to be dropped."""


class NotStructural(Exception):
    """A model uses something that no structural schema can say; the message has the path."""


def structural_schema(model: type[BaseModel]) -> Schema:
    """The structural schema of a model.

    Raises:
        NotStructural: the model cannot be expressed; a mistake in the model.
    """
    return structural(model.model_json_schema(by_alias=True, mode="validation"))


def structural(schema: Mapping[str, Any]) -> Schema:
    """The structural form of a JSON schema as pydantic writes it; the input is not changed.

    Raises:
        NotStructural: it has none.
    """
    return _Converter(schema.get("$defs", {})).convert(schema, path="", within=())


class _Converter:
    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions

    def convert(self, node: Mapping[str, Any], *, path: str, within: tuple[str, ...]) -> Schema:
        """One node and all below it. ``within`` are the references that led here."""
        node, within = self._resolved(node, path, within)
        if strange := sorted(node.keys() - _HANDLED):
            raise NotStructural(f"{path or '.'}: {', '.join(strange)} cannot be expressed")
        result: Schema = {}
        if description := self._description(node, path, within):
            result["description"] = description
        result |= {key: node[key] for key in _COPIED if key in node}
        if "x-default" in node:
            result["default"] = node["x-default"]
        _constants(node, result)
        _bounds(result)
        if not self._is_closed(node, result):
            return result
        self._object(node, result, path, within)
        self._list(node, result, path, within)
        return result

    def _resolved(
        self, node: Mapping[str, Any], path: str, within: tuple[str, ...]
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Follow references and drop null arms; what is said beside a reference wins."""
        while True:
            rest = {key: value for key, value in node.items() if key not in ("$ref", "anyOf")}
            if "$ref" in node:
                name = node["$ref"].rsplit("/", 1)[-1]
                if name in within:
                    return {"type": "object", **_OPEN, **rest}, within
                within = (*within, name)
                node = {**self._definitions[name], **rest}
            elif "anyOf" in node:
                node = {**_only_arm(node["anyOf"], path), **rest}
            else:
                return node, within

    @staticmethod
    def _is_closed(node: Mapping[str, Any], result: Schema) -> bool:
        """Complete the keywords of an open node; whether there may be something below it."""
        if result.get("x-kubernetes-int-or-string"):
            return False
        if _values(node) in (True, {}):
            result |= _OPEN
        if "type" not in result:
            result |= _OPEN
            return False
        return True

    def _object(
        self, node: Mapping[str, Any], result: Schema, path: str, within: tuple[str, ...]
    ) -> None:
        if properties := node.get("properties"):
            result["properties"] = {
                name: self.convert(child, path=f"{path}.{name}", within=within)
                for name, child in properties.items()
            }
        values = _values(node)
        if isinstance(values, Mapping) and values:
            result["additionalProperties"] = self.convert(values, path=f"{path}.*", within=within)

    def _list(
        self, node: Mapping[str, Any], result: Schema, path: str, within: tuple[str, ...]
    ) -> None:
        if result.get("type") != "array":
            return
        result["items"] = self.convert(node.get("items", {}), path=f"{path}[]", within=within)
        if node.get("uniqueItems"):
            result["x-kubernetes-list-type"] = "set"
        if result["items"].get("type") == "object":
            # Atomic is what the API server assumes anyway. Saying so shows that it was meant.
            result.setdefault("x-kubernetes-list-type", "atomic")

    def _description(self, node: Mapping[str, Any], path: str, within: tuple[str, ...]) -> str:
        text = _unwrapped(node.get("description", ""))
        if not node.get("x-forms"):
            return text
        fields = self.convert(_innermost(node["x-object"]), path=path, within=within)
        required = fields.get("required", [])
        lines = [
            f"- {name} ({_type_name(child)}{', required' if name in required else ''}):"
            f" {child.get('description', '')}"
            for name, child in fields.get("properties", {}).items()
        ]
        return "\n".join([f"{text}\n{node['x-forms']} with the fields:".strip(), *lines])


def _only_arm(arms: list[Schema], path: str) -> Schema:
    arms = [arm for arm in arms if arm.get("type") != "null"]
    if len(arms) == 1:
        return arms[0]
    if sorted(str(arm.get("type")) for arm in arms) == ["integer", "string"]:
        return {"x-kubernetes-int-or-string": True}
    raise NotStructural(f"{path or '.'}: a union of several types is not structural")


def _values(node: Mapping[str, Any]) -> Any:
    """What the values of a map are; pydantic says it in another place if the keys are bounded."""
    patterns = list(node.get("patternProperties", {}).values())
    return patterns[0] if len(patterns) == 1 else node.get("additionalProperties")


def _constants(node: Mapping[str, Any], result: Schema) -> None:
    if "const" in node:
        result["enum"] = [node["const"]]


def _bounds(result: Schema) -> None:
    """JSON schema has exclusive limits as numbers, OpenAPI v3.0 as a flag beside the limit."""
    for exclusive, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        value = result.get(exclusive)
        if value is not None and not isinstance(value, bool):
            result |= {limit: value, exclusive: True}


def _innermost(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object that is described: the node itself, or the items of a list."""
    while schema.get("type") == "array":
        schema = schema["items"]
        schema = schema.get("x-object", schema)
    return schema


def _type_name(schema: Schema) -> str:
    """A type in the words of ``kubectl explain``."""
    if schema.get("type") == "array":
        return f"list of {_type_name(schema['items'])}"
    return str(schema.get("type", "any"))


def _unwrapped(text: str) -> str:
    """A docstring without the line breaks that only the source code needs."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
