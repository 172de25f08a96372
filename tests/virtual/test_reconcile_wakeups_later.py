# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Events of claims, pods and what users made: whom they wake, and how soon."""

from __future__ import annotations

from typing import Any

import pytest

from controller.llamastack.cache.reference_index import ODH_CA_BUNDLE
from controller.llamastack.event_handlers import PATIENCE_S, handlers
from controller.llamastack.objects.kinds import (
    CONFIG_MAP,
    LLAMA_STACK,
    MANAGED_BY,
    MANAGED_BY_VALUE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    RETAINED_FOR,
    SECRET,
)
from controller.llamastack.references.secrets import SecretResolver
from controller.llamastack.status.claim import BOUND_REPORT_DELAY_S
from informers.ports import ObjectKey, Resource
from tests.support.fakeapi.objects import Json, encoded
from tests.support.one_resource import (
    CREDENTIALS,
    KEY,
    LEAST,
    WITH_SECRET,
    WITH_VOLUME,
    OneResource,
    child_key,
)
from workqueue import RateLimitingQueue

pytestmark = pytest.mark.looptime

AT_ONCE = {KEY: 0.0}
LATER = {KEY: BOUND_REPORT_DELAY_S}
NOBODY: dict[ObjectKey, float] = {}
CLAIM = child_key(PERSISTENT_VOLUME_CLAIM)
OURS = {MANAGED_BY: MANAGED_BY_VALUE}


# --- claims ---------------------------------------------------------------------------------------


async def with_claim(*, retained: bool) -> OneResource:
    """A resource whose claim is there, and waits for a volume."""
    storage = {"size": "10Gi", "retainOnDelete": retained}
    world = OneResource({**WITH_VOLUME, "workload": {"storage": storage}})
    await world.settle()
    references = world.api.get(PERSISTENT_VOLUME_CLAIM, CLAIM)["metadata"].get("ownerReferences")
    assert bool(references) is not retained
    # As the API server makes it.
    world.api.put_status(PERSISTENT_VOLUME_CLAIM, CLAIM, phase="Pending")
    await world.woken()
    return world


def annotate(world: OneResource, **annotations: str) -> None:
    live = world.api.get(PERSISTENT_VOLUME_CLAIM, CLAIM)["metadata"]
    found = {**(live.get("annotations") or {}), **annotations}
    world.api.put(PERSISTENT_VOLUME_CLAIM, CLAIM, metadata={"annotations": found})


@pytest.mark.parametrize("retained", [False, True], ids=["owned", "retained"])
async def test_binding_of_a_claim_can_wait_for_the_pods(retained: bool) -> None:
    world = await with_claim(retained=retained)

    annotate(world, **{"pv.kubernetes.io/bind-completed": "yes"})
    assert await world.woken() == NOBODY
    annotate(world, **{"volume.kubernetes.io/storage-provisioner": "csi"})
    assert await world.woken() == LATER
    live = world.api.get(PERSISTENT_VOLUME_CLAIM, CLAIM)["spec"]
    world.api.put(PERSISTENT_VOLUME_CLAIM, CLAIM, spec={**live, "volumeName": "pv"})
    assert await world.woken() == NOBODY
    capacity = {"storage": "10Gi"}
    world.api.put_status(PERSISTENT_VOLUME_CLAIM, CLAIM, phase="Bound", capacity=capacity)
    assert await world.woken() == LATER


@pytest.mark.parametrize("retained", [False, True], ids=["owned", "retained"])
async def test_trouble_of_a_claim_can_not_wait(retained: bool) -> None:
    world = await with_claim(retained=retained)
    world.bind()
    await world.woken()

    world.api.put_status(PERSISTENT_VOLUME_CLAIM, CLAIM, phase="Lost")
    assert await world.woken() == AT_ONCE
    world.api.delete(PERSISTENT_VOLUME_CLAIM, CLAIM)
    assert await world.woken() == AT_ONCE


async def test_claim_that_is_kept_for_a_resource_wakes_that_one() -> None:
    world = OneResource(LEAST)
    await world.woken()
    metadata: Json = {"labels": OURS, "annotations": {RETAINED_FOR: "demo"}}
    spec = {"resources": {"requests": {"storage": "1Gi"}}}

    world.api.put(PERSISTENT_VOLUME_CLAIM, ObjectKey("n", "any"), metadata=metadata, spec=spec)

    assert await world.woken() == AT_ONCE


# --- pods -----------------------------------------------------------------------------------------

POD_KEY = ObjectKey("n", "demo-1-a")
SOON = {KEY: PATIENCE_S}


