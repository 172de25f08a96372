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
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from hack.cluster.plane import ControlPlane, PlaneOptions
from tests.support.edits.arena import Arena
from tests.support.edits.full import EVERY_FEATURE, IN_SYSTEM, KINDS
from tests.support.edits.normal import differences, normalised
from tests.support.edits.pairs import drawn_pairs
from tests.support.edits.row import Json, Row
from tests.support.edits.table import ROWS
from tests.support.operator_process import OperatorProcess
from tests.support.world import SYSTEM, install

pytestmark = [
    pytest.mark.apiserver,
    # The work of all tests is done by the first one: 30 s on a machine that does nothing else.
    pytest.mark.timeout(400),
]

STEPS = ("set", "changed", "removed")
PAIRS = 30
SEED = int(os.environ.get("LLAMASTACK_OPERATOR_TESTS_SEED", "1"))


@pytest.fixture(scope="module")
def plane(binaries: Mapping[str, Path]) -> Iterator[ControlPlane]:
    with ControlPlane(binaries, PlaneOptions(controller_manager=False)) as made:
        kubeconfig = install(made)
        made.client.create(f"/api/v1/namespaces/{SYSTEM}/configmaps", EVERY_FEATURE)
        with OperatorProcess(kubeconfig, "--workers=16", env=IN_SYSTEM) as operator:
            operator.wait_logged("Started workers")
            yield made


@dataclass
class Outcomes:
    """What came of the edits.

    Attributes:
        kinds: of all children that were seen.
        found: by row and step, where the children are not those of a fresh resource.
    """

    kinds: set[str]
    found: dict[tuple[str, str], list[str]]


@pytest.fixture(scope="module")
def outcomes(plane: ControlPlane) -> Outcomes:
    arena = Arena(plane, "edits")
    fresh = _fresh_names()
    edited = {row.name: f"edited-{number:04d}" for number, row in enumerate(ROWS)}
    arena.prepare(spec for row in ROWS for spec in row.steps)
    arena.create({name: json.loads(spec) for spec, name in fresh.items()})
    arena.create({edited[row.name]: row.absent for row in ROWS})
    trouble = arena.settle([*fresh.values(), *edited.values()])
    wanted = arena.children()
    kinds = {child.partition("/")[0] for children in wanted.values() for child in children}
    found: dict[tuple[str, str], list[str]] = {}
    for number, step in enumerate(STEPS):
        arena.edit({edited[row.name]: row.steps[number] for row in ROWS})
        trouble |= arena.settle(edited.values())
        live = arena.children()
        for row in ROWS:
            names = edited[row.name], fresh[_key(row.steps[number])]
            found[row.name, step] = [trouble[name] for name in names if name in trouble] or (
                differences(live[names[0]], wanted[names[1]])
            )
    return Outcomes(kinds, found)


def _fresh_names() -> dict[str, str]:
    """A resource for each different spec."""
    keys = dict.fromkeys(_key(spec) for row in ROWS for spec in row.steps)
    return {key: f"fresh-{number:04d}" for number, key in enumerate(keys)}


def _key(spec: Json) -> str:
    return json.dumps(spec)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_children_are_those_of_a_fresh_resource(row: Row, step: str, outcomes: Outcomes) -> None:
    assert outcomes.found[row.name, step] == []


def test_rows_make_children_of_every_kind(outcomes: Outcomes) -> None:
    assert {resource.kind for resource in KINDS} <= outcomes.kinds


def test_any_spec_becomes_any_other(plane: ControlPlane) -> None:
    """Everything at once: the whole spec is replaced by another one."""
    pairs = drawn_pairs(PAIRS, SEED)
    arena = Arena(plane, "pairs")
    arena.prepare(spec for pair in pairs for spec in pair)
    edited = [f"edited-{number:04d}" for number in range(len(pairs))]
    fresh = [f"fresh-{number:04d}" for number in range(len(pairs))]
    arena.create({name: before for name, (before, _) in zip(edited, pairs, strict=True)})
    arena.create({name: after for name, (_, after) in zip(fresh, pairs, strict=True)})
    trouble = arena.settle([*edited, *fresh])
    arena.edit({name: after for name, (_, after) in zip(edited, pairs, strict=True)})
    trouble |= arena.settle(edited)
    live = arena.children()

    assert trouble == {}, f"seed {SEED}"
    wrong = {
        json.dumps(pair): found
        for pair, one, other in zip(pairs, edited, fresh, strict=True)
        if (found := differences(live[one], live[other]))
    }
    assert wrong == {}, f"seed {SEED}"


def test_comparison_sees_what_differs() -> None:
    """The proofs above are worth what the comparison is worth."""
    service = {"kind": "Service", "metadata": {"name": "edited-1-service"}, "spec": {"ports": [1]}}
    other = {"kind": "Service", "metadata": {"name": "fresh-1-service"}, "spec": {"ports": [2]}}
    one, two = normalised("edited-1", [service]), normalised("fresh-1", [other])

    assert differences(one, one) == []
    assert differences(one, two) == ["Service/NAME-service .spec.ports[0]: 1 instead of 2"]
    assert differences(one, {}) == ["Service/NAME-service is left over"]
    assert differences({}, one) == ["Service/NAME-service is missing"]
