# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Somebody puts into a child what excludes, or changes the meaning of, what the operator sends.

Each is put right by one write, and what is free for others stays.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.audit import AuditedRequest
from hack.cluster.plane import ControlPlane
from tests.support.edits.full import EVERY_FEATURE, FULL, IN_SYSTEM
from tests.support.edits.row import Json, merged
from tests.support.operator_process import OperatorProcess
from tests.support.others_in_the_way import ATOMIC, EMPTY, FREE, HALVES, NAMES, OBJECTS, Damage
from tests.support.world import SYSTEM, World, eventually

pytestmark = pytest.mark.apiserver

NAMESPACE = "others-in-the-way"
SCALED = merged(FULL, {"workload": {"storage": None}})
"""Every kind of child but a claim: nothing here would bind it."""

SPEC = merged(SCALED, {"workload": {"autoscaling": None, "replicas": 2}})
"""Likewise without an autoscaler."""


@pytest.fixture(scope="module")
def arena(kwok_plane: ControlPlane, kubeconfig: Path) -> Iterator[World]:
    """Two resources that are Ready, and an operator with everything turned on."""
    client = kwok_plane.client
    switches = f"/api/v1/namespaces/{SYSTEM}/configmaps"
    client.create(switches, EVERY_FEATURE)
    client.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    world = World(kwok_plane, NAMESPACE)
    world.secret()
    try:
        with OperatorProcess(kubeconfig, "--log-level=debug", env=IN_SYSTEM) as process:
            process.wait_logged("Started workers")
            for name, spec in (("demo", SPEC), ("scaled", SCALED)):
                world.create("llsd", resource(name, spec))
            world.wait_ready("demo")
            world.wait_ready("scaled")
            yield world
            assert process.terminate() == 0
    finally:
        client.delete(f"{switches}/{EVERY_FEATURE['metadata']['name']}")
        client.delete(f"/api/v1/namespaces/{NAMESPACE}")


def resource(name: str, spec: Json) -> Json:
    return {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": name},
        "spec": spec,
    }


def done_by_hand(world: World, kind: str, do: Callable[[Json], Any]) -> Json:
    """Write the live object back with the damage done; the answer."""
    path = world.path(kind, NAMES[kind])

    def attempt() -> Json | None:
        live = world.must_get(kind, NAMES[kind])
        do(live)
        status, answer = world.client.raw("PUT", path, live)
        assert status in {200, 409}, answer
        return live if status == 200 else None

    return eventually("the damage is done", attempt)


def comparable(live: Json) -> Json:
    """What the operator sends of an object, and the defaults beside it."""
    spec = copy.deepcopy(live["spec"])
    for entry in spec.get("ports", ()):
        entry.pop("nodePort", None)
    for name in ("clusterIP", "clusterIPs"):
        spec.pop(name, None)
    return {"spec": spec}


def is_of(request: AuditedRequest, kind: str, world: World) -> bool:
    plural = world.path(kind).rpartition("/")[2]
    return (request.resource, request.name) == (plural, NAMES[kind]) and not request.subresource


@pytest.mark.parametrize("damage", [*HALVES, *ATOMIC, *EMPTY], ids=lambda damage: damage.name)
def test_one_write_puts_it_right(damage: Damage, arena: World) -> None:
    before = comparable(arena.must_get(damage.kind, NAMES[damage.kind]))
    mark = arena.plane.audit.mark()

    done_by_hand(arena, damage.kind, damage.do)

    eventually(
        "it is as it was",
        lambda: comparable(arena.must_get(damage.kind, NAMES[damage.kind])) == before,
    )
    arena.wait_ready("demo")
    writes = [r for r in arena.writes_since(mark) if is_of(r, damage.kind, arena)]
    assert [r.verb for r in writes if r.code == 200] == ["patch"], writes
    assert {r.code for r in writes} <= {200, 409}, writes


def test_what_is_free_for_others_costs_no_write_and_survives_an_edit(arena: World) -> None:
    mark = arena.plane.audit.mark()
    stored = {}
    for damage in FREE:
        done_by_hand(arena, damage.kind, damage.do)
        stored[damage.kind] = arena.must_get(damage.kind, NAMES[damage.kind])
    # Something after all of it that the operator does write.
    arena.patch("llsd", "demo", {"spec": {"workload": {"replicas": 3}}})
    arena.patch("llsd", "scaled", {"spec": {"workload": {"autoscaling": {"maxReplicas": 4}}}})
    for name in ("demo", "scaled"):
        arena.wait_condition("DeploymentUpdated", "True", name)

    writes = [r for r in arena.writes_since(mark) if r.name in OBJECTS]
    written = {(r.resource, r.name) for r in writes if r.resource != "llamastackdistributions"}
    assert written == {("deployments", "demo"), ("horizontalpodautoscalers", "scaled-hpa")}
    for kind, before in stored.items():
        now = arena.must_get(kind, NAMES[kind])
        before["spec"].pop("replicas", None)
        now["spec"].pop("replicas", None)
        before["spec"].pop("maxReplicas", None)
        now["spec"].pop("maxReplicas", None)
        assert now["spec"] == before["spec"]
