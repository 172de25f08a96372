# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is remembered from one reconcile to the next, what is forgotten, and which Events tell."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import structlog

from controller.llamastack.objects.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    LLAMA_STACK,
    POD,
    SECRET,
    SERVICE,
)
from controller.llamastack.server.probe_port import NoProber
from controller.runtime.result import Result
from informers.ports import ObjectKey
from tests.support.fakeapi import failures
from tests.support.fakeapi.client import Fault
from tests.support.fakeapi.objects import Json
from tests.support.one_resource import CREDENTIALS, KEY, LEAST, WITH_SECRET, OneResource, child_key

pytestmark = pytest.mark.looptime

SOURCE: Json = {"secretKeyRef": {"name": "creds", "key": "key"}}
DATABASE: Json = {**LEAST, "storage": {"sql": {"type": "postgres", "connectionString": SOURCE}}}


@dataclass
class Forgetful(NoProber):
    """A prober that notes whom it was told to forget."""

    forgotten: list[str] = field(default_factory=list)

    def forget(self, uid: str) -> None:
        self.forgotten.append(uid)


def recreate(world: OneResource, spec: Json) -> tuple[str, str]:
    """Another resource of that name; uids of the old and the new one."""
    old = world.api.delete(LLAMA_STACK, KEY)
    world.api.collect_garbage()
    world.edit(spec)
    return old["metadata"]["uid"], world.api.get(LLAMA_STACK, KEY)["metadata"]["uid"]


async def warnings(world: OneResource) -> list[str]:
    """What a reconcile warns of in the log."""
    with structlog.testing.capture_logs() as logs:
        await world.reconcile()
    return [entry["path"] for entry in logs if entry["event"] == "Resource has warnings"]


# --- the resource ---------------------------------------------------------------------------------


async def test_warnings_of_a_spec_are_logged_once() -> None:
    world = OneResource(WITH_SECRET)

    assert await warnings(world) == ["spec.providers.inference"]
    assert await warnings(world) == []
    world.roll_out()
    assert await warnings(world) == []
    world.edit({**WITH_SECRET, "networking": {"port": 9000}})
    assert await warnings(world) == ["spec.providers.inference"]


async def test_recreated_resource_gets_a_plan_and_warnings_of_its_own() -> None:
    world = OneResource(WITH_SECRET)
    await world.settle()
    recreate(world, WITH_SECRET)

    assert await warnings(world) == ["spec.providers.inference"]
    owner = world.deployment["metadata"]["ownerReferences"][0]["uid"]
    assert owner == world.api.get(LLAMA_STACK, KEY)["metadata"]["uid"]


async def test_probes_of_a_resource_that_is_gone_end() -> None:
    prober = Forgetful()
    world = OneResource(LEAST, prober=prober)
    await world.settle()

    old, _ = recreate(world, LEAST)
    await world.reconcile()

    assert prober.forgotten == [old]


async def test_resource_whose_deletion_was_missed_is_forgotten_when_its_namesake_is_seen() -> None:
    prober = Forgetful()
    world = OneResource(LEAST, prober=prober)
    await world.settle()
    row = world.operator.caches.rows[LLAMA_STACK]
    before = row.get(KEY)
    assert before is not None
    metadata = {**before["metadata"], "uid": "another", "resourceVersion": "99"}

    for handler in row.handlers:
        handler.on_update(before, {**before, "metadata": metadata})

    assert prober.forgotten == [before["metadata"]["uid"]]


async def test_refused_connection_string_is_not_read_again_for_the_same_resource() -> None:
    world = OneResource(DATABASE)
    world.put_credentials(key="nonsense")
    await world.reconcile()
    assert world.said("SecretsResolved") == ("False", "SecretValueNotUsable")

    await world.reconcile()

    assert world.client.calls == []


async def test_refused_connection_string_is_forgotten_with_its_resource() -> None:
    world = OneResource(DATABASE)
    world.put_credentials(key="nonsense")
    await world.reconcile()
    world.api.delete(LLAMA_STACK, KEY)

    await world.reconcile()

    assert vars(world.operator.storage)["_refused"] == {}


async def test_secret_that_nobody_names_any_more_is_forgotten() -> None:
    world = OneResource(WITH_SECRET)
    await world.settle()
    assert world.operator.secrets.known(CREDENTIALS) is not None
    world.edit(LEAST)

    await world.reconcile()

    assert world.operator.secrets.known(CREDENTIALS) is None


