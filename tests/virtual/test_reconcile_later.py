# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a reconcile leaves for later: the next look, and a server's first report."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from api.v1alpha2.reasons import Reason
from controller.llamastack.objects.kinds import (
    DEPLOYMENT,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SERVICE,
)
from controller.llamastack.server.probe_port import ReportedProvider, Server, ServerReport
from controller.runtime.result import Result
from informers.errors import Forbidden
from informers.ports import ObjectKey
from tests.support.fakeapi import failures
from tests.support.fakeapi.client import Fault
from tests.support.fakeapi.objects import Json
from tests.support.one_resource import KEY, LEAST, WITH_VOLUME, OneResource, child_key

pytestmark = pytest.mark.looptime

STATUS = "apply llamastackdistributions.llamastack.io/status demo"
REPORT = ServerReport("0.7.3", (ReportedProvider("inference", "vllm", "remote::vllm", "OK"),))


@dataclass
class Prober:
    """Implements ``ServerProber``: says what a test puts in, and notes what it was asked."""

    report: ServerReport | None = None
    awaited: float = 0.0
    looked: list[tuple[Server, bool, bool]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    def look(self, server: Server, *, ready: bool, known: bool) -> ServerReport | None:
        self.looked.append((server, ready, known))
        return self.report

    def awaited_s(self, uid: str) -> float:
        return self.awaited

    def forget(self, uid: str) -> None:
        self.forgotten.append(uid)


async def serving(prober: Prober, spec: Json = LEAST) -> OneResource:
    """A resource whose pods became ready just now."""
    world = OneResource(spec, prober=prober)
    await world.settle()
    world.roll_out()
    return world


# --- the server's report --------------------------------------------------------------------------


async def test_status_that_says_ready_waits_for_the_first_report_and_tells_both_at_once() -> None:
    prober = Prober(awaited=2.5)
    world = await serving(prober)

    assert await world.reconcile() == Result.after(2.5)
    assert world.client.calls == []
    assert world.events() == ["DeploymentUpdated"]
    prober.report, prober.awaited = REPORT, 0.0

    assert await world.reconcile() == Result.done()
    assert world.verbs() == [STATUS]
    assert world.said("Ready") == ("True", Reason.ALL_READY)
    assert world.status["version"]["llamaStackServerVersion"] == "0.7.3"
    (provider,) = world.status["distributionConfig"]["providers"]
    assert provider["provider_id"] == "vllm"


async def test_report_that_does_not_come_in_time_is_not_waited_for() -> None:
    prober = Prober(awaited=2.5)
    world = await serving(prober)
    await world.reconcile()
    prober.awaited = 0.0

    assert await world.reconcile() == Result.done()

    assert world.said("Ready") == ("True", Reason.ALL_READY)
    assert "llamaStackServerVersion" not in world.status["version"]


async def test_report_that_is_known_is_not_waited_for() -> None:
    prober = Prober(REPORT)
    world = await serving(prober)
    await world.reconcile()
    prober.report, prober.awaited = None, 2.5
    world.restart()

    assert await world.reconcile() == Result.done()

    assert world.client.calls == []
    assert prober.looked[-1][1:] == (True, True)


async def test_edit_is_told_of_at_once_whoever_is_awaited() -> None:
    prober = Prober(awaited=2.5)
    world = await serving(prober)
    world.edit({**LEAST, "workload": {"replicas": 1}})

    assert await world.reconcile() == Result.done()
    assert world.verbs()[-1] == STATUS


async def test_trouble_is_told_of_at_once_whoever_is_awaited() -> None:
    prober = Prober(awaited=2.5)
    world = await serving(prober)
    world.api.delete(SERVICE, child_key(SERVICE))
    error = failures.failure(403, "Forbidden", "no")

    raised = await world.reconcile_failing(Fault("create", SERVICE, error=error))

    assert isinstance(raised, Forbidden)
    assert world.verbs()[-1] == STATUS


async def test_server_is_looked_at_by_the_address_of_its_service_once_it_has_one() -> None:
    prober = Prober()
    world = await serving(prober)

    await world.reconcile()

    server, ready, known = prober.looked[-1]
    assert (server.key, server.service, server.port) == (KEY, "demo-service", 8321)
    assert server.address == world.api.get(SERVICE, child_key(SERVICE))["spec"]["clusterIP"]
    assert (ready, known) == (True, False)


async def test_server_that_was_not_written_is_not_looked_at() -> None:
    prober = Prober()
    world = await serving(prober)
    prober.looked.clear()
    world.edit({"distribution": {"name": "no-such"}})

    await world.reconcile()

    assert prober.looked == []


async def test_report_of_the_old_server_goes_with_its_template() -> None:
    prober = Prober(REPORT)
    world = await serving(prober)
    await world.reconcile()
    prober.report = None
    world.edit({**LEAST, "networking": {"port": 9000}})

    await world.reconcile()

    assert "providers" not in world.status["distributionConfig"]
    assert "llamaStackServerVersion" not in world.status["version"]


# --- claims ---------------------------------------------------------------------------------------


async def test_bound_claim_is_reported_when_its_time_is_over() -> None:
    world = OneResource(WITH_VOLUME)
    await world.settle()
    assert world.said("StorageReady") == ("False", Reason.STORAGE_PENDING)
    world.bind()

    assert await world.reconcile() == Result.after(20.0)
    assert world.client.calls == []

    await asyncio.sleep(20.0)
    await world.reconcile()
    assert world.verbs() == [STATUS]
    assert world.said("StorageReady") == ("True", Reason.STORAGE_READY)
    assert await world.reconcile() == Result.done()


async def test_bound_claim_is_reported_with_the_pods_that_start_on_it() -> None:
    world = OneResource(WITH_VOLUME)
    await world.settle()
    world.bind()
    world.roll_out()

    await world.reconcile()

    assert world.said("StorageReady") == ("True", Reason.STORAGE_READY)
    assert world.said("Ready") == ("True", Reason.ALL_READY)


async def test_claim_that_may_not_grow_is_looked_at_every_minute() -> None:
    world = OneResource(WITH_VOLUME)
    await world.settle()
    world.bind()
    world.roll_out()
    await world.reconcile()
    world.edit({**LEAST, "workload": {"storage": {"size": "20Gi"}}})
    refusal = failures.failure(403, "Forbidden", "only dynamically provisioned can be resized")
    world.client.faults = [Fault("apply", PERSISTENT_VOLUME_CLAIM, error=refusal)]

    assert await world.reconcile() == Result.after(60.0)

    assert world.said("StorageReady") == ("False", Reason.STORAGE_CHANGE_REFUSED)
    assert "only dynamically provisioned" in world.message("StorageReady")
    assert await world.reconcile() == Result.done()
    size = world.api.get(PERSISTENT_VOLUME_CLAIM, child_key(PERSISTENT_VOLUME_CLAIM))
    assert size["spec"]["resources"]["requests"]["storage"] == "20Gi"


# --- an old pod that does not go ------------------------------------------------------------------


async def recreating() -> OneResource:
    """An edit under way whose old pod was deleted at this moment."""
    world = OneResource(WITH_VOLUME)
    await world.settle()
    world.bind()
    world.roll_out()
    await world.settle()
    world.edit({**LEAST, "workload": {**WITH_VOLUME["workload"], "workers": 2}})
    await world.reconcile()
    numbers = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 0)
    seen = world.deployment["metadata"]["generation"]
    world.api.put_status(DEPLOYMENT, KEY, observedGeneration=seen, **numbers)
    labels = {"app": "llama-stack", "app.kubernetes.io/instance": "demo", "pod-template-hash": "1"}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "demo-1", "uid": "r"}
    found = {"labels": labels, "ownerReferences": [owner], "finalizers": ["example.org/hold"]}
    world.api.put(POD, OLD_POD, metadata=found, spec={"nodeName": "node-1"})
    world.api.put_status(POD, OLD_POD, phase="Running")
    world.api.delete(POD, OLD_POD)
    return world


OLD_POD = ObjectKey("n", "demo-1-a")


async def test_old_pod_that_does_not_go_is_named_once_its_time_is_over() -> None:
    world = await recreating()

    assert await world.reconcile() == Result.after(30.0)
    assert world.said("Ready") == ("False", Reason.PROGRESSING)

    await asyncio.sleep(30.0)
    assert await world.reconcile() == Result.done()

    assert world.said("Ready") == ("False", Reason.POD_NOT_TERMINATED)
    assert "pod demo-1-a was to be gone" in world.message("Ready")
    assert "example.org/hold" in world.message("Ready")
    assert world.events()[-1] == Reason.POD_NOT_TERMINATED


async def test_old_pod_that_goes_leaves_nothing_to_tell() -> None:
    world = await recreating()
    await world.reconcile()

    world.api.remove(POD, OLD_POD)

    assert await world.reconcile() == Result.done()
    assert world.said("Ready") == ("False", Reason.PROGRESSING)


async def test_pod_that_nobody_waits_for_is_not_looked_at_again() -> None:
    world = await recreating()

    world.roll_out()

    assert await world.reconcile() == Result.done()
    assert world.said("Ready") == ("True", Reason.ALL_READY)
