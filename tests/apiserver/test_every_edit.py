# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Every field of the spec is set, changed and removed on a live resource.

After each of the three edits the live children are those of a fresh resource with the final spec.
All rows of the table are edited side by side, by the real operator with its own rights; a test
for each row then looks at what came of it. There are no controllers: what they would write into
the children is not compared anyway.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.cluster.plane import ControlPlane, PlaneOptions
from tests.support.edits.arena import Arena
from tests.support.edits.normal import differences
from tests.support.edits.pending import pending
from tests.support.edits.row import Json, Row
from tests.support.edits.table import ROWS
from tests.support.operator_process import OperatorProcess
from tests.support.world import install

pytestmark = pytest.mark.apiserver

READY = [row for row in ROWS if not pending(row)]
STEPS = ("set", "changed", "removed")


@pytest.fixture(scope="module")
def arena(binaries: Mapping[str, Path]) -> Iterator[Arena]:
    with ControlPlane(binaries, PlaneOptions(controller_manager=False)) as plane:
        kubeconfig = install(plane)
        with OperatorProcess(kubeconfig, "--workers=16") as operator:
            operator.wait_logged("Started workers")
            yield Arena(plane, "edits")


@pytest.fixture(scope="module")
def outcomes(arena: Arena) -> dict[tuple[str, str], list[str]]:
    """By row and step: where the children are not those of a fresh resource."""
    fresh = _fresh_names()
    edited = {row.name: f"edited-{number:04d}" for number, row in enumerate(READY)}
    arena.prepare(spec for row in READY for spec in row.steps)
    arena.create({name: json.loads(spec) for spec, name in fresh.items()})
    arena.create({edited[row.name]: row.absent for row in READY})
    trouble = arena.settle([*fresh.values(), *edited.values()])
    wanted = arena.children()
    found: dict[tuple[str, str], list[str]] = {}
    for number, step in enumerate(STEPS):
        arena.edit({edited[row.name]: row.steps[number] for row in READY})
        trouble |= arena.settle(edited.values())
        live = arena.children()
        for row in READY:
            names = edited[row.name], fresh[_key(row.steps[number])]
            found[row.name, step] = [trouble[name] for name in names if name in trouble] or (
                differences(live[names[0]], wanted[names[1]])
            )
    return found


def _fresh_names() -> dict[str, str]:
    """A resource for each different spec."""
    keys = dict.fromkeys(_key(spec) for row in READY for spec in row.steps)
    return {key: f"fresh-{number:04d}" for number, key in enumerate(keys)}


def _key(spec: Json) -> str:
    return json.dumps(spec)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("row", READY, ids=str)
def test_children_are_those_of_a_fresh_resource(
    row: Row, step: str, outcomes: dict[tuple[str, str], list[str]]
) -> None:
    assert outcomes[row.name, step] == []
