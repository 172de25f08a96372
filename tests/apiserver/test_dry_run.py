# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A dry run of a write has the answer of the write, and no other effect.

No object, no Event, no reconcile, and no request of the operator but those by which it judges.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api import OLD_VERSION, VERSION
from hack.cluster.plane import ControlPlane
from tests.support.apicase import resource
from tests.support.crdplane import APPLY, MERGE
from tests.support.operator_process import OperatorProcess
from tests.support.v1alpha1 import old_resource
from tests.support.webhooked import Webhooked, asked, collection, webhooked
from tests.support.world import World

pytestmark = pytest.mark.apiserver

Json = dict[str, Any]
OK, CREATED, INVALID = 200, 201, 422
SECRET = {"secretKeyRef": {"name": "creds", "key": "token"}}
PROVIDER = {"provider": "vllm", "endpoint": "http://vllm.example:8000/v1", "apiKey": SECRET}
MAKE: dict[str, Callable[..., Json]] = {OLD_VERSION: old_resource, VERSION: resource}


@pytest.fixture(scope="module")
def hooked(kwok_plane: ControlPlane) -> Iterator[Webhooked]:
    with webhooked(kwok_plane) as where:
        yield where


@pytest.fixture(scope="module")
def operator(hooked: Webhooked) -> Iterator[OperatorProcess]:
    with asked(hooked) as process:
        process.wait_logged("Started workers")
        yield process


@pytest.fixture
def world(hooked: Webhooked, operator: OperatorProcess, kwok_namespace: str) -> World:
    made = World(hooked.plane, kwok_namespace)
    made.secret()
    return made


def told(operator: OperatorProcess, world: World, name: str) -> list[Json]:
    """What the operator logged about a resource."""
    return [
        record
        for record in operator.records()
        if record.get("namespace") == world.namespace and record.get("name") == name
    ]


def pass_by(world: World, name: str) -> None:
    """Until the operator has done what was asked of it so far: this comes after it."""
    world.resource(name)
    world.wait_ready(name)


@pytest.mark.parametrize("version", [OLD_VERSION, VERSION])
def test_dry_creation_leaves_nothing(
    hooked: Webhooked, operator: OperatorProcess, world: World, version: str
) -> None:
    good = MAKE[version]("dry", providers={"inference": PROVIDER})
    bad = MAKE[version]("dry", providers={"inference": {**PROVIDER, "apiKey": absent()}})
    path = f"{collection(version, world.namespace)}/dry?fieldManager=a&dryRun=All"
    mark = hooked.plane.audit.mark()

    assert hooked.create(good, world.namespace, dry_run=True) == (CREATED, "")
    assert hooked.create(bad, world.namespace, dry_run=True)[0] == INVALID
    assert hooked.ask("PATCH", path, good, content_type=APPLY)[0] == CREATED
    pass_by(world, "real")

    assert world.get("llsd", "dry") is None
    assert world.events("dry") == []
    assert told(operator, world, "dry") == []
    assert [r.uri for r in world.writes_since(mark) if r.name.startswith("dry")] == []
    children = [*world.all("deployment"), *world.all("configmap"), *world.all("service")]
    assert [c["metadata"]["name"] for c in children if c["metadata"]["name"][:3] == "dry"] == []


def absent() -> Json:
    """A reference to nothing."""
    return {"secretKeyRef": {"name": "nobody-made-it", "key": "token"}}


@pytest.mark.parametrize("version", [OLD_VERSION, VERSION])
def test_dry_change_and_deletion_leave_everything_as_it_was(
    hooked: Webhooked, operator: OperatorProcess, world: World, version: str
) -> None:
    name = "live"
    assert hooked.create(MAKE[version](name), world.namespace) == (CREATED, "")
    before = world.wait_ready(name)
    children, events = deployment(world, name), world.events(name)
    count = len(told(operator, world, name))
    assert count, "it tells of every reconcile"
    path = f"{collection(version, world.namespace)}/{name}"
    replicas = {"replicas": 2} if version == OLD_VERSION else {"workload": {"replicas": 2}}
    changed = copy.deepcopy(hooked.get(name, world.namespace, version))
    changed["spec"] |= replicas

    code, answer = hooked.ask("PATCH", f"{path}?dryRun=All", {"spec": replicas}, content_type=MERGE)
    assert (code, answer["spec"] | replicas) == (OK, answer["spec"])
    assert hooked.ask("PUT", f"{path}?dryRun=All", changed)[0] == OK
    assert hooked.ask("DELETE", f"{path}?dryRun=All")[0] == OK
    pass_by(world, "other")

    after = world.must_get("llsd", name)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert deployment(world, name) == children
    assert world.events(name) == events
    assert len(told(operator, world, name)) == count


def deployment(world: World, name: str) -> str:
    """The version of the Deployment."""
    return str(world.must_get("deployment", name)["metadata"]["resourceVersion"])
