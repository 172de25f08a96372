# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Edits, made in v1alpha1, after which the Go operator was wrong, or failed for ever (P-C1).

The operator converts each of them. What is there afterwards is what a fresh resource of v1alpha1
gets, whose spec was never another one, and its server runs. In terms of v1alpha2 they are in
``test_peer_defects_edits``; every field of v1alpha1 is edited by ``test_every_edit_v1alpha1``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from api import OLD_VERSION
from controller.llamastack.objects.kinds import DEPLOYMENT, LLAMA_STACK
from hack.cluster.plane import ControlPlane
from tests.support.edits.arena import Arena
from tests.support.edits.normal import differences
from tests.support.go_cases import new_spec, spec
from tests.support.volumes import storage_class, volume
from tests.support.webhooked import asked, webhooked
from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver

Json = dict[str, Any]

A: Final = [{"name": "A", "value": "1"}]
PORT: Final = {"port": 9000}
CONFIG: Final = {"configMapName": "mine"}
_REFERENCE: Final = {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
_EXTRA: Final = {
    "terminationGracePeriodSeconds": 7,
    "volumes": [{"name": "extra", "emptyDir": {}}],
    "volumeMounts": [{"name": "extra", "mountPath": "/extra"}],
}


def _of_container(**fields: Any) -> Json:
    return spec(containerSpec=fields)


EDITS: Final[dict[str, tuple[Json, ...]]] = {
    "remove a variable": (
        _of_container(env=[*A, {"name": "B", "value": "2"}]),
        _of_container(env=A),
    ),
    "a value becomes valueFrom": (_of_container(env=A), _of_container(env=[_REFERENCE])),
    "override a variable of the operator": (
        spec(),
        _of_container(env=[{"name": "LLS_PORT", "value": "8321"}]),
        _of_container(env=[{"name": "HF_HOME", "value": "/mine"}]),
    ),
    "remove a variable that overrides one of the operator": (
        _of_container(env=[{"name": "HF_HOME", "value": "/mine"}]),
        spec(),
    ),
    "remove command and arguments": (_of_container(command=["a"], args=["b"]), spec()),
    "remove limits": (
        _of_container(resources={"limits": {"cpu": "2", "memory": "2Gi"}}),
        spec(),
    ),
    "remove volumes, mounts and grace period": (spec(podOverrides=_EXTRA), spec()),
    "change the port": (_of_container(**PORT), _of_container(port=9001)),
    "rename the container": (spec(), _of_container(name="server")),
    "add a volume": (spec(), spec(storage={})),
    "remove a volume": (spec(storage={}), spec()),
    "another budget than the default": (
        spec(replicas=2),
        spec(replicas=2, podDisruptionBudget={"minAvailable": 1}),
    ),
    "three replicas to one": (spec(replicas=3), spec()),
    "remove the configuration, and go on": (
        spec(userConfig=CONFIG),
        spec(),
        _of_container(env=A),
    ),
    "remove port and variables": (_of_container(**PORT, env=A), spec()),
    "remove the certificates": (spec(tlsConfig={"caBundle": {"configMapName": "trust"}}), spec()),
}
"""The specs of a resource, one after the other."""

NAMES: Final = {edit: f"edited-{number:04d}" for number, edit in enumerate(EDITS)}


@dataclass
class Outcomes:
    """What came of the edits.

    Attributes:
        world: where.
        trouble: what kept the operator from finishing, by resource.
        children: of each resource, by its name.
        uids: of Deployments before the edits, by the name of the resource.
    """

    world: World
    trouble: dict[str, str] = field(default_factory=dict)
    children: dict[str, dict[str, Json]] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)


def fresh(edit: str) -> str:
    """The name of a resource that has had the last spec from its beginning."""
    return NAMES[edit].replace("edited", "fresh")


@pytest.fixture(scope="module")
def found(kwok_plane: ControlPlane) -> Iterator[Outcomes]:
    namespace = "peer-defects-v1alpha1"
    arena = Arena(kwok_plane, namespace, version=OLD_VERSION)
    claims = [edit for edit, steps in EDITS.items() if any("storage" in s["server"] for s in steps)]
    storage_class(kwok_plane.client, namespace, default=True)
    for number in range(2 * len(claims)):
        volume(kwok_plane.client, f"{namespace}-{number}", namespace)
    arena.prepare(new_spec(step) for steps in EDITS.values() for step in steps)
    made = Outcomes(World(kwok_plane, namespace))
    with webhooked(kwok_plane) as where, asked(where, "--workers=8"):
        arena.create({NAMES[edit]: steps[0] for edit, steps in EDITS.items()})
        arena.create({fresh(edit): steps[-1] for edit, steps in EDITS.items()})
        ready(made.world)
        made.uids = {o["metadata"]["name"]: o["metadata"]["uid"] for o in arena.all(DEPLOYMENT)}
        for number in range(1, max(map(len, EDITS.values()))):
            steps = {NAMES[e]: s[number] for e, s in EDITS.items() if number < len(s)}
            arena.edit(steps)
            made.trouble |= arena.settle(steps)
            ready(made.world)
        made.children = arena.children()
        yield made
        arena.close()
        kwok_plane.client.delete(f"/apis/storage.k8s.io/v1/storageclasses/{namespace}")


def ready(world: World) -> None:
    """Until all servers run."""
    for name in [*NAMES.values(), *map(fresh, EDITS)]:
        world.wait_ready(name)


@pytest.mark.parametrize("edit", EDITS)
def test_edit_ends_where_a_fresh_resource_begins(edit: str, found: Outcomes) -> None:
    name = NAMES[edit]

    assert found.trouble.get(name) is None
    assert differences(found.children[name], found.children[fresh(edit)]) == []


@pytest.mark.parametrize("edit", EDITS)
def test_deployment_stays_the_same_one_and_ours(edit: str, found: Outcomes) -> None:
    live = found.world.must_get(DEPLOYMENT.kind.lower(), NAMES[edit])["metadata"]
    cr = found.world.must_get("llsd", NAMES[edit])

    assert live["uid"] == found.uids[NAMES[edit]]
    assert [owner["uid"] for owner in live["ownerReferences"]] == [cr["metadata"]["uid"]]
    assert live["ownerReferences"][0]["kind"] == LLAMA_STACK.kind


def test_address_in_the_status_is_that_of_the_service(found: Outcomes) -> None:
    """Both stayed there for ever when port and variables were removed."""
    for edit, port in {"change the port": 9001, "remove port and variables": 8321}.items():
        (of_service,) = found.world.must_get("service", f"{NAMES[edit]}-service")["spec"]["ports"]
        url = found.world.must_get("llsd", NAMES[edit])["status"]["serviceURL"]
        assert (of_service["port"], url.rpartition(":")[2]) == (port, str(port))


def test_condition_of_a_removed_volume_goes(found: Outcomes) -> None:
    cr = found.world.must_get("llsd", NAMES["remove a volume"])

    assert "StorageReady" not in {c["type"] for c in cr["status"]["conditions"]}


def test_deployment_goes_with_its_resource_after_the_configuration_was_removed(
    found: Outcomes,
) -> None:
    """It had lost its owner, and outlived it. The last test: it takes something away."""
    name = fresh("remove the configuration, and go on")
    edited = NAMES["remove the configuration, and go on"]
    for each in (name, edited):
        found.world.delete("llsd", each)
    for each in (name, edited):
        found.world.wait_collected("deployment", each)
    eventually("and its Service", lambda: found.world.get("service", f"{edited}-service") is None)
