# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The manager: in which order a process starts and stops, and what it dies of (D1, D2, D8)."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.llamastack.objects.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    LLAMA_STACK,
    OPERATOR_CONFIG_NAME,
    SECRET,
    SERVICE,
)
from informers.errors import Forbidden, NotFound
from informers.ports import ObjectKey
from llamastack_operator.election.elector import LeadershipLost
from llamastack_operator.election.lease import LEASES
from llamastack_operator.kube.preflight import NotFit
from llamastack_operator.manager import LEASE_NAME, SYNC_DEADLINE_S
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.fakeapi.process import SYSTEM, MemoryProcess, running
from tests.support.fakeapi.server import FakeApi

pytestmark = pytest.mark.looptime

KEY = ObjectKey("n", "demo")
LEASE = ObjectKey(SYSTEM, LEASE_NAME)
WRITES = ("create", "update", "apply", "json-patch", "merge-patch", "delete")


@pytest.fixture(autouse=True)
def _thaw() -> Iterator[None]:
    """A process freezes what it has when its caches are full; this one goes on with others."""
    yield
    gc.unfreeze()


def resource(name: str = "demo") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "n"},
        "spec": {"distribution": {"name": "starter"}},
    }


def api_with(*names: str) -> FakeApi:
    api = FakeApi()
    for name in names:
        api.create(LLAMA_STACK, resource(name))
    return api


def writes(client: FakeClient) -> list[str]:
    return client.verbs(*WRITES)


def has_status(api: FakeApi, name: str = "demo") -> bool:
    return "status" in api.get(LLAMA_STACK, ObjectKey("n", name))


def holder(api: FakeApi) -> str:
    lease = api.find(LEASES, LEASE)
    return str(lease["spec"].get("holderIdentity", "")) if lease else ""


# --- start (D1) ------------------------------------------------------------------------------


async def test_nothing_is_written_before_every_list_was_answered(tmp_path: Path) -> None:
    api = api_with("demo")

    slow = Fault("watch", SECRET, delay_s=8.0, times=2)
    async with running(api, tmp_path, faults=[slow]) as process:
        await process.until(lambda: has_status(api))

        calls = process.client.calls
        first_write = next(call for call in calls if call.verb in WRITES)
        assert first_write.at >= 8.0
        before = calls[: calls.index(first_write)]
        watched = {call.resource for call in before if call.verb == "watch"}
        assert {LLAMA_STACK, DEPLOYMENT, SECRET, CONFIG_MAP} <= watched


async def test_old_and_new_resources_get_their_children(tmp_path: Path) -> None:
    api = api_with("old")

    async with running(api, tmp_path) as process:
        await process.until(lambda: has_status(api, "old"))
        api.create(LLAMA_STACK, resource("new"))
        await process.until(lambda: has_status(api, "new"))
        await process.stop()

    for name in ("old", "new"):
        assert api.find(DEPLOYMENT, ObjectKey("n", name)) is not None
        assert api.find(SERVICE, ObjectKey("n", f"{name}-service")) is not None


async def test_idle_process_asks_nothing_for_an_hour(tmp_path: Path) -> None:
    api = api_with("demo")

    async with running(api, tmp_path) as process:
        await process.until(lambda: has_status(api))
        await process.until(lambda: bool(process.client.keys("create", EVENT)))
        asked = len(process.client.calls)
        await process.live(3600.0)

        later = process.client.calls[asked:]
        assert {call.verb for call in later} <= {"watch"}


async def test_cluster_without_the_resource_is_told_at_once(tmp_path: Path) -> None:
    api = FakeApi()
    del api.clusters[LLAMA_STACK]

    process = MemoryProcess(api, tmp_path)

    with pytest.raises(NotFit, match="install"):
        await process.task
    assert process.client.calls == []


async def test_caches_that_do_not_fill_end_the_process(tmp_path: Path, looptime: float) -> None:
    api = api_with("demo")
    refusal = Forbidden("no", code=403)
    refused = [Fault(verb, SECRET, error=refusal, times=None) for verb in ("watch", "list")]
    process = MemoryProcess(api, tmp_path, faults=refused)

    with pytest.raises(BaseExceptionGroup) as caught:
        await process.task

    assert abs(float(looptime) - SYNC_DEADLINE_S) < 5.0
    assert "secrets" in str(caught.value.exceptions)
    assert writes(process.client) == []


async def test_operator_config_that_cannot_be_read_holds_the_start_up(tmp_path: Path) -> None:
    """Defaults in its place would replace images in the whole cluster."""
    api = api_with("demo")
    api.create(
        CONFIG_MAP,
        {
            "metadata": {"name": OPERATOR_CONFIG_NAME, "namespace": SYSTEM},
            "data": {"image-overrides": "starter: [not an image]"},
        },
    )

    async with running(api, tmp_path) as process:
        await process.live(600.0)
        assert process.client.keys("create", DEPLOYMENT) == []

        api.merge_patch(
            CONFIG_MAP,
            ObjectKey(SYSTEM, OPERATOR_CONFIG_NAME),
            {"data": {"image-overrides": "starter: registry.example.org/server:1"}},
            manager="admin",
        )
        await process.until(lambda: has_status(api))

    containers = api.get(DEPLOYMENT, KEY)["spec"]["template"]["spec"]["containers"]
    assert containers[0]["image"] == "registry.example.org/server:1"


