# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whatever somebody does to a child: one patch puts it right, and leaves what is theirs."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from controller.llamastack.objects.compare import in_place, stamped
from controller.llamastack.objects.differences import differences, patch_of
from controller.llamastack.objects.shapes import Form, Shape, shape_of
from tests.support.edits.full import FULL, children_of
from tests.support.edits.row import Json, merged
from tests.support.fakeapi.patches import json_patched

Path: TypeAlias = tuple[str | int, ...]

SPECS = (FULL, merged(FULL, {"workload": {"storage": None, "autoscaling": None, "replicas": 2}}))
MANIFESTS: list[Json] = [
    json.loads(json.dumps(stamped(child.manifest)))
    for spec in SPECS
    for child in children_of("demo", "prod", spec)
]
SIDECAR: Json = {"name": "sidecar", "command": ["x"], "ports": [{"containerPort": 1}]}
THEIRS: Json = {"name": "theirs", "hostPath": {"path": "/x"}}


def at(obj: Any, path: Path) -> Any:
    for part in path:
        obj = obj[part]
    return obj


NOT_TOUCHED = {("apiVersion",), ("kind",), ("metadata",), ("spec",)}
IDENTITY = {("metadata", "name"), ("metadata", "namespace")}


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Everything in a manifest that somebody may do damage to."""
    inner: Any = ()
    if type(value) is dict:
        inner = value.items()
    elif type(value) is list:
        inner = enumerate(value)
    for part, below in inner:
        here = (*path, part)
        if here not in NOT_TOUCHED | IDENTITY:
            yield here
        yield from places(below, here)


def shape_at(kind: str, path: Path) -> Shape:
    shape = shape_of(kind)
    for part in path:
        inner = shape.items if isinstance(part, int) else shape.fields.get(part)
        shape = inner or Shape()
    return shape


@st.composite
def damaged(draw: st.DrawFn) -> tuple[Json, Json]:
    """A manifest, and a live object to which somebody did several things."""
    wanted = draw(st.sampled_from(MANIFESTS))
    live: Json = copy.deepcopy(wanted)
    live["metadata"] |= {"uid": "u", "resourceVersion": "7", "generation": 1}
    live["metadata"]["labels"]["their.example/x"] = "y"
    if wanted["kind"] == "Deployment":
        pod = live["spec"]["template"]["spec"]
        pod["containers"].insert(0, copy.deepcopy(SIDECAR))
        pod["volumes"].insert(0, copy.deepcopy(THEIRS))
    for _ in range(draw(st.integers(1, 5))):
        everywhere = [path for path in places(live) if not _is_theirs(live, path)]
        path = draw(st.sampled_from(everywhere))
        _damage(draw, live, path, shape_at(wanted["kind"], path))
    return wanted, live


def _is_theirs(live: Json, path: Path) -> bool:
    names = [
        at(live, path[:length]).get("name")
        for length in range(1, len(path) + 1)
        if type(at(live, path[:length])) is dict
    ]
    return bool({"sidecar", "theirs"}.intersection(names)) or path[-1] in {
        *("uid", "resourceVersion", "generation", "their.example/x"),
        *("containers", "labels", "spec", "template", "volumes"),
    }


def _damage(draw: st.DrawFn, live: Json, path: Path, shape: Shape) -> None:
    parent, last = at(live, path[:-1]), path[-1]
    value = parent[last]
    others = sorted(shape.groups.keys() - value.keys()) if type(value) is dict else []
    is_other_half = draw(st.booleans())
    if others and is_other_half:
        other = draw(st.sampled_from(others))
        if draw(st.booleans()):
            for one in shape.groups[other] - {"name"}:
                value.pop(one, None)
        value[other] = {"their": "half"}
    elif type(value) is dict and (shape.atomic or shape.form is Form.MAP) and value:
        value["their"] = draw(st.sampled_from(["", "x"]))
    elif type(value) is list and value and type(value[0]) is dict and draw(st.booleans()):
        value.append({**copy.deepcopy(value[0]), "name": draw(st.sampled_from(["http", "x"]))})
    elif type(value) in {str, int} and draw(st.booleans()):
        parent[last] = {str: "theirs", int: 80}[type(value)]
    else:
        del parent[last]


@given(damaged())
def test_one_patch_puts_everything_right_and_leaves_what_is_theirs(case: tuple[Json, Json]) -> None:
    wanted, live = case

    repaired: Json = json_patched(copy.deepcopy(live), patch_of(differences(wanted, live), live))

    assert in_place(wanted, repaired)
    assert repaired["metadata"]["labels"]["their.example/x"] == "y"
    if wanted["kind"] == "Deployment":
        pod = repaired["spec"]["template"]["spec"]
        assert SIDECAR in pod["containers"]
        assert THEIRS in pod["volumes"]


@given(damaged())
def test_looking_changes_neither(case: tuple[Json, Json]) -> None:
    before = copy.deepcopy(case)

    differences(*case)

    assert case == before
