# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a restarted operator believes without reading, and what it looks at again."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any

import pytest

from api.v1alpha2.reasons import Reason
from configs.distributions import Distributions
from controller.llamastack.objects.kinds import CONFIG_MAP, CONFIG_MAPS_SEEN, SECRET
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.references.resolution import Resolution
from informers.errors import Forbidden
from informers.ports import ObjectKey
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.fakeapi.operator import MemoryOperator
from tests.support.fakeapi.server import FakeApi

BASE = resources.files("configs").joinpath("data/base/starter.yaml").read_text("utf-8")
DIGEST = hashlib.sha256(BASE.encode()).hexdigest()
MINE = ObjectKey("n", "mine")
READ = "get secrets n/creds"


@pytest.fixture
def client() -> FakeClient:
    """Of a cluster with the ConfigMap, and without Secrets."""
    client = FakeClient(FakeApi())
    client.api.put(CONFIG_MAP, MINE, data={"config.yaml": BASE})
    return client


def resource(
    digest: str = DIGEST, *, generated: str = "True", spec: dict[str, Any] | None = None
) -> dict[str, Any]:
    conditions = [
        {"type": kind, "status": status, "observedGeneration": 3}
        for kind, status in (("SecretsResolved", "True"), ("ConfigGenerated", generated))
    ]
    resolved = {"configSource": "override", "configHash": digest}
    override = {"overrideConfig": {"configMapName": "mine"}}
    return {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo", "namespace": "n", "uid": "c", "generation": 3},
        "spec": {"distribution": {"name": "starter"}, **(spec or override)},
        "status": {"conditions": conditions, "resolvedDistribution": resolved},
    }


async def resolve(client: FakeClient, cr: dict[str, Any], record: str = "") -> Resolution:
    """As an operator does that just started."""
    template: dict[str, Any] = {"metadata": {}}
    annotations = {CONFIG_MAPS_SEEN: record} if record else {}
    live = {"metadata": {"annotations": annotations}, "spec": {"template": template}}
    plan = make_plan(cr, Distributions.load())
    return await MemoryOperator(client).references.resolve(cr, live, plan)


async def test_unchanged_world_is_believed_unread(client: FakeClient) -> None:
    first = await resolve(client, resource())
    client.calls.clear()

    again = await resolve(client, resource(), first.config_maps_seen)

    assert client.calls == []
    assert again.ok
    assert again.override is None
    assert (again.override_digest, again.config_maps_hash) == (DIGEST, first.config_maps_hash)
    assert again.config_maps_seen == first.config_maps_seen


async def _looked_at_again(
    client: FakeClient, cr: dict[str, Any], *, touched: bool = False
) -> bool:
    record = (await resolve(client, resource())).config_maps_seen
    if touched:
        client.api.put(CONFIG_MAP, MINE, metadata={"labels": {"touched": "yes"}})
    client.calls.clear()
    await resolve(client, cr, record)
    return client.calls != []


@pytest.mark.parametrize(
    "cr",
    [
        resource("another text"),
        resource(generated="False"),
        {**resource(), "status": {}},
    ],
    ids=["the status is of another text", "it was refused", "the status is lost"],
)
async def test_what_the_status_does_not_confirm_is_looked_at_again(
    client: FakeClient, cr: dict[str, Any]
) -> None:
    assert await _looked_at_again(client, cr)


async def test_new_version_and_new_spec_are_looked_at(client: FakeClient) -> None:
    edited = resource()
    edited["metadata"]["generation"] = 4

    assert not await _looked_at_again(client, resource())
    assert await _looked_at_again(client, edited)
    assert await _looked_at_again(client, resource(), touched=True)


async def test_record_of_an_override_is_no_proof_for_a_volume(client: FakeClient) -> None:
    volume = {"name": "v", "configMap": {"name": "mine", "items": [{"key": "config.yaml"}]}}
    spec = {"workload": {"overrides": {"volumes": [volume]}}}

    assert await _looked_at_again(client, resource(spec=spec))


async def test_problems_of_secrets_and_config_maps_are_told_together() -> None:
    cr = resource()
    reference = {"secretKeyRef": {"name": "creds", "key": "k"}}
    cr["spec"]["workload"] = {"overrides": {"env": [{"name": "K", "valueFrom": reference}]}}

    resolution = await resolve(FakeClient(FakeApi()), cr)

    assert resolution.reason == Reason.SECRET_NOT_FOUND
    assert [e.message.partition(" not ")[0] for e in resolution.errors] == [
        'Secret "creds"',
        'ConfigMap "mine"',
    ]


async def test_reason_is_that_of_the_config_map_if_that_is_all() -> None:
    resolution = await resolve(FakeClient(FakeApi()), resource())

    assert resolution.reason == Reason.CONFIG_MAP_NOT_FOUND


async def test_resource_without_config_maps_reads_none(client: FakeClient) -> None:
    resolution = await resolve(client, resource(spec={"disabled": ["eval"]}))

    assert (client.calls, resolution.config_maps_seen) == ([], "")


def naming_a_secret(**changed: Any) -> dict[str, Any]:
    key = {"secretKeyRef": {"name": "creds", "key": "token"}}
    providers = {"inference": {"provider": "vllm", "endpoint": "http://x", "apiKey": key}}
    return {**resource(spec={"providers": providers}), **changed}


async def test_secret_that_was_read_ahead_is_not_read_again(client: FakeClient) -> None:
    references, cr = MemoryOperator(client).references, naming_a_secret(status={})

    for key in references.read_ahead_of(cr):
        await references.read_ahead(key)
    assert client.verbs() == [READ]
    assert references.read_ahead_of(cr) == []
    found = await references.resolve(cr, None, make_plan(cr, Distributions.load()))

    assert client.verbs() == [READ]
    assert found.reason == Reason.SECRET_NOT_FOUND


def test_nothing_is_read_ahead_of_what_was_found_good(client: FakeClient) -> None:
    assert MemoryOperator(client).references.read_ahead_of(naming_a_secret()) == []


async def test_what_cannot_be_read_ahead_is_left_to_who_can_tell(client: FakeClient) -> None:
    client.faults.append(Fault("get", SECRET, error=Forbidden("no", code=403)))
    references = MemoryOperator(client).references
    (key,) = references.read_ahead_of(naming_a_secret(status={}))

    await references.read_ahead(key)

    assert client.verbs() == [READ]
