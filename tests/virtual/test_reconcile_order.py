# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A reconcile in which all goes well: which requests it makes, in which order, and how many."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import groupby

import pytest

from controller.llamastack.objects.kinds import CONFIG_MAP, SECRET
from controller.llamastack.planning.image_configs import Answer, Question, Unlabelled
from controller.runtime.result import Result
from informers.ports import ObjectKey
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.fakeapi.objects import encoded
from tests.support.one_resource import (
    CHILDREN,
    EVERYTHING,
    KEY,
    LEAST,
    POLICIES,
    WITH_SECRET,
    OneResource,
)

pytestmark = pytest.mark.looptime

LATENCY_S = 0.5


def rounds(world: OneResource) -> list[set[str]]:
    """The calls that were made at the same time, one round after the other."""
    calls = world.client.calls
    return [
        {f"{call.verb} {call.resource.kind}" for call in group}
        for _, group in groupby(calls, key=lambda call: round(call.at, 3))
    ]


async def test_pods_needs_come_first_then_the_deployment_then_the_rest_then_the_status() -> None:
    world = OneResource(EVERYTHING, latency_s=LATENCY_S, options=POLICIES)

    assert await world.reconcile() == Result.done()

    assert rounds(world) == [
        {"get Secret"},
        {
            "create ServiceAccount",
            "create PersistentVolumeClaim",
            "create NetworkPolicy",
            "create ConfigMap",
        },
        {"create Deployment"},
        {
            "create Service",
            "create PodDisruptionBudget",
            "create HorizontalPodAutoscaler",
            "create Ingress",
        },
        {"apply LlamaStackDistribution"},
    ]
    assert len(world.client.calls) == 11
    assert world.there() == set(CHILDREN.values())


async def test_storage_secret_is_written_beside_what_else_pods_need() -> None:
    source = {"secretKeyRef": {"name": "creds", "key": "key"}}
    storage = {"sql": {"type": "postgres", "connectionString": source}}
    world = OneResource({**LEAST, "storage": storage}, latency_s=LATENCY_S)
    world.put_credentials(key="postgresql://u:pass@db/data")

    await world.reconcile()

    assert [{"get Secret"}, {"create ServiceAccount", "create ConfigMap", "create Secret"}] == (
        rounds(world)[:2]
    )


@pytest.mark.parametrize("spec", [LEAST, WITH_SECRET, EVERYTHING], ids=["least", "secret", "all"])
async def test_unchanged_world_costs_no_request(spec: dict[str, object]) -> None:
    world = OneResource(spec, options=POLICIES)
    await world.reconcile()

    assert await world.reconcile() == Result.done()
    assert world.client.calls == []


@pytest.mark.parametrize("spec", [LEAST, WITH_SECRET], ids=["least", "secret"])
async def test_new_operator_finds_nothing_to_do_in_a_world_that_is_as_it_should_be(
    spec: dict[str, object],
) -> None:
    world = OneResource(spec)
    await world.settle()

    world.restart()

    assert await world.reconcile() == Result.done()
    assert world.client.calls == []


async def test_no_child_is_written_before_the_secret_was_read() -> None:
    world = OneResource(WITH_SECRET)
    answered = asyncio.Event()
    world.client.faults = [Fault("get", SECRET, until=answered)]

    reconcile = asyncio.create_task(world.reconcile(), name="reconcile")
    await world.client.asked(1)
    assert world.verbs() == ["get secrets creds"]
    assert world.there() == set()

    answered.set()
    await reconcile
    assert "demo" in world.there()


@dataclass
class InFlight:
    """Implements ``ImageConfigs``: notes how many requests are under way when a plan is made."""

    client: list[FakeClient] = field(default_factory=list)
    noted: list[int] = field(default_factory=list)

    def lookup(self, question: Question, *, asker: ObjectKey, credentials: str) -> Answer:
        self.noted.append(self.client[0].most_in_flight)
        return Unlabelled()


async def test_secrets_are_asked_for_side_by_side_before_the_plan_is_made() -> None:
    images = InFlight()
    apis = {
        name: {
            "provider": "vllm",
            "endpoint": "http://v:8000",
            "apiKey": {"secretKeyRef": {"name": name, "key": "key"}},
        }
        for name in ("one", "two")
    }
    providers = {"inference": [{"id": name, **entry} for name, entry in apis.items()]}
    spec = {"distribution": {"image": "registry/own:1"}, "providers": providers}
    world = OneResource(spec, images=images)
    images.client.append(world.client)
    for name in apis:
        world.api.put(SECRET, ObjectKey("n", name), data=encoded(key="v"))

    await world.reconcile()

    assert images.noted == [2]
    assert sorted(world.verbs("get")) == ["get secrets one", "get secrets two"]


async def test_read_ahead_that_fails_is_read_again_where_the_error_can_be_told() -> None:
    world = OneResource(WITH_SECRET)
    world.client.faults = [Fault("get", SECRET, lost=True)]

    assert await world.reconcile() == Result.done()

    assert world.verbs("get") == ["get secrets creds", "get secrets creds"]
    assert world.said("SecretsResolved") == ("True", "SecretsResolved")


async def test_every_write_is_remembered_until_the_cache_shows_it() -> None:
    world = OneResource(LEAST)
    world.operator.caches.catch_up()
    world.operator.caches.lag()

    await world.reconcile()
    assert world.operator.consistency.wait_for(KEY) is not None

    world.operator.caches.lag(lags=False)
    world.operator.caches.catch_up()
    assert world.operator.consistency.wait_for(KEY) is None


async def test_lagging_cache_makes_no_second_child() -> None:
    world = OneResource(LEAST)
    world.operator.caches.catch_up()
    world.operator.caches.lag()
    await world.reconcile()
    first = {kind: world.api.all(kind) for kind in (*CHILDREN, CONFIG_MAP)}

    await world.reconcile()

    assert {kind: world.api.all(kind) for kind in (*CHILDREN, CONFIG_MAP)} == first
