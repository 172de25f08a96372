# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reconciles in which a request fails: what is said, what is raised, and what comes of it."""

from __future__ import annotations

import pytest

from api.v1alpha2.reasons import Reason
from controller.llamastack.objects.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    DEPLOYMENT,
    INGRESS,
    LLAMA_STACK,
    PERSISTENT_VOLUME_CLAIM,
    POD_DISRUPTION_BUDGET,
    SERVICE,
)
from controller.runtime.result import Result
from informers.errors import ApiError, Conflict, Forbidden, Invalid, ServerError, TransportError
from informers.ports import Resource
from tests.support.fakeapi import failures
from tests.support.fakeapi.client import Fault
from tests.support.one_resource import (
    CHILDREN,
    EVERYTHING,
    KEY,
    LEAST,
    POLICIES,
    WITH_SECRET,
    WITH_VOLUME,
    OneResource,
    child_key,
)

pytestmark = pytest.mark.looptime

FORBIDDEN = failures.failure(403, "Forbidden", "exceeded quota: most")
INVALID = failures.failure(422, "Invalid", "spec is invalid")
CONFLICT = failures.failure(409, "Conflict", "the object has been modified")
BROKEN = failures.failure(500, "InternalError", "no leader")
GONE = failures.failure(404, "NotFound", "not found")
STATUS = "apply llamastackdistributions.llamastack.io/status demo"
ALL = (*CHILDREN, CONFIG_MAP)
REFUSALS = pytest.mark.parametrize(
    ("error", "kind"),
    [pytest.param(FORBIDDEN, Forbidden, id="403"), pytest.param(INVALID, Invalid, id="422")],
)


def by_kind(*kinds: Resource) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("resource", kinds, ids=[kind.kind for kind in kinds])


# --- refusals -------------------------------------------------------------------------------------


@REFUSALS
async def test_refused_deployment_is_told_of_and_raised(
    error: ApiError, kind: type[ApiError]
) -> None:
    world = OneResource(EVERYTHING, options=POLICIES)

    raised = await world.reconcile_failing(Fault("create", DEPLOYMENT, error=error))

    assert isinstance(raised, kind)
    assert world.verbs()[-1] == STATUS
    assert world.said("Ready") == ("False", Reason.RECONCILE_FAILED)
    assert str(error) in world.message("Ready")
    assert world.status["phase"] == "Failed"
    assert world.there() == set(CHILDREN.values()) - {CHILDREN[DEPLOYMENT]}
    assert world.events() == ["DeploymentUpdateFailed"]


@REFUSALS
async def test_refused_claim_is_told_of_where_storage_is_told_of(
    error: ApiError, kind: type[ApiError]
) -> None:
    world = OneResource(WITH_VOLUME)

    raised = await world.reconcile_failing(Fault("create", PERSISTENT_VOLUME_CLAIM, error=error))

    assert isinstance(raised, kind)
    assert world.said("StorageReady") == ("False", Reason.STORAGE_FAILED)
    assert str(error) in world.message("StorageReady")
    assert world.there([DEPLOYMENT]) == set()


@REFUSALS
@by_kind(SERVICE, POD_DISRUPTION_BUDGET, AUTOSCALER, INGRESS)
async def test_refused_child_beside_the_deployment_does_not_keep_the_server_from_running(
    resource: Resource, error: ApiError, kind: type[ApiError]
) -> None:
    world = OneResource(EVERYTHING, options=POLICIES)

    raised = await world.reconcile_failing(Fault("create", resource, error=error))

    assert isinstance(raised, kind)
    assert world.said("Ready") == ("False", Reason.RECONCILE_FAILED)
    assert world.there() == set(CHILDREN.values()) - {CHILDREN[resource]}
    assert "resolvedDistribution" in world.status
    world.roll_out()
    await world.reconcile_failing(Fault("create", resource, error=error))
    assert world.said("DeploymentReady") == ("True", Reason.DEPLOYMENT_READY)


async def test_service_that_was_refused_is_no_address() -> None:
    world = OneResource(LEAST)

    await world.reconcile_failing(Fault("create", SERVICE, error=FORBIDDEN))

    assert "serviceURL" not in world.status
    assert world.said("ServiceReady") == ("Unknown", Reason.NOT_EVALUATED)


async def test_refused_edit_leaves_what_runs_and_what_is_not_wanted_any_more() -> None:
    world = OneResource(EVERYTHING, options=POLICIES)
    await world.settle()
    world.edit({**EVERYTHING, "networking": {}, "workload": {"replicas": 2}})

    raised = await world.reconcile_failing(Fault("apply", DEPLOYMENT, error=FORBIDDEN))

    assert isinstance(raised, Forbidden)
    assert world.verbs("delete") == []
    assert world.there() == set(CHILDREN.values())


async def test_namespace_that_is_being_deleted_is_not_tried_again() -> None:
    world = OneResource(EVERYTHING)
    world.api.terminating.add(KEY.namespace)

    assert await world.reconcile() == Result.done()

    assert world.said("Ready") == ("False", Reason.DELETING)
    assert world.status["phase"] != "Failed"


# --- what a retry fixes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind"),
    [pytest.param(CONFLICT, Conflict, id="409"), pytest.param(BROKEN, ServerError, id="500")],
)
@by_kind(*ALL)
async def test_write_that_failed_is_raised_after_the_status_and_made_by_the_next_reconcile(
    resource: Resource, error: ApiError, kind: type[ApiError]
) -> None:
    world = OneResource(EVERYTHING, options=POLICIES)

    raised = await world.reconcile_failing(Fault("create", resource, error=error))

    assert isinstance(raised, kind)
    assert world.verbs()[-1] == STATUS
    assert world.said("Ready") == ("False", Reason.RECONCILE_FAILED)
    assert world.status["phase"] != "Failed"
    assert await world.reconcile() == Result.done()
    assert world.said("DeploymentUpdated") == ("True", Reason.DEPLOYMENT_UPDATED)
    assert len(world.there(ALL)) == len(ALL)