# --- stop (D2) -------------------------------------------------------------------------------


async def test_stop_ends_watches_and_sends_what_was_to_be_said(tmp_path: Path) -> None:
    api = api_with("demo")

    async with running(api, tmp_path) as process:
        await process.until(lambda: has_status(api))
        took = await process.stop()

        assert took < 5.0
        assert process.client.open_streams == 0
    assert api.all(EVENT) != []


async def test_stop_while_caches_fill_writes_nothing(tmp_path: Path) -> None:
    api = api_with("demo")

    slow = Fault("watch", SECRET, delay_s=60.0, times=None)
    async with running(api, tmp_path, "--leader-elect", faults=[slow]) as process:
        await process.client.asked(5)
        took = await process.stop()

        assert took < 5.0
        assert writes(process.client) == writes(process.lease_client) == []


async def test_reconcile_under_way_is_finished_before_the_lease_is_given_up(tmp_path: Path) -> None:
    api = api_with("demo")

    slow = Fault("create", DEPLOYMENT, delay_s=8.0)
    async with running(api, tmp_path, "--leader-elect", faults=[slow]) as process:
        await process.until(lambda: bool(process.client.keys("create", DEPLOYMENT)))
        took = await process.stop()

        assert 7.0 < took < 12.0
        assert has_status(api)
        status = process.client.calls[-1]
        released = process.lease_client.calls[-1]
        assert released.at >= max(c.at for c in process.client.calls if c.resource != EVENT)
        assert status.at <= released.at
    assert holder(api) == ""


async def test_reconcile_that_hangs_does_not_keep_a_process_from_stopping(tmp_path: Path) -> None:
    api = api_with("demo")

    hangs = Fault("create", DEPLOYMENT, delay_s=1000.0)
    async with running(api, tmp_path, faults=[hangs]) as process:
        await process.until(lambda: bool(process.client.keys("create", DEPLOYMENT)))

        assert await process.stop() < 30.0


# --- leadership (D7, E7) ---------------------------------------------------------------------


async def test_standby_is_warm_writes_nothing_and_takes_over_when_it_may(tmp_path: Path) -> None:
    api = api_with("demo")

    async with (
        running(api, tmp_path, "--leader-elect") as first,
        running(api, tmp_path, "--leader-elect") as second,
    ):
        await first.until(lambda: has_status(api))
        await second.until(lambda: second.client.open_streams == first.client.open_streams)
        leader, standby = (first, second) if writes(first.client) else (second, first)
        assert writes(standby.client) == []

        await leader.stop()
        given_up = standby.task.get_loop().time()
        api.create(LLAMA_STACK, resource("new"))
        await standby.until(lambda: has_status(api, "new"))

        assert standby.task.get_loop().time() - given_up < 3.0
        assert standby.client.keys("create", DEPLOYMENT) == [ObjectKey("n", "new")]


async def test_lost_lease_ends_the_process_and_its_writes(
    tmp_path: Path,
) -> None:
    api = api_with("demo")
    process = MemoryProcess(api, tmp_path, "--leader-elect")
    await process.started()
    await process.until(lambda: has_status(api))
    loop = process.task.get_loop()
    process.lease_client.faults.append(Fault(delay_s=1000.0, times=None))
    cut = loop.time()

    with pytest.raises(BaseExceptionGroup) as caught:
        await process.task

    assert caught.group_contains(LeadershipLost)
    assert loop.time() - cut < 15.0
    written = len(writes(process.client))
    api.create(LLAMA_STACK, resource("new"))
    assert len(writes(process.client)) == written
    assert process.client.open_streams == 0


async def test_task_that_dies_of_a_bug_takes_the_process_with_it(tmp_path: Path) -> None:
    """There is no half-alive operator (D8)."""
    api = api_with("demo")
    process = MemoryProcess(api, tmp_path, "--leader-elect")
    await process.started()
    bug = Fault("update", LEASES, error=ZeroDivisionError("a bug"))
    process.lease_client.faults.append(bug)

    with pytest.raises(BaseExceptionGroup) as caught:
        async with asyncio.timeout(60.0):
            await process.task

    assert caught.group_contains(ZeroDivisionError)
    assert process.client.open_streams == 0


async def test_deleted_resource_is_forgotten_without_a_request(tmp_path: Path) -> None:
    api = api_with("demo")

    async with running(api, tmp_path) as process:
        await process.until(lambda: has_status(api))
        written = len(writes(process.client))
        api.delete(LLAMA_STACK, KEY)
        await process.live(60.0)

        assert not [c for c in writes(process.client)[written:] if "events" not in c]
        with pytest.raises(NotFound):
            api.get(LLAMA_STACK, KEY)
