# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Electors on a real API server, with no more rights than the operator's Role gives them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest

from hack.cluster.audit import AuditedRequest, Mark, counts
from hack.cluster.plane import ControlPlane
from informers.errors import AlreadyExists, Conflict, NotFound
from llamastack_operator.election.core import Lease, Record, Timings
from llamastack_operator.election.elector import Elector
from llamastack_operator.election.lease import KubeLeaseStore
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client
from tests.support.electing import running

pytestmark = pytest.mark.apiserver

NAME = "lock"
FAST = Timings(lease_s=2.0, renew_deadline_s=1.5, retry_s=0.1)


@pytest.fixture
def user(control_plane: ControlPlane, namespace: str) -> str:
    """Somebody who may do with leases what an elector needs, and nothing else."""
    name = f"elector-{namespace}"
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["get", "create", "update"],
    }
    control_plane.client.create(f"{rbac}/roles", {"metadata": {"name": "r"}, "rules": [rule]})
    control_plane.client.create(
        f"{rbac}/rolebindings",
        {
            "metadata": {"name": "b"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": name}],
        },
    )
    return name


@pytest.fixture
async def client(control_plane: ControlPlane, user: str) -> AsyncIterator[Client]:
    connection = await connect(Source(str(control_plane.kubeconfig_for(user))))
    async with Client(connection, user_agent="test") as made:
        yield made


@pytest.fixture
def store(client: Client, namespace: str) -> KubeLeaseStore:
    return KubeLeaseStore(client, namespace, NAME)


def elector(
    client: Client, namespace: str, identity: str, timings: Timings | None = None
) -> Elector:
    return Elector(KubeLeaseStore(client, namespace, NAME), identity=identity, timings=timings)


def record(holder: str, renewal: int, transitions: int = 0) -> Record:
    begin = "2026-01-31T12:00:00.000000Z"
    return Record(holder, 15, begin, f"2026-01-31T12:00:00.{renewal:06}Z", transitions)


def stored(control_plane: ControlPlane, namespace: str) -> dict[str, Any]:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{NAME}"
    return control_plane.client.get(path)


async def test_every_write_is_a_compare_and_swap(store: KubeLeaseStore) -> None:
    assert await store.get() is None
    first = await store.create(record("a", 1))
    with pytest.raises(AlreadyExists):
        await store.create(record("b", 1))
    second = await store.update(record("a", 2), first.resource_version)
    with pytest.raises(Conflict):
        await store.update(record("b", 3), first.resource_version)

    assert await store.get() == Lease(record("a", 2), second.resource_version)


async def test_lease_that_was_deleted_cannot_be_updated(
    store: KubeLeaseStore, control_plane: ControlPlane, namespace: str
) -> None:
    first = await store.create(record("a", 1))
    control_plane.client.delete(
        f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{NAME}"
    )

    with pytest.raises((NotFound, Conflict)):
        await store.update(record("a", 2), first.resource_version)
    assert await store.get() is None


async def test_one_of_two_wins_each_of_two_hundred_races(client: Client, namespace: str) -> None:
    stores = [KubeLeaseStore(client, namespace, NAME) for _ in "ab"]
    await stores[0].create(record("", 0))
    for number in range(1, 201):
        seen = [await store.get() for store in stores]
        outcomes = await asyncio.gather(
            *(
                store.update(record(name, number), lease.resource_version)
                for name, store, lease in zip("ab", stores, seen, strict=True)
                if lease is not None
            ),
            return_exceptions=True,
        )

        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "Lease"]


async def test_update_keeps_what_is_not_ours(
    store: KubeLeaseStore, control_plane: ControlPlane, namespace: str
) -> None:
    await store.create(record("a", 1))
    control_plane.kubectl("label", "lease", NAME, "team=x", "-n", namespace)
    lease = await store.get()
    assert lease is not None
    lease = await store.update(record("a", 2), lease.resource_version)
    await store.update(record("a", 3), lease.resource_version)

    obj = stored(control_plane, namespace)
    assert obj["metadata"]["labels"] == {"team": "x"}
    assert obj["spec"]["renewTime"] == "2026-01-31T12:00:00.000003Z"


