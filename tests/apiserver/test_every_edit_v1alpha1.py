# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Every field of v1alpha1 is set, changed and removed on a live resource.

After each edit, which is made in v1alpha1 and converted by the operator, the live children are
those of a fresh resource of v1alpha2 with the spec that it stands for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from api import OLD_VERSION
from hack.cluster.plane import ControlPlane, PlaneOptions
from tests.support.edits.arena import Arena
from tests.support.edits.full import EVERY_FEATURE
from tests.support.edits.normal import differences
from tests.support.edits.row import Row
from tests.support.edits.table_v1alpha1 import OLD_ROWS, hub_of
from tests.support.webhooked import asked, webhooked
from tests.support.world import SYSTEM

pytestmark = [
    pytest.mark.apiserver,
    # The work of all tests is done by the first one.
    pytest.mark.timeout(400),
]

STEPS = ("set", "changed", "removed")

Found = dict[tuple[str, str], list[str]]


@pytest.fixture(scope="module")
def plane(binaries: Mapping[str, Path]) -> Iterator[ControlPlane]:
    with (
        ControlPlane(binaries, PlaneOptions(controller_manager=False)) as made,
        webhooked(made) as where,
        asked(where, "--workers=16", "--missing-references=warn") as operator,
    ):
        made.client.create(f"/api/v1/namespaces/{SYSTEM}/configmaps", EVERY_FEATURE)
        operator.wait_logged("Started workers")
        yield made


@pytest.fixture(scope="module")
def found(plane: ControlPlane) -> Found:
    """Where children are not those of a fresh resource, by row and step."""
    old, new = Arena(plane, "edits", version=OLD_VERSION), Arena(plane, "edits")
    hubs = {row.name: [hub_of(spec) for spec in row.steps] for row in OLD_ROWS}
    keys = dict.fromkeys(json.dumps(hub) for steps in hubs.values() for hub in steps)
    fresh = {key: f"fresh-{number:04d}" for number, key in enumerate(keys)}
    edited = {row.name: f"edited-{number:04d}" for number, row in enumerate(OLD_ROWS)}
    new.prepare(json.loads(key) for key in keys)
    new.create({name: json.loads(key) for key, name in fresh.items()})
    old.create({edited[row.name]: row.absent for row in OLD_ROWS})
    trouble = new.settle([*fresh.values(), *edited.values()])
    wanted = new.children()
    result: Found = {}
    for number, step in enumerate(STEPS):
        old.edit({edited[row.name]: row.steps[number] for row in OLD_ROWS})
        trouble |= new.settle(edited.values())
        live = new.children()
        for row in OLD_ROWS:
            names = edited[row.name], fresh[json.dumps(hubs[row.name][number])]
            result[row.name, step] = [trouble[name] for name in names if name in trouble] or (
                differences(live[names[0]], wanted[names[1]])
            )
    return result


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("row", OLD_ROWS, ids=str)
def test_children_are_those_of_a_fresh_resource_of_v1alpha2(
    row: Row, step: str, found: Found
) -> None:
    assert found[row.name, step] == []
