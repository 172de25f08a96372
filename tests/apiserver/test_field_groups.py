# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What excludes what we send: the data says what the API server says, by dry runs, in every kind.

To each struct that we send, every field that it has no value for is added, with a made-up value. If
the API server finds fault with the two together, but not with the other alone, they exclude each
other, and the data has to know it. So a rule that a new version brings is found here.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest

from controller.llamastack.objects.differences import differences
from controller.llamastack.objects.kinds import ROUTE
from controller.llamastack.objects.shapes import Form, Shape, shape_of
from controller.llamastack.render.manifest import Child
from hack.api_fields import EXCLUSIVE, PATH, references, root_of, short_name, type_of
from hack.cluster.client import Client
from hack.cluster.plane import ControlPlane
from tests.support.edits.full import FULL, KINDS, children_of
from tests.support.edits.row import Json, merged

pytestmark = pytest.mark.apiserver

Path: TypeAlias = tuple[str | int, ...]

CLAIM = {"name": "gpu"}
OVERRIDES = {
    "volumes": [
        {"name": "fc", "fc": {"wwids": ["1"]}},
        {"name": "flocker", "flocker": {"datasetName": "x"}},
        {"name": "more", "emptyDir": {}},
    ],
    "volumeMounts": [{"name": "more", "mountPath": "/more", "subPath": "x"}],
}
SPEC = merged(
    FULL,
    {
        "workload": {
            "storage": {"accessModes": ["ReadWriteOnce"]},
            "overrides": OVERRIDES,
            "resources": {"claims": [CLAIM]},
        }
    },
)
"""Whatever may be sent that excludes something: also a Deployment that recreates its pods."""

FILLED_IN = {
    "clusterIP",
    "clusterIPs",
    "creationTimestamp",
    "deletionTimestamp",
    "ipFamilies",
    "status",
}
"""The API server's own: it chooses the values, and goes by them whatever we send."""


@dataclass
class Found:
    """What the dry runs found.

    Attributes:
        excluding: path of a field, and those of ours that it does not go with.
        visited: types of which something was sent.
        accepted: fields that may be beside what we send: type, name, and names of ours.
    """

    excluding: dict[Path, list[str]] = field(default_factory=dict)
    visited: set[str] = field(default_factory=set)
    accepted: list[tuple[str, str, frozenset[str]]] = field(default_factory=list)


class Walk:
    """Through everything that we send in one child.

    Args:
        client: of the API server.
        child: that we send.
    """

    def __init__(self, client: Client, child: Child) -> None:
        self._client = client
        self._resource = child.resource
        group = f"apis/{child.resource.group}" if child.resource.group else "api"
        document = client.get(f"/openapi/v3/{group}/{child.resource.version}")
        self._schemas: Json = document["components"]["schemas"]
        self._manifest: Json = json.loads(json.dumps(child.manifest))
        self._seen: set[tuple[str, str, frozenset[str]]] = set()
        self.found = Found()

    def run(self) -> Found:
        """All of it."""
        assert self._faults(self._manifest) == frozenset()
        self._struct(root_of(self._resource, self._schemas), ())
        return self.found

    def _struct(self, name: str, path: Path) -> None:
        node = at(self._manifest, path)
        self.found.visited.add(short_name(name))
        for name_of_field, schema in self._schemas[name].get("properties", {}).items():
            if name_of_field in FILLED_IN:
                continue
            inner = (*path, name_of_field)
            if name_of_field not in node:
                signature = (name, name_of_field, frozenset(node))
                if signature not in self._seen:
                    self._seen.add(signature)
                    self._beside(name, inner, schema)
            elif path or name_of_field != "metadata":
                self._inside(schema, inner)

    def _inside(self, schema: Json, path: Path) -> None:
        (name,) = [*references(schema), ""][:1]
        if "properties" not in self._schemas.get(name, {}):
            return
        value = at(self._manifest, path)
        for inner in [(*path, i) for i in range(len(value))] if type(value) is list else [path]:
            self._struct(name, inner)

    def _beside(self, name: str, path: Path, schema: Json) -> None:
        """Add one field to what we send."""
        parent, added = path[:-1], path[-1]
        both = copy.deepcopy(self._manifest)
        at(both, parent)[added] = self._sample(schema)
        faults = self._faults(both)
        if not faults:
            sent = frozenset(at(self._manifest, parent))
            self.found.accepted.append((short_name(name), str(added), sent))
            return
        properties = self._schemas[name]["properties"]
        ours = at(self._manifest, parent)
        excluded = [
            one
            for one in ours
            if any(
                not faults <= self._faults(other)
                for other in without(both, (*parent, one), properties[one].get("enum", ()))
            )
        ]
        if excluded:
            self.found.excluding[path] = excluded

    def _faults(self, obj: Json) -> frozenset[tuple[str, str]]:
        namespace = self._manifest["metadata"]["namespace"]
        path = f"{self._resource.path(namespace=namespace)}?dryRun=All"
        status, body = self._client.raw("POST", path, obj)
        if status < 300:
            return frozenset()
        answer = json.loads(body)
        causes = (answer.get("details") or {}).get("causes") or [{"message": answer["message"]}]
        return frozenset((cause.get("field", ""), cause["message"]) for cause in causes)

    def _sample(self, schema: Json) -> Any:
        if name := type_of(schema):
            named = self._schemas[name]
            if "properties" not in named:
                return "1" if name.endswith("Quantity") else 1
            required = named.get("required", ())
            return {one: self._sample(named["properties"][one]) for one in required}
        if schema.get("type") == "array":
            return [self._sample(schema["items"])]
        if schema.get("type") == "object":
            inner = schema.get("additionalProperties")
            return {"x": self._sample(inner)} if isinstance(inner, dict) else {}
        plain = {"integer": 1, "boolean": True}
        return plain.get(schema.get("type", ""), [*schema.get("enum", ()), "x"][0])


