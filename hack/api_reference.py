# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The pages of the API, made from the models: every type, field, limit and rule.

The models' own JSON schema is the source and not the CRD, because nodes that take one object or a
list are open there (R-D2) and their fields would be missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from api import GROUP, KIND, OLD_VERSION, VERSION
from api.model import ApiModel
from api.v1alpha1.stored import StoredLlamaStackDistribution as OldStored
from api.v1alpha2.stored import StoredLlamaStackDistribution

Schema: TypeAlias = Mapping[str, Any]

_BELOW: Final = "#/$defs/"
_TAGS: Final = re.compile(r" \((?:[A-Z]+-)*[A-Z]*[0-9]+[a-z]?\)")
"""Tag of a requirement or a promise, which means nothing to users."""

_METADATA: Final = "ObjectMeta"
"""Kubernetes' own; described there."""
_LIMITS: Final = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "maxItems": "at most {} items",
    "minItems": "at least {} items",
}
_EXPLAIN: Final = """\
A field in **bold** is required.
`kubectl explain llsd.spec{option}` shows the same, but not what is inside of fields with several
forms.
"""
_INTRODUCTION: Final = f"""\
# API reference

Every field of `{KIND}`, `{GROUP}/{VERSION}`, made from the code by `make crd`.
[configuration.md](configuration.md) says with examples what the fields of `spec` do.
[status.md](status.md) says what those of `status` tell.
The fields of `{OLD_VERSION}` have [a page of their own](api-reference-{OLD_VERSION}.md).

{_EXPLAIN.format(option="")}"""
_OLD_INTRODUCTION: Final = f"""\
# API reference of {OLD_VERSION}

Every field of `{KIND}`, `{GROUP}/{OLD_VERSION}`, made from the code by `make crd`.
It is the Go operator's version, with what `{VERSION}` brought at the places that it has here.
What differs from the Go operator's CRD is in
[migration-v1alpha1-to-v1alpha2.md](migration-v1alpha1-to-v1alpha2.md#differences-from-the-go-operators-crd).
`{VERSION}` has [a page of its own](api-reference.md).

{_EXPLAIN.format(option=f" --api-version={GROUP}/{OLD_VERSION}")}"""


def api_reference() -> str:
    """The page of the current version."""
    return _page(StoredLlamaStackDistribution, _INTRODUCTION)


def old_api_reference() -> str:
    """The page of v1alpha1."""
    return _page(OldStored, _OLD_INTRODUCTION)


def _page(model: type[ApiModel], introduction: str) -> str:
    document = model.model_json_schema(by_alias=True, mode="validation")
    definitions: Mapping[str, Schema] = document["$defs"]
    order = dict.fromkeys(_reached(document, definitions))
    types = {KIND: document} | {name: definitions[name] for name in order}
    page = _Page(types)
    parts = [introduction]
    for name in types:
        parts += page.section(name)
    return "\n".join(parts)


def _reached(node: Any, definitions: Mapping[str, Schema]) -> Iterator[str]:
    """Names of all types below a node, each before those that it refers to."""
    seen: set[str] = set()
    waiting = [*_references(node)][::-1]
    while waiting:
        name = waiting.pop()
        if name in seen or name == _METADATA:
            continue
        seen.add(name)
        yield name
        waiting += [*_references(definitions[name])][::-1]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "$ref" in node:
            yield node["$ref"].removeprefix(_BELOW)
        for key, value in node.items():
            if key != "$defs":
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _users(types: Mapping[str, Schema]) -> Mapping[str, list[str]]:
    """Type → the types that have a field of it."""
    found: dict[str, list[str]] = {}
    for name, schema in types.items():
        for target in dict.fromkeys(_references(schema)):
            found.setdefault(target, []).append(name)
    return found


