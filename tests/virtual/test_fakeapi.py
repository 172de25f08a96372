# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the API in memory adds to a real one: delays, faults, caches, and a switch for garbage.

That it answers as a real one does is tested with a real one beside it, in ``tests/apiserver``.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.conditions import condition
from controller.llamastack.cache.reference_index import Referenced
from controller.llamastack.objects.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    LLAMA_STACK,
    PERSISTENT_VOLUME_CLAIM,
    SECRET,
    SERVICE,
)
from informers.errors import DeadlineExceeded, Forbidden, NotFound, TransportError
from informers.informer import Informer
from informers.ports import ObjectKey
from llamastack_operator.kube.preflight import NotFit, check_rights, check_served
from tests.support.fakeapi.caches import FakeCaches
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.fakeapi.objects import encoded
from tests.support.fakeapi.operator import MemoryOperator
from tests.support.fakeapi.server import FakeApi
from tests.support.fakelist import WatchFault
from tests.support.informing import running, until
from tests.support.world import manifest

pytestmark = pytest.mark.looptime

KEY = ObjectKey("n", "a")


def config_map(name: str = "a", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n", **metadata}}


@pytest.fixture
def client() -> FakeClient:
    return FakeClient(FakeApi(), latency_s=0.1)


async def test_request_takes_its_time_and_arrives_after_half_of_it(
    client: FakeClient, looptime: float
) -> None:
    await client.create(CONFIG_MAP, config_map(), manager="test")

    assert looptime == pytest.approx(0.1)
    assert [(str(call), call.at) for call in client.calls] == [("create configmaps n/a", 0.05)]


async def test_fault_happens_to_the_calls_that_it_concerns_and_so_often(
    client: FakeClient,
) -> None:
    refusal = Forbidden("no", code=403)
    client.faults.append(Fault("get", SECRET, "a", error=refusal, times=2))
    client.api.put(SECRET, KEY)
    client.api.put(CONFIG_MAP, KEY)

    await client.get(CONFIG_MAP, KEY)
    for _ in range(2):
        with pytest.raises(Forbidden):
            await client.get(SECRET, KEY)
    await client.get(SECRET, KEY)


async def test_late_answer_is_of_the_moment_when_the_request_arrived(client: FakeClient) -> None:
    client.faults.append(Fault("create", delay_s=20.0))
    creating = asyncio.create_task(client.create(CONFIG_MAP, config_map(), manager="test"))
    await client.asked()

    assert client.api.find(CONFIG_MAP, KEY) is not None
    assert not creating.done()
    await creating
    assert asyncio.get_running_loop().time() == pytest.approx(20.1)


async def test_lost_answer_is_of_a_call_that_was_carried_out(client: FakeClient) -> None:
    client.faults.append(Fault("create", lost=True))

    with pytest.raises(TransportError):
        await client.create(CONFIG_MAP, config_map(), manager="test")

    assert client.api.find(CONFIG_MAP, KEY) is not None


async def test_silence_ends_at_the_deadline_of_the_request(client: FakeClient) -> None:
    client.faults.append(Fault(error=TransportError("never told"), until=asyncio.Event()))

    with pytest.raises(DeadlineExceeded):
        await client.get(CONFIG_MAP, KEY)

    assert asyncio.get_running_loop().time() == pytest.approx(30.0)


# --- watches and caches -----------------------------------------------------------------------


async def test_informer_follows_through_cut_streams_and_sees_its_selection_only(
    client: FakeClient,
) -> None:
    client.faults.append(Fault("watch", watch=WatchFault(cut_after=900)))
    source = client.lister_watcher(CONFIG_MAP, namespace="n", label_selector="x=1")
    async with running(Informer(source)) as informer:
        for name in "abc":
            client.api.create(CONFIG_MAP, config_map(name, labels={"x": "1"}))
        client.api.create(CONFIG_MAP, config_map("d"))
        client.api.put(CONFIG_MAP, KEY, metadata={"labels": {"x": "2"}})

        await until(lambda: {key.name for key, _ in informer.store.items()} == {"b", "c"})
        assert client.open_streams == 1
    assert client.open_streams == 0


async def test_quiet_watch_gets_a_bookmark_before_its_end(client: FakeClient) -> None:
    source = client.lister_watcher(CONFIG_MAP)
    watch = source.watch(resource_version="100", timeout_seconds=60, initial_events=False)
    async with watch as stream:
        client.api.put(SECRET, KEY)

        assert b'"BOOKMARK"' in await stream.read()
        assert asyncio.get_running_loop().time() == pytest.approx(58.1)
        assert await stream.read() == b""


def test_caches_show_what_their_rows_select_and_lag_when_told() -> None:
    api = FakeApi()
    caches = FakeCaches(api)
    api.put(SECRET, KEY, data=encoded(x="hunter2"))
    seen = caches.secrets.get(KEY)
    assert seen is not None
    assert "data" not in seen
    assert caches.of(SECRET).get(KEY) is None, "it has not our label"

    caches.lag()
    version = api.put(SECRET, KEY, metadata={"labels": {"x": "y"}})["metadata"]["resourceVersion"]
    assert caches.secrets.get(KEY) == seen
    assert not caches.rows[Referenced(SECRET)].reached(KEY, version)

    caches.lag(lags=False)
    assert caches.secrets.get(KEY) != seen
    assert caches.rows[Referenced(SECRET)].reached(KEY, version)


# --- garbage ----------------------------------------------------------------------------------


def _owned_by(*owners: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
        }
        for owner in owners
    ]