def at(obj: Any, path: Path) -> Any:
    for part in path:
        obj = obj[part]
    return obj


def without(obj: Json, path: Path, values: list[Any]) -> Iterator[Json]:
    """The object without one field, and with each other value of it."""
    for value in (None, *values):
        other = copy.deepcopy(obj)
        if value is None:
            del at(other, path[:-1])[path[-1]]
        else:
            at(other, path[:-1])[path[-1]] = value
        yield other


def shapes_on(path: Path, kind: str) -> list[Shape]:
    """The shapes of everything on the way to a field, the field's own left out."""
    found = [shape_of(kind)]
    for part in path[:-1]:
        last = found[-1]
        inner = last.items if isinstance(part, int) else last.fields.get(part)
        found.append(inner or Shape())
    return found


def is_one_value(path: Path, kind: str) -> bool:
    """Whether the field is in something that is compared and written as one value."""
    return any(
        shape.atomic or (shape.form is Form.PLAIN and shape.items is not None)
        for shape in shapes_on(path, kind)
    )


def is_told_apart(path: Path, ours: str, kind: str) -> bool:
    """Whether an entry of a list that has another value for ours is another entry."""
    on_the_way = shapes_on(path, kind)
    return len(on_the_way) > 1 and ours in on_the_way[-2].keys


def is_grouped(path: Path, ours: str, kind: str) -> bool:
    """Whether the data knows that the field does not go with ours."""
    return ours in shapes_on(path, kind)[-1].groups.get(str(path[-1]), ())


@pytest.fixture(scope="module")
def found(control_plane: ControlPlane) -> dict[str, tuple[Child, Found]]:
    children = children_of("demo", "default", SPEC)
    return {
        child.resource.kind: (child, Walk(control_plane.client, child).run()) for child in children
    }


KIND_NAMES = [kind.kind for kind in KINDS if kind.kind != "ConfigMap"]


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_what_the_api_server_refuses_beside_ours_is_in_the_data(
    found: dict[str, tuple[Child, Found]], kind: str
) -> None:
    _, what = found[kind]

    unknown = {
        path: excluded
        for path, excluded in what.excluding.items()
        if not is_one_value(path, kind)
        and not any(
            is_grouped(path, one, kind) or is_told_apart(path, one, kind) for one in excluded
        )
    }

    assert unknown == {}


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_other_half_in_the_place_of_ours_is_taken_away(
    found: dict[str, tuple[Child, Found]], kind: str
) -> None:
    child, what = found[kind]
    for path, excluded in what.excluding.items():
        ours = [one for one in excluded if is_grouped(path, one, kind)]
        if is_one_value(path, kind) or not ours:
            continue
        live: Json = json.loads(json.dumps(child.manifest))
        struct = at(live, path[:-1])
        struct[path[-1]] = {"their": "half"}
        for one in ours:
            del struct[one]

        wrong = {one.path: one for one in differences(child.manifest, live)}

        assert wrong[path].removed, path
        assert wrong[path].in_the_way, path
        assert {(*path[:-1], one) for one in ours} <= wrong.keys()


def test_each_group_of_the_data_is_one_of_the_api_server(
    found: dict[str, tuple[Child, Found]],
) -> None:
    """So that nothing stays in the list that is not so, or no longer."""
    types = json.loads(PATH.read_text("utf-8"))["types"]
    wrong = [
        (name, added, group)
        for _, what in found.values()
        for name, added, sent in what.accepted
        for group in types.get(name, {}).get("groups", ())
        if added in group and not sent.isdisjoint(group)
    ]

    assert wrong == []
    assert EXCLUSIVE.keys() <= {name for _, what in found.values() for name in what.visited}


def test_no_kind_is_left_out(found: dict[str, tuple[Child, Found]]) -> None:
    assert set(found) == set(KIND_NAMES)
    assert ROUTE.kind not in found  # it is no API of Kubernetes: see test_route.py
