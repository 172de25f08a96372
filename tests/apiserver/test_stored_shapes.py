# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Resources that were stored under a looser definition, and do not fit the one of now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from api.conditions import condition
from api.crd import NAME as DEFINITION
from hack.cluster.plane import ControlPlane
from tests.support.crdplane import BINDINGS, CRDS
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually, install, manifest

pytestmark = pytest.mark.apiserver

MERGE = "application/merge-patch+json"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@pytest.fixture
def world(kubeconfig: Path, kwok_plane: ControlPlane, kwok_namespace: str) -> World:
    assert kubeconfig.exists()
    made = World(kwok_plane, kwok_namespace)
    made.secret()
    return made


@contextmanager
def loosened(plane: ControlPlane, kubeconfig: Path) -> Iterator[None]:
    """A definition and a policy that let everything through, for a while."""
    assert kubeconfig.exists()
    for binding in plane.client.get(BINDINGS)["items"]:
        plane.client.delete(f"{BINDINGS}/{binding['metadata']['name']}")
    definition = plane.client.get(f"{CRDS}/{DEFINITION}")
    for version in definition["spec"]["versions"]:
        schema = version["schema"]["openAPIV3Schema"]
        schema.pop("x-kubernetes-validations", None)
        schema["properties"] |= {"spec": ANYTHING, "status": ANYTHING}
        version.pop("selectableFields", None)
    plane.client.request("PUT", f"{CRDS}/{DEFINITION}", definition)
    try:
        yield
    finally:
        install(plane)


def accepted(world: World, method: str, path: str, body: dict[str, Any]) -> None:
    """A write, again and again until the looser definition is in force."""
    content_type = MERGE if method == "PATCH" else "application/json"

    def write() -> bool:
        status, _ = world.client.raw(method, path, body, content_type=content_type)
        return status < 300

    eventually(f"{method} {path} is accepted", write)


def is_strict(world: World) -> bool:
    """Whether the definition of now is in force again."""
    path = world.path("llsd") + "?dryRun=All"
    probe = {**manifest("probe"), "spec": {"distribution": "starter"}}
    return world.client.raw("POST", path, probe)[0] == 422


def test_field_of_another_type_is_named_in_the_status_or_in_an_event(
    world: World, kubeconfig: Path
) -> None:
    with loosened(world.plane, kubeconfig):
        odd = manifest("demo", distribution="starter")
        accepted(world, "POST", world.path("llsd"), odd)
    eventually("the definition is back", lambda: is_strict(world))

    with OperatorProcess(kubeconfig) as operator:

        def told() -> str | None:
            ready = condition(world.must_get("llsd", "demo"), "Ready")
            notes = [
                str(event["note"])
                for event in world.all("event")
                if event["reason"] == "StatusRefused" and event["regarding"]["name"] == "demo"
            ]
            return next((n for n in (str(ready.get("message", "")), *notes) if n), None)

        assert "spec.distribution: must be an object, got string" in str(
            eventually("somebody says what is wrong", told)
        )
        assert not [r for r in operator.records() if "AttributeError" in str(r.get("error"))]
        world.patch("llsd", "demo", {"spec": {"distribution": {"name": "starter"}}})
        world.wait_ready()


def test_status_of_another_shape_is_written_again(world: World, kubeconfig: Path) -> None:
    world.resource()
    with OperatorProcess(kubeconfig):
        world.wait_ready()
    odd = {"conditions": "x", "version": "7", "distributionConfig": [1], "configGeneration": "x"}
    with loosened(world.plane, kubeconfig):
        accepted(world, "PATCH", world.path("llsd", "demo") + "/status", {"status": odd})
    eventually("the definition is back", lambda: is_strict(world))

    with OperatorProcess(kubeconfig):

        def healed() -> bool:
            status = world.must_get("llsd", "demo")["status"]
            return isinstance(status["conditions"], list) and status["phase"] == "Ready"

        eventually("the status can be read", healed)
    status = world.must_get("llsd", "demo")["status"]
    assert status["version"]["operatorVersion"]
    assert status["configGeneration"]["configMapName"]