@pytest.mark.parametrize("collects", [True, False])
def test_objects_go_with_the_last_of_their_owners_if_garbage_is_collected(
    *, collects: bool
) -> None:
    api = FakeApi(collects_garbage=collects)
    one, two = (api.create(CONFIG_MAP, config_map(name)) for name in ("one", "two"))
    child = api.create(CONFIG_MAP, config_map("child", ownerReferences=_owned_by(one, two)))
    api.create(CONFIG_MAP, config_map("grandchild", ownerReferences=_owned_by(child)))

    api.delete(CONFIG_MAP, ObjectKey("n", "one"))
    assert len(api.all(CONFIG_MAP)) == 3
    api.delete(CONFIG_MAP, ObjectKey("n", "two"))

    assert len(api.all(CONFIG_MAP)) == (0 if collects else 2)
    api.collect_garbage()
    assert api.all(CONFIG_MAP) == []


# --- the API itself ---------------------------------------------------------------------------


async def test_what_is_served_is_listed_and_what_is_not_is_not_found(client: FakeClient) -> None:
    await check_served(client, LLAMA_STACK)
    await check_rights(client, (), ())
    del client.api.clusters[LLAMA_STACK]

    with pytest.raises(NotFit, match="is not installed"):
        await check_served(client, LLAMA_STACK)
    with pytest.raises(NotFound):
        await client.list_all(LLAMA_STACK, namespace="n")


# --- an operator around it --------------------------------------------------------------------


async def test_operator_makes_children_reports_them_and_then_writes_nothing() -> None:
    client, key = FakeClient(FakeApi(collects_garbage=True)), ObjectKey("n", "demo")
    api = client.api
    api.put(SECRET, ObjectKey("n", "creds"), data=encoded(token="hunter2"))
    api.put(LLAMA_STACK, key, spec=manifest("demo", workload={"storage": {}})["spec"])
    operator = MemoryOperator(client)

    await operator.reconcile(key)
    api.put_status(
        DEPLOYMENT,
        key,
        observedGeneration=1,
        replicas=1,
        updatedReplicas=1,
        availableReplicas=1,
        conditions=[{"type": "Available", "status": "True"}],
    )
    await operator.reconcile(key)
    made = api.get(LLAMA_STACK, key)
    client.calls.clear()
    await operator.reconcile(key)
    await MemoryOperator(client).reconcile(key)

    assert condition(made, "Ready")["status"] == "True"
    assert client.calls == []
    assert {event.reason for event in operator.events.seen} >= {"ConfigGenerated"}
    api.delete(LLAMA_STACK, key)
    assert api.all(SERVICE) == api.all(CONFIG_MAP) == []
    (claim,) = api.all(PERSISTENT_VOLUME_CLAIM)
    assert claim["metadata"]["deletionTimestamp"]
