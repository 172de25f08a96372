# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Random resources of both versions, of which a good share is accepted.

What a schema allows at random is hardly ever what the rules allow. So a resource starts from the
specs of the tables of edits, which have every field with values that work: several of them are
merged, and then places are damaged at random, by values that the models' schemas allow or nearly
allow. Some are nothing but such values.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st
from pydantic import BaseModel

from api import OLD_VERSION, VERSION, VERSIONS
from api.v1alpha1 import LlamaStackDistribution as OldResource
from api.v1alpha2 import LlamaStackDistribution as NewResource
from tests.support.edits.row import merged
from tests.support.edits.table import ROWS
from tests.support.edits.table_v1alpha1 import OLD_ROWS
from tests.support.json_places import put
from tests.support.schema_strategies import JSON, SCALARS, objects_of

Json = dict[str, Any]
Place = tuple[str | int, ...]

SPECS: Final[Mapping[str, tuple[Json, ...]]] = {
    OLD_VERSION: tuple(spec for row in OLD_ROWS for spec in row.steps),
    VERSION: tuple(spec for row in ROWS for spec in row.steps),
}
"""Specs that are fine, by version."""

_MODELS: Final[Mapping[str, type[BaseModel]]] = {OLD_VERSION: OldResource, VERSION: NewResource}
_UNKNOWN: Final = st.sampled_from(["laterField", "config", "settings", "host", "secretRefs", "a.b"])


@functools.cache
def _of_schema(version: str, *, strange: bool) -> st.SearchStrategy[Any]:
    return objects_of(_MODELS[version], strange=strange).map(
        lambda obj: obj.get("spec", {}) if isinstance(obj, dict) else obj
    )


@st.composite
def specs(draw: st.DrawFn, version: str) -> Any:
    """Specs of a version; also what is none."""
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return draw(_of_schema(version, strange=True))
    spec = draw(st.sampled_from(SPECS[version]))
    if kind < 12:
        spec = merged(spec, draw(st.sampled_from(SPECS[version])))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        spec = draw(_damaged(spec, version))
    return spec


@st.composite
def _damaged(draw: st.DrawFn, spec: Any, version: str) -> Any:
    places = list(_places(spec))
    place = draw(st.sampled_from(places))
    value: Any = spec
    for step in place:
        value = value[step]
    match draw(st.sampled_from(["put", "drop", "unknown", "twice", "section", "null"])):
        case "drop" if place:
            parent: Any = spec
            for step in place[:-1]:
                parent = parent[step]
            left = (
                {k: v for k, v in parent.items() if k != place[-1]}
                if isinstance(parent, dict)
                else [v for n, v in enumerate(parent) if n != place[-1]]
            )
            return put(spec, place[:-1], left)
        case "unknown" if isinstance(value, dict):
            return put(spec, place, {draw(_UNKNOWN): draw(JSON), **value})
        case "twice" if isinstance(value, list) and value:
            return put(spec, place, [*value, draw(st.sampled_from(value))])
        case "section" if isinstance(spec, dict):
            drawn = draw(_of_schema(version, strange=False))
            name = draw(st.sampled_from(sorted(drawn))) if drawn else ""
            return {**spec, name: drawn[name]} if name else spec
        case "null":
            return put(spec, place, None)
        case _:
            pass
    return put(spec, place, draw(SCALARS | JSON))


def _places(value: Any, at: Place = ()) -> Iterator[Place]:
    yield at
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _places(below, (*at, key))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _places(below, (*at, number))


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a resource.

    Attributes:
        verb: ``create``, ``replace`` or ``patch``.
        version: in which it is written.
        spec: the whole, or what is merged into it.
    """

    verb: str
    version: str
    spec: Any


@st.composite
def writes(draw: st.DrawFn) -> list[Write]:
    """A creation, and what may follow it, each in one of the versions."""
    verbs = ["create", *draw(st.lists(st.sampled_from(["replace", "patch"]), max_size=2))]
    versions = [draw(st.sampled_from(VERSIONS)) for _ in verbs]
    return [
        Write(verb, version, draw(specs(version)))
        for verb, version in zip(verbs, versions, strict=True)
    ]