def put_pod(world: OneResource, *, owner: str = "demo-1", **container: Any) -> None:
    """A pod of the resource with a container in some state."""
    labels = {"app": "llama-stack", "app.kubernetes.io/instance": "demo", "pod-template-hash": "1"}
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": "r"}
    metadata = {"labels": labels, "ownerReferences": [reference]}
    world.api.put(POD, POD_KEY, metadata=metadata, spec={})
    found = {"name": "llama-stack", "image": "i", **container}
    world.api.put_status(POD, POD_KEY, phase="Pending", containerStatuses=[found])


def waiting(reason: str) -> Json:
    return {"state": {"waiting": {"reason": reason, "message": "m"}}}


async def test_pods_wake_only_when_their_trouble_is_another_one() -> None:
    world = OneResource(LEAST)
    await world.woken()

    put_pod(world, **waiting("ContainerCreating"))
    assert await world.woken() == NOBODY
    put_pod(world, **waiting("ErrImagePull"))
    assert await world.woken() == SOON
    put_pod(world, **waiting("ImagePullBackOff"), restartCount=1)
    assert await world.woken() == NOBODY
    put_pod(world, lastState={"terminated": {"exitCode": 1}})
    assert await world.woken() == SOON
    put_pod(world, lastState={"terminated": {"exitCode": 1}}, restartCount=2)
    assert await world.woken() == NOBODY
    put_pod(world, ready=True)
    assert await world.woken() == AT_ONCE


async def test_pod_in_trouble_that_goes_wakes() -> None:
    world = OneResource(LEAST)
    put_pod(world, **waiting("ErrImagePull"))
    await world.woken()

    world.api.delete(POD, POD_KEY)

    assert await world.woken() == AT_ONCE


async def test_pod_that_is_deleted_wakes_once_and_when_it_is_gone() -> None:
    world = OneResource(LEAST)
    put_pod(world, ready=True)
    await world.woken()

    world.api.put(POD, POD_KEY, metadata={"finalizers": ["example.org/hold"]})
    world.api.delete(POD, POD_KEY)
    assert await world.woken() == SOON
    world.api.put_status(POD, POD_KEY, phase="Running", containerStatuses=[])
    assert await world.woken() == NOBODY
    world.api.remove(POD, POD_KEY)
    assert await world.woken() == AT_ONCE


async def test_pod_in_trouble_of_somebody_else_wakes_nobody() -> None:
    world = OneResource(LEAST)
    await world.woken()

    put_pod(world, owner="theirs", **waiting("ErrImagePull"))

    assert await world.woken() == NOBODY


async def test_event_of_the_deployment_comes_before_the_trouble_that_explains_it() -> None:
    world = OneResource(LEAST)
    await world.settle()
    put_pod(world, **waiting("ErrImagePull"))

    world.roll_out()

    assert await world.woken() == AT_ONCE


# --- what users made ------------------------------------------------------------------------------

NEIGHBOUR, STRANGER = ObjectKey("n", "neighbour"), ObjectKey("elsewhere", "demo")
MINE = ObjectKey("n", "mine")


def tls(secret: str) -> Json:
    return {**LEAST, "networking": {"tls": {"enabled": True, "secretName": secret}}}


PULLING: Json = {**LEAST, "workload": {"overrides": {"imagePullSecrets": [{"name": "creds"}]}}}
OVERRIDE: Json = {**LEAST, "overrideConfig": {"configMapName": "mine"}}
FAR: Json = {**LEAST, "overrideConfig": {"configMapName": "mine", "configMapNamespace": "far"}}
BUNDLE: Json = {**LEAST, "networking": {"tls": {"caBundle": {"configMapName": "mine"}}}}


def change(world: OneResource, resource: Resource, key: ObjectKey, value: str, **meta: Any) -> None:
    data = encoded(key=value) if resource == SECRET else {"key": value}
    world.api.put(resource, key, data=data, metadata=meta)