class _Page:
    """Knows all types.

    Args:
        types: by name, in the order of the page.
    """

    def __init__(self, types: Mapping[str, Schema]) -> None:
        self._types = types
        self._used = _users(types)

    def section(self, name: str) -> Iterator[str]:
        """The lines about one type."""
        schema = self._types[name]
        yield f"## {name}\n"
        yield f"{_prose(schema)}\n"
        if users := self._used.get(name):
            yield f"Used by {', '.join(map(_link, users))}.\n"
        if "enum" in schema:
            yield f"One of {_values(schema)}.\n"
        if properties := schema.get("properties"):
            yield "| field | type | meaning |\n| --- | --- | --- |"
            for field, node in properties.items():
                shown = f"**`{field}`**" if field in schema.get("required", ()) else f"`{field}`"
                yield f"| {shown} | {_type(node)} | {self._meaning(node)} |"
            yield ""
        nodes = [schema, *schema.get("properties", {}).values()]
        rules = [rule["message"] for node in nodes for rule in _rules(node)]
        if rules:
            yield "Rules:\n"
            yield from (f"- {_escaped(rule)}" for rule in rules)
            yield ""

    def _meaning(self, node: Schema) -> str:
        node = _without_null(node)
        # What has no words of its own has those of its type.
        target = self._types.get(str(node.get("$ref", "")).removeprefix(_BELOW), {})
        parts = [_prose(node) or _prose(target)]
        if "enum" in node or "const" in node:
            words = "One of" if "enum" in node else "Always"
            parts.append(f"{words} {_values(node)}.")
        if "x-default" in node:
            parts.append(f"Default `{json.dumps(node['x-default'])}`.")
        limits = [_limit(key, node[key]) for key in _LIMITS if key in node]
        if limits:
            parts.append(f"{', '.join(limits).capitalize()}.")
        return " ".join(filter(None, parts))


def _limit(key: str, value: int) -> str:
    return "not empty" if (key, value) == ("minLength", 1) else _LIMITS[key].format(value)


def _rules(node: Schema) -> list[Schema]:
    return list(_without_null(node).get("x-kubernetes-validations", ()))


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _type(node: Schema) -> str:
    """How a type is written: a link, a word, or a list or map of them."""
    node = _without_null(node)
    if "$ref" in node:
        name = node["$ref"].removeprefix(_BELOW)
        return name if name == _METADATA else _link(name)
    if "x-object" in node:
        inner = node["x-object"]
        several = inner.get("type") == "array"
        one = _type(inner["items"]) if several else _type(inner)
        first = node.get("x-forms", "").split(" ", 2)
        other = {"A boolean": "boolean", "The name": "string"}.get(" ".join(first[:2]), "")
        return f"{one} or list of it" if several else f"{other} or {one}" if other else one
    if node.get("type") == "array":
        return f"list of {_type(node['items'])}"
    values = list(node.get("patternProperties", {}).values())
    if not values and isinstance(node.get("additionalProperties"), Mapping):
        values = [node["additionalProperties"]]
    if values:
        return f"map of string to {_type(values[0])}"
    if node.get("x-kubernetes-int-or-string") or "anyOf" in node:
        return "integer or string"
    return str(node.get("type", "any"))


def _without_null(node: Schema) -> Schema:
    arms = [arm for arm in node.get("anyOf", ()) if arm.get("type") != "null"]
    if len(arms) == 1:
        return {**arms[0], **{k: v for k, v in node.items() if k not in {"anyOf", "default"}}}
    return node


def _values(node: Schema) -> str:
    values = node.get("enum") or [node["const"]]
    return ", ".join(f"`{value}`" for value in values)


def _prose(node: Schema) -> str:
    text = " ".join(str(node.get("description", "")).split())
    text = _TAGS.sub("", text).replace("``", "`")
    return _escaped(text if not text or text.endswith(".") else f"{text}.")


def _escaped(text: str) -> str:
    """Nothing of a text is taken for markup."""
    for character in "|<>*_":
        text = text.replace(character, f"\\{character}")
    return text
