# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""An object of a child's name that belongs to somebody else, for every kind of child (R-D11).

It is named, never touched, and never taken for ours; when it is gone, the resource goes on by
itself. With our label it is in the operator's caches, without it is not: both ways end the same.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from api.conditions import condition
from controller.llamastack.children import table
from controller.llamastack.objects.kinds import CONFIG_MAP, DEPLOYMENT, FIELD_MANAGER, SERVICE
from controller.llamastack.render import labels
from controller.llamastack.render.manifest import Child
from hack.cluster.plane import ControlPlane
from informers.ports import Resource
from tests.support.edits.arena import Arena, unsettled
from tests.support.edits.full import (
    EVERY_FEATURE,
    FULL,
    IN_SYSTEM,
    KINDS,
    children_of,
    config_map_names_of,
)
from tests.support.edits.row import Json
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver

BESIDE = {kind.resource for kind in table.KINDS if not kind.before_deployment}
CASES = [(kind, labelled) for kind in KINDS for labelled in (True, False)]
IDS = [f"{kind.kind}-{'labelled' if labelled else 'plain'}" for kind, labelled in CASES]

# Nothing tells when an object goes that is in no cache, so the operator looks again after a minute.
SOON = """
import runpy
from controller.llamastack.status import outcome
outcome.CONFLICT_RECHECK_S = 1.0
runpy.run_module("llamastack_operator", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def operator(kwok_plane: ControlPlane, kubeconfig: Path) -> Iterator[OperatorProcess]:
    path = CONFIG_MAP.path(namespace=EVERY_FEATURE["metadata"]["namespace"])
    kwok_plane.client.create(path, EVERY_FEATURE)
    try:
        command = (sys.executable, "-c", SOON)
        with OperatorProcess(kubeconfig, env=IN_SYSTEM, command=command) as process:
            process.wait_logged("Started workers")
            yield process
            assert process.terminate() == 0
    finally:
        kwok_plane.client.delete(f"{path}/{EVERY_FEATURE['metadata']['name']}")


def name_of(kind: Resource, *, labelled: bool) -> str:
    return f"{kind.kind.lower()}-{'a' if labelled else 'b'}"


def foreign(kind: Resource, name: str, namespace: str, *, labelled: bool) -> list[tuple[Json, str]]:
    """Objects of the kind with the names of the resource's children, and their paths."""
    if kind == CONFIG_MAP:
        empty: Json = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"config.yaml": "theirs"}}
        wanted = [
            {**empty, "metadata": {"name": taken}} for taken in config_map_names_of(name, namespace)
        ]
    else:
        wanted = [dict(child_of(kind, name, namespace).manifest)]
    for manifest in wanted:
        metadata: Json = {"name": manifest["metadata"]["name"]}
        manifest["metadata"] = metadata | ({"labels": labels.of_objects()} if labelled else {})
    return [
        (manifest, kind.path(namespace=namespace, name=manifest["metadata"]["name"]))
        for manifest in wanted
    ]


def child_of(kind: Resource, name: str, namespace: str) -> Child:
    return next(child for child in children_of(name, namespace) if child.resource == kind)


@pytest.fixture(scope="module")
def arena(
    operator: OperatorProcess, kwok_plane: ControlPlane
) -> Iterator[tuple[Arena, World, dict[str, Json]]]:
    """All cases side by side: the foreign objects first, then the resources."""
    namespace = "foreign-objects"
    arena = Arena(kwok_plane, namespace)
    world = World(kwok_plane, namespace)
    arena.prepare([FULL])
    before: dict[str, Json] = {}
    for kind, labelled in CASES:
        name = name_of(kind, labelled=labelled)
        for manifest, path in foreign(kind, name, namespace, labelled=labelled):
            collection = path.rpartition("/")[0]
            before[path] = world.client.create(collection, manifest)
    arena.create({name_of(kind, labelled=labelled): FULL for kind, labelled in CASES})
    yield arena, world, before
    world.client.delete(f"/api/v1/namespaces/{namespace}")


def test_spec_asks_for_a_child_of_every_kind() -> None:
    assert {child.resource for child in children_of("demo", "ns")} | {CONFIG_MAP} == set(KINDS)


@pytest.mark.parametrize(("kind", "labelled"), CASES, ids=IDS)
def test_foreign_object_is_named_never_touched_and_when_it_is_gone_all_goes_on(
    kind: Resource, labelled: bool, arena: tuple[Arena, World, dict[str, Json]]
) -> None:
    _, world, before = arena
    name = name_of(kind, labelled=labelled)
    taken = [path for path in before if path.rpartition("/")[0].endswith(kind.plural)]
    taken = [path for path in taken if path.rpartition("/")[2].startswith(name)]

    def conflict() -> Mapping[str, Any] | None:
        ready = condition(world.must_get("llsd", name), "Ready")
        return ready if ready.get("reason") == "ResourceConflict" else None

    said = eventually("the conflict is told", conflict)

    cr = world.must_get("llsd", name)
    assert said["status"] == "False"
    assert kind.kind in said["message"]
    assert (
        f"{name}-config-" in said["message"]
        or f'"{taken[0].rpartition("/")[2]}"' in (said["message"])
    )
    assert cr["status"]["phase"] == "Failed"
    assert condition(cr, "DeploymentReady")["status"] == "False"
    assert cr["status"]["availableReplicas"] == 0
    # What pods do not need keeps nobody from starting them.
    started = kind in BESIDE
    assert (condition(cr, "DeploymentReady")["reason"] != "DeploymentPending") is started
    if not started or kind == SERVICE:
        assert "serviceURL" not in cr["status"]
    for path in taken:
        live = json.loads(world.client.raw("GET", path)[1])
        assert live["metadata"]["uid"] == before[path]["metadata"]["uid"]
        assert "ownerReferences" not in live["metadata"]
        managers = {entry["manager"] for entry in live["metadata"].get("managedFields", ())}
        assert not any(manager.startswith(FIELD_MANAGER) for manager in managers)

    for path in taken:
        world.client.delete(path)

    eventually("all is there", lambda: not unsettled(world.must_get("llsd", name)))
    if kind != CONFIG_MAP:
        owner = json.loads(world.client.raw("GET", taken[0])[1])["metadata"]["ownerReferences"][0]
        assert owner["uid"] == cr["metadata"]["uid"]


def test_readiness_of_a_foreign_deployment_is_nobody_elses(
    arena: tuple[Arena, World, dict[str, Json]],
) -> None:
    """The Go operator called a resource Ready for the nginx of somebody else."""
    _, world, _ = arena
    ((manifest, _),) = foreign(DEPLOYMENT, "nginx", world.namespace, labelled=True)
    pod = manifest["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": v["name"], "emptyDir": {}} for v in pod["volumes"]]
    pod["serviceAccountName"] = "default"
    world.create("deployment", manifest)
    eventually(
        "the foreign one is ready",
        lambda: world.must_get("deployment", "nginx").get("status", {}).get("readyReplicas"),
    )

    world.resource("nginx")

    eventually(
        "the conflict",
        lambda: (
            condition(world.must_get("llsd", "nginx"), "Ready").get("reason") == "ResourceConflict"
        ),
    )
    cr = world.must_get("llsd", "nginx")
    assert cr["status"]["availableReplicas"] == 0
    assert cr["status"]["phase"] == "Failed"
    assert condition(cr, "Available")["status"] == "False"