@pytest.mark.parametrize(
    ("spec", "resource", "key", "labels"),
    [
        pytest.param(WITH_SECRET, SECRET, CREDENTIALS, {}, id="secret"),
        pytest.param(WITH_SECRET, SECRET, CREDENTIALS, OURS, id="secret-with-our-label"),
        pytest.param(tls("creds"), SECRET, CREDENTIALS, {}, id="certificate"),
        pytest.param(PULLING, SECRET, CREDENTIALS, {}, id="pull-secret"),
        pytest.param(OVERRIDE, CONFIG_MAP, MINE, {}, id="config"),
        pytest.param(OVERRIDE, CONFIG_MAP, MINE, OURS, id="config-with-our-label"),
        pytest.param(FAR, CONFIG_MAP, ObjectKey("far", "mine"), {}, id="config-elsewhere"),
        pytest.param(BUNDLE, CONFIG_MAP, MINE, {}, id="certificates"),
        pytest.param(LEAST, CONFIG_MAP, ObjectKey("n", ODH_CA_BUNDLE), {}, id="of-the-cluster"),
    ],
)
async def test_object_that_appears_changes_or_goes_wakes_all_that_name_it(
    spec: Json, resource: Resource, key: ObjectKey, labels: dict[str, str]
) -> None:
    world = OneResource(spec, credentials=False)
    world.api.put(LLAMA_STACK, NEIGHBOUR, spec=spec)
    if key.namespace == KEY.namespace:
        world.api.put(LLAMA_STACK, STRANGER, spec=spec)
    await world.woken()
    users = {KEY: 0.0, NEIGHBOUR: 0.0}

    change(world, resource, key, "one", labels=labels)
    assert await world.woken() == users
    change(world, resource, key, "two")
    assert await world.woken() == users
    world.api.delete(resource, key)
    assert await world.woken() == users


@pytest.mark.parametrize("resource", [SECRET, CONFIG_MAP], ids=["secret", "config-map"])
@pytest.mark.parametrize("labels", [{}, OURS], ids=["theirs", "with-our-label"])
async def test_object_that_nobody_names_wakes_nobody(
    resource: Resource, labels: dict[str, str]
) -> None:
    world = OneResource({**WITH_SECRET, "overrideConfig": {"configMapName": "mine"}})
    await world.woken()

    change(world, resource, ObjectKey("n", "unnamed"), "one", labels=labels)
    assert await world.woken() == NOBODY
    change(world, resource, ObjectKey("n", "unnamed"), "two")
    assert await world.woken() == NOBODY


@pytest.mark.parametrize("ending", ["change", "deletion"])
@pytest.mark.parametrize("labels", [{}, OURS], ids=["theirs", "with-our-label"])
@pytest.mark.parametrize("resource", [SECRET, CONFIG_MAP], ids=["secret", "config-map"])
async def test_summary_of_an_object_is_dropped_when_it_changes_or_goes(
    resource: Resource, labels: dict[str, str], ending: str
) -> None:
    world = OneResource(None, credentials=False)
    cache: Any = {SECRET: world.operator.secrets, CONFIG_MAP: world.operator.config_maps}[resource]
    change(world, resource, MINE, "one", labels=labels)
    world.operator.caches.catch_up()
    await cache.summary(MINE)
    world.operator.caches.catch_up()
    assert cache.known(MINE) is not None

    if ending == "change":
        change(world, resource, MINE, "two")
    else:
        world.api.delete(resource, MINE)
    world.operator.caches.catch_up()

    assert cache.known(MINE) is None


@pytest.mark.parametrize("resource", [SECRET, CONFIG_MAP], ids=["secret", "config-map"])
async def test_summary_of_an_absent_object_is_dropped_when_it_appears(resource: Resource) -> None:
    world = OneResource(None, credentials=False)
    cache: Any = {SECRET: world.operator.secrets, CONFIG_MAP: world.operator.config_maps}[resource]
    assert (await cache.summary(MINE)).missing

    change(world, resource, MINE, "one")
    world.operator.caches.catch_up()

    assert cache.known(MINE) is None


class Noting(RateLimitingQueue[ObjectKey]):
    """Notes whether a Secret is known when somebody is woken."""

    def __init__(self, secrets: SecretResolver) -> None:
        super().__init__(name="noting")
        self.secrets = secrets
        self.known: list[bool] = []

    def add(self, key: ObjectKey, *, priority: int = 0) -> None:
        self.known.append(self.secrets.known(CREDENTIALS) is not None)
        super().add(key, priority=priority)


@pytest.mark.parametrize("event", ["change", "deletion", "last-user"])
async def test_memory_is_dropped_before_anybody_is_woken(event: str) -> None:
    world = OneResource(WITH_SECRET)
    await world.settle()
    operator = world.operator
    assert operator.secrets.known(CREDENTIALS) is not None
    queue = Noting(operator.secrets)
    for row in operator.caches.rows.values():
        row.handlers.clear()
    for key, handler in handlers(
        queue=queue,
        consistency=operator.consistency,
        caches=operator.caches,
        read_caches={SECRET: operator.secrets, CONFIG_MAP: operator.config_maps},
        reconciler=operator.reconciler,
    ):
        if key in operator.caches.rows:
            operator.caches.rows[key].add_handler(handler)

    match event:
        case "change":
            world.put_credentials(key="another")
        case "deletion":
            world.api.delete(SECRET, CREDENTIALS)
        case _:
            world.edit(LEAST)
    operator.caches.catch_up()

    assert queue.known == [False]
