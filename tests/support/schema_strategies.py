# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Random objects that a model's schema allows, and objects that it nearly allows.

Made from pydantic's JSON schema, not from the CRD: there a polymorphic node is open, here its forms
are known. What the schema leaves open is random JSON; with ``strange``, any node may be null, have
a field that nobody knows, or be something else altogether. Texts are few and short, so that the
same one comes up twice: duplicates and clashes are what a conversion stumbles over.

In a large object a single wrong value is rare, and hidden by the others. So there are also objects
of a few fields, each of which may hold anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from hypothesis import strategies as st
from pydantic import BaseModel

from api.model import Json

Make: TypeAlias = Callable[[Mapping[str, Any]], st.SearchStrategy[Any]]

TEXTS = st.sampled_from(["", "a", "b", "vllm", "postgres", "region", "host", "x.y/z", "~[é"])
SCALARS = st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from([1.0, 0.5]) | TEXTS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
_UNKNOWN = st.sampled_from(["laterField", "config", "settings", "metadata", "host", "secretRefs"])


def objects_of(model: type[BaseModel], *, strange: bool = False) -> st.SearchStrategy[Any]:
    """Objects that a model describes.

    Args:
        model: of the object.
        strange: whether to add what an API server would prune or refuse.
    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _Maker(schema.get("$defs", {}), strange=strange).of(schema)


Place: TypeAlias = tuple[str, ...]

_SECTION = 3
"""Steps to a section: ``spec.server.storage``."""

_LIST = "[]"
"""Ends the step of a place that leads into the only item of a list."""


def misfits_of(model: type[BaseModel], part: str) -> st.SearchStrategy[Json]:
    """Objects of a few fields of a model, with no regard to what may be there.

    Drawn is a section first and then a place in it: where there are many fields, a provider's say,
    they must not take the turns of all others.

    Args:
        model: of the object.
        part: of the object that the fields are in.
    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    sections: dict[Place, list[Place]] = {}
    for place in sorted(set(_places(schema, schema.get("$defs", {})))):
        if place[0] == part:
            sections.setdefault(place[:_SECTION], []).append(place)
    names = sorted({place[-1] for places in sections.values() for place in places})
    fields = st.dictionaries(st.sampled_from(names), JSON, min_size=1, max_size=2)
    places = st.sampled_from(list(sections.values())).flatmap(st.sampled_from)
    entries = st.tuples(places, JSON | fields)
    return st.lists(entries, min_size=1, max_size=4).map(_put_together)


def _places(
    node: Mapping[str, Any], definitions: Mapping[str, Json], place: Place = ()
) -> Iterator[Place]:
    """Where a model has fields; those of a list that may be left out are in both forms."""
    if "$ref" in node:
        node = definitions[node["$ref"].rpartition("/")[2]]
    inner = node.get("x-object", {})
    yield from _places(inner, definitions, place) if inner else ()
    yield from _places(inner["items"], definitions, place) if "items" in inner else ()
    for form in node.get("anyOf", ()):
        yield from _places(form, definitions, place)
    for name, child in node.get("properties", {}).items():
        yield (*place, name)
        yield from _places(child, definitions, (*place, name))
    if "items" in node:
        yield from _places(node["items"], definitions, (*place[:-1], f"{place[-1]}{_LIST}"))


def _put_together(entries: Iterable[tuple[Place, Any]]) -> Json:
    """An object with some values; where one is in the way of another, the first stays."""
    root: Json = {}
    for (*above, last), value in entries:
        holder: Any = root
        for step in above:
            holder = _below(holder, step)
        if isinstance(holder, dict):
            holder.setdefault(last, value)
    return root


def _below(holder: Any, step: str) -> Any:
    if not isinstance(holder, dict):
        return None
    if not step.endswith(_LIST):
        return holder.setdefault(step, {})
    items = holder.setdefault(step.removesuffix(_LIST), [{}])
    return items[0] if isinstance(items, list) and items else None


class _Maker:
    def __init__(self, definitions: Mapping[str, Json], *, strange: bool) -> None:
        self._definitions = definitions
        self._strange = strange
        self._known: dict[str, st.SearchStrategy[Any]] = {}

    def of(self, node: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        """Values of one node."""
        made = self._of(node)
        if not self._strange:
            return made
        return st.integers(0, 24).flatmap(lambda dice: JSON if dice == 0 else made)

    def _of(self, node: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            if name not in self._known:
                self._known[name] = st.deferred(lambda: self._of(self._definitions[name]))
            return self._known[name]
        if "x-object" in node:
            return self._forms(node["x-object"])
        if "anyOf" in node:
            arms = [arm for arm in node["anyOf"] if arm.get("type") != "null"]
            return st.one_of([self._of(arm) for arm in arms])
        if "enum" in node or "const" in node:
            return st.sampled_from(node.get("enum") or [node["const"]])
        kinds: dict[str, Make] = {
            "object": self._object,
            "array": self._array,
            "string": lambda _: TEXTS,
            "integer": lambda _: st.integers(0, 2),
            "boolean": lambda _: st.booleans(),
        }
        make = kinds.get(str(node.get("type")))
        return JSON if make is None else make(node)

    def _array(self, node: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        return st.lists(self.of(node.get("items", {})), max_size=3)

    def _forms(self, inner: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        """All forms of a polymorphic node: the object, a list of them, and the short ones."""
        made = self._of(inner)
        if inner.get("type") == "array":
            return made | made.flatmap(lambda items: st.sampled_from(items) if items else JSON)
        return made | TEXTS | st.booleans()

    def _object(self, node: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        properties = node.get("properties")
        if not properties:
            values = node.get("additionalProperties")
            inner = self.of(values) if isinstance(values, Mapping) else JSON
            return st.dictionaries(TEXTS, inner, max_size=2)
        fields = {name: self.of(child) for name, child in properties.items()}
        required = set(node.get("required", ()))
        made = st.fixed_dictionaries(
            {name: child for name, child in fields.items() if name in required},
            optional={name: child for name, child in fields.items() if name not in required},
        )
        if not self._strange:
            return made
        return st.builds(
            lambda known, unknown: {**unknown, **known},
            made,
            st.just({}) | st.dictionaries(_UNKNOWN, JSON, max_size=1),
        )