async def test_hand_overs_never_make_two_writers_and_count_as_transitions(
    client: Client, control_plane: ControlPlane, namespace: str
) -> None:
    async def watch(electors: list[Elector]) -> None:
        while True:
            writers = [e.identity for e in electors if e.may_write()]
            assert len(writers) <= 1, writers
            await asyncio.sleep(0.002)

    electors = [elector(client, namespace, f"e{number}", FAST) for number in range(8)]
    watcher = asyncio.create_task(watch(electors), name="watcher")
    async with running(*electors):
        for _ in range(len(electors)):
            waiting = [asyncio.create_task(e.wait_elected()) for e in electors]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=5)
            for task in waiting:
                task.cancel()
            (leader,) = [e for e in electors if e.is_leader]
            await leader.release()
            electors.remove(leader)
        assert not watcher.done()
    watcher.cancel()

    assert electors == []
    spec = stored(control_plane, namespace)["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("", 7)


async def test_after_a_release_the_other_leads_in_less_than_three_seconds(
    client: Client, control_plane: ControlPlane, namespace: str
) -> None:
    one, other = elector(client, namespace, "one"), elector(client, namespace, "other")
    async with running(one):
        await one.wait_elected()
        async with running(other):
            await asyncio.sleep(0.5)  # the other is in the middle of a period
            begun = time.monotonic()
            await one.release()
            await asyncio.wait_for(other.wait_elected(), 5)

            assert time.monotonic() - begun < 3
    spec = stored(control_plane, namespace)["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("other", 15)


async def test_after_a_kill_the_other_leads_within_lease_and_two_seconds(
    client: Client, namespace: str
) -> None:
    timings = Timings(lease_s=1.0, renew_deadline_s=0.8, retry_s=0.3)
    one = elector(client, namespace, "one", timings)
    other = elector(client, namespace, "other", timings)
    async with running(one) as (leader,):
        await one.wait_elected()
        async with running(other):
            await asyncio.sleep(0.7)
            leader.cancel()
            begun = time.monotonic()
            await asyncio.wait_for(other.wait_elected(), 10)

            assert 0.6 < time.monotonic() - begun < timings.lease_s + 2
            assert not one.may_write()


async def test_times_on_the_server_are_utc_with_six_decimals(
    client: Client, control_plane: ControlPlane, namespace: str
) -> None:
    one = elector(client, namespace, "one", FAST)
    async with running(one):
        await one.wait_elected()
        first = stored(control_plane, namespace)["spec"]
        await asyncio.sleep(0.25)
        later = stored(control_plane, namespace)["spec"]

    renewed = datetime.fromisoformat(later["renewTime"])
    assert later["acquireTime"] == first["acquireTime"]
    assert later["renewTime"] > first["renewTime"]
    assert abs(renewed.timestamp() - time.time()) < 5
    assert all(
        len(spec["renewTime"]) == len("2026-01-31T12:00:00.000000Z") for spec in (first, later)
    )


async def test_idle_electors_ask_for_nothing_but_their_lease(
    client: Client, control_plane: ControlPlane, namespace: str, user: str
) -> None:
    timings = Timings(lease_s=6.0, renew_deadline_s=4.0, retry_s=0.25)
    one = elector(client, namespace, "one", timings)
    other = elector(client, namespace, "other", timings)

    def ours(mark: Mark) -> list[AuditedRequest]:
        return [r for r in control_plane.audit.since(mark) if r.user == user]

    async with running(one):
        await one.wait_elected()
        async with running(other):
            began = time.monotonic()
            mark = await asyncio.to_thread(control_plane.audit.mark)
            requests: list[AuditedRequest] = []
            while counts(requests)["update", "leases"] < 4 or ("get", "leases") not in counts(
                requests
            ):
                requests = await asyncio.to_thread(ours, mark)
            periods = (time.monotonic() - began) / timings.retry_s

    tally = counts(requests)
    assert set(tally) == {("get", "leases"), ("update", "leases")}
    assert tally["update", "leases"] <= periods + 1
    assert tally["get", "leases"] <= 1.3 * periods + 2
    assert {request.code for request in requests} == {200}