@pytest.mark.parametrize("ending", ["edit", "deletion"])
async def test_secret_that_another_resource_names_is_remembered(ending: str) -> None:
    world = OneResource(WITH_SECRET)
    world.api.put(LLAMA_STACK, ObjectKey("n", "other"), spec=WITH_SECRET)
    await world.settle()

    if ending == "edit":
        world.edit(LEAST)
    else:
        world.api.delete(LLAMA_STACK, KEY)
    await world.reconcile()

    assert world.operator.secrets.known(CREDENTIALS) is not None


# --- its children ---------------------------------------------------------------------------------


async def test_ownership_of_fields_is_looked_at_once_a_child_and_again_for_a_new_one() -> None:
    world = OneResource(LEAST)
    await world.settle()
    looks = []
    for replicas in (2, 3):
        world.edit({**LEAST, "workload": {"replicas": replicas}})
        await world.reconcile()
        looks.append(world.client.keys("get", DEPLOYMENT))
    assert looks == [[KEY], []]
    world.api.delete(DEPLOYMENT, KEY)
    await world.reconcile()
    world.edit(LEAST)

    await world.reconcile()

    assert world.client.keys("get", DEPLOYMENT) == [KEY]


async def test_memory_of_a_child_goes_with_it() -> None:
    world = OneResource(LEAST)
    await world.settle()
    world.edit({**LEAST, "workload": {"replicas": 2}})
    await world.reconcile()
    children = vars(vars(world.operator.reconciler)["_children"])["_children"]
    assert vars(children)["_migrated"] == {world.deployment["metadata"]["uid"]}

    world.api.delete(DEPLOYMENT, KEY)
    world.operator.caches.catch_up()

    assert vars(children)["_migrated"] == set()


# --- Events ---------------------------------------------------------------------------------------


async def test_events_tell_of_transitions_only() -> None:
    world = OneResource(WITH_SECRET)
    told = []
    for step in (
        lambda: None,
        lambda: None,
        world.roll_out,
        lambda: world.api.delete(SECRET, CREDENTIALS),
        lambda: None,
        world.put_credentials,
        lambda: world.edit({**WITH_SECRET, "distribution": {"name": "no-such"}}),
        lambda: None,
    ):
        step()
        await world.reconcile()
        told.append(world.events())

    assert told == [
        ["ConfigGenerated", "DeploymentUpdated"],
        [],
        [],
        ["SecretResolutionFailed"],
        [],
        ["DeploymentUpdated"],
        ["ConfigGenerationFailed"],
        [],
    ]


async def test_failure_that_repeats_is_one_event() -> None:
    world = OneResource(LEAST)
    fault = Fault(
        "create", DEPLOYMENT, error=failures.failure(403, "Forbidden", "quota"), times=None
    )

    for _ in range(3):
        await world.reconcile_failing(fault)

    assert world.events() == ["DeploymentUpdateFailed"]


async def test_events_are_about_the_resource_and_say_what_was_written() -> None:
    world = OneResource(WITH_SECRET)

    await world.reconcile()

    config, deployment = world.operator.events.seen
    (name,) = world.there([CONFIG_MAP])
    assert (config.about, deployment.about) == (KEY, KEY)
    assert name in config.note
    assert name in deployment.note
    assert world.status["resolvedDistribution"]["image"] in deployment.note


async def test_child_that_is_put_right_beside_the_deployment_is_no_event() -> None:
    world = OneResource(LEAST)
    await world.settle()
    world.events()
    world.api.delete(SERVICE, child_key(SERVICE))

    assert await world.reconcile() == Result.done()

    assert world.verbs() == ["create services demo-service"]
    assert world.events() == []


async def test_trouble_of_pods_is_one_event_however_often_they_crash() -> None:
    world = OneResource(LEAST)
    await world.settle()
    world.events()
    told = []

    for count in range(3):
        put_crashing_pod(world, count)
        await world.reconcile()
        told.append(world.events())

    assert told == [["CrashLoop"], [], []]
    assert world.said("DeploymentReady") == ("False", "CrashLoop")
    assert world.status["phase"] == "Failed"


def put_crashing_pod(world: OneResource, restarts: int) -> None:
    """A pod of the Deployment that crashed some times."""
    labels = {"app": "llama-stack", "app.kubernetes.io/instance": "demo", "pod-template-hash": "1"}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "demo-1", "uid": "r"}
    key = ObjectKey("n", "demo-1-a")
    world.api.put(POD, key, metadata={"labels": labels, "ownerReferences": [owner]}, spec={})
    state = {"terminated": {"exitCode": 1}}
    container = {"name": "llama-stack", "restartCount": restarts, "lastState": state}
    world.api.put_status(POD, key, phase="Running", containerStatuses=[container])