@by_kind(*ALL)
async def test_write_whose_answer_was_lost_is_raised_and_not_made_twice(
    resource: Resource,
) -> None:
    world = OneResource(EVERYTHING, options=POLICIES)

    raised = await world.reconcile_failing(Fault("create", resource, lost=True))

    assert isinstance(raised, TransportError)
    assert world.said("Ready") == ("False", Reason.RECONCILE_FAILED)
    assert await world.reconcile() == Result.done()
    assert [call for call in world.verbs("create") if f"create {resource} " in call] == []
    assert world.said("DeploymentUpdated") == ("True", Reason.DEPLOYMENT_UPDATED)
    await world.reconcile()
    assert world.client.calls == []


async def test_apply_whose_answer_was_lost_is_not_repeated() -> None:
    world = OneResource(WITH_SECRET)
    await world.settle()
    world.put_credentials(key="another")

    raised = await world.reconcile_failing(Fault("apply", DEPLOYMENT, lost=True))

    assert isinstance(raised, TransportError)
    assert await world.reconcile() == Result.done()
    assert world.written() == [STATUS]


# --- the status -----------------------------------------------------------------------------------


async def test_status_whose_answer_was_lost_is_written_once() -> None:
    world = OneResource(LEAST)

    raised = await world.reconcile_failing(Fault("apply", LLAMA_STACK, lost=True))

    assert isinstance(raised, TransportError)
    assert await world.reconcile() == Result.done()
    assert world.client.calls == []


@pytest.mark.parametrize("error", [CONFLICT, BROKEN, FORBIDDEN], ids=["409", "500", "403"])
async def test_status_that_cannot_be_written_is_raised_and_no_event_tells_of_it(
    error: ApiError,
) -> None:
    world = OneResource(LEAST)

    raised = await world.reconcile_failing(Fault("apply", LLAMA_STACK, error=error))

    assert raised is error
    assert world.events() == []
    assert await world.reconcile() == Result.done()
    assert world.verbs() == [STATUS]


async def test_resource_that_went_meanwhile_needs_no_status_and_no_event() -> None:
    world = OneResource(LEAST)

    assert await world.reconcile_failing(Fault("apply", LLAMA_STACK, error=GONE)) == Result.done()

    assert world.events() == []


async def test_namesake_made_meanwhile_gets_a_status_of_its_own_in_the_next_reconcile() -> None:
    world = OneResource(LEAST)
    await world.settle()
    world.edit({**LEAST, "workload": {"replicas": 2}})
    world.operator.caches.catch_up()
    world.operator.caches.lag()
    world.api.delete(LLAMA_STACK, KEY)
    world.edit({"distribution": {"name": "no-such"}})
    await world.reconcile()  # of the one that went
    world.operator.caches.lag(lags=False)

    assert KEY in await world.woken()
    await world.reconcile()

    assert world.status["observedGeneration"] == 1
    assert world.said("ConfigGenerated") == ("False", Reason.CONFIG_GENERATION_FAILED)
    assert world.said("DeploymentReady") == ("False", Reason.DEPLOYMENT_PENDING)


# --- the end --------------------------------------------------------------------------------------


async def test_leftover_that_cannot_be_deleted_is_raised_although_the_resource_is_ready() -> None:
    world = OneResource({**LEAST, "networking": {"expose": True}})
    await world.settle()
    world.roll_out()
    world.edit(LEAST)

    raised = await world.reconcile_failing(Fault("delete", INGRESS, error=BROKEN))

    assert raised is BROKEN
    assert world.said("DeploymentUpdated") == ("True", Reason.DEPLOYMENT_UPDATED)
    assert world.said("Ready") == ("True", Reason.ALL_READY)
    assert await world.reconcile() == Result.done()
    assert world.there([INGRESS]) == set()
    assert child_key(INGRESS) in world.client.keys("delete", INGRESS)


async def test_bug_in_the_write_of_the_deployment_keeps_no_child_beside_it() -> None:
    world = OneResource(LEAST)
    world.client.faults.append(Fault("create", DEPLOYMENT, error=ZeroDivisionError("a bug")))

    with pytest.raises(ZeroDivisionError):
        await world.reconcile()

    assert world.api.find(SERVICE, child_key(SERVICE)) is not None


# --- what was stored under another definition -----------------------------------------------------


async def test_status_that_an_apply_cannot_merge_with_is_replaced() -> None:
    world = OneResource(LEAST)
    misfit = failures.failure(500, "InternalError", "failed to create typed live object (n/demo)")

    await world.reconcile_failing(Fault("apply", LLAMA_STACK, error=misfit))

    assert world.verbs()[-1] == "json-patch llamastackdistributions.llamastack.io/status demo"
    assert world.said("Ready") == ("False", Reason.PROGRESSING)


async def test_status_that_is_refused_is_told_in_an_event() -> None:
    world = OneResource({"distribution": {"name": "no-such"}})
    refused = failures.failure(422, "Invalid", "spec.x: expected a map")
    world.client.faults = [
        Fault(verb, LLAMA_STACK, error=refused) for verb in ("apply", "json-patch")
    ]

    with pytest.raises(Invalid):
        await world.reconcile()

    (event,) = world.operator.events.seen
    assert (event.type, event.reason) == ("Warning", Reason.STATUS_REFUSED)
    assert "Unknown distribution" in event.note
    assert "spec.x: expected a map" in event.note
