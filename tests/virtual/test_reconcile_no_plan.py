# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reconciles that end before a child is written: no resource, no plan, or not yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources

import pytest

from api.v1alpha2.reasons import ConfigSource, Reason
from configs.base import read_base
from controller.llamastack.objects.kinds import LLAMA_STACK, SERVICE_ACCOUNT
from controller.llamastack.planning.image_configs import (
    Answer,
    Failed,
    Known,
    Pending,
    Question,
)
from controller.runtime.result import Result
from informers.ports import ObjectKey
from tests.support.fakeapi.objects import Json
from tests.support.one_resource import KEY, LEAST, WITH_SECRET, OneResource, child_key

pytestmark = pytest.mark.looptime

OWN_IMAGE: Json = {**WITH_SECRET, "distribution": {"image": "registry/own:1"}}
LABELLED = Known(
    read_base(
        resources.files("configs").joinpath("data/base/starter.yaml").read_bytes(),
        source=ConfigSource.OCI_LABEL,
    )
)
STATUS = ["apply llamastackdistributions.llamastack.io/status demo"]


@dataclass
class Images:
    """Implements ``ImageConfigs``: says what a test puts in."""

    answer: Answer = field(default_factory=Pending)
    asked: list[tuple[Question, ObjectKey]] = field(default_factory=list)

    def lookup(self, question: Question, *, asker: ObjectKey, credentials: str) -> Answer:
        self.asked.append((question, asker))
        return self.answer


def unread(retry_in_s: float = 30.0) -> Failed:
    return Failed(Reason.IMAGE_CONFIG_UNAVAILABLE, "no route", True, retry_in_s)


# --- no resource ----------------------------------------------------------------------------------


async def test_absent_resource_needs_nothing_and_nobody_waits_for_its_writes_any_more() -> None:
    world = OneResource(None)
    tracker = world.operator.consistency
    tracker.wrote(KEY, SERVICE_ACCOUNT, child_key(SERVICE_ACCOUNT), "99", reached=False)
    assert tracker.wait_for(KEY) is not None

    assert await world.reconcile() == Result.done()

    assert world.client.calls == []
    assert tracker.wait_for(KEY) is None


def held(world: OneResource) -> None:
    """The resource is being deleted, and somebody has to see to it first."""
    world.api.put(LLAMA_STACK, KEY, metadata={"finalizers": ["example.com/backup"]})
    world.api.delete(LLAMA_STACK, KEY)


async def test_resource_that_is_being_deleted_gets_a_status_and_no_child() -> None:
    world = OneResource(WITH_SECRET)
    held(world)

    assert await world.reconcile() == Result.done()

    assert world.verbs() == STATUS
    assert world.status["phase"] == "Terminating"
    assert world.said("Ready") == ("False", "Deleting")
    await world.reconcile()
    assert world.client.calls == []


async def test_children_of_a_resource_that_is_being_deleted_are_left_alone() -> None:
    world = OneResource(LEAST)
    await world.settle()
    world.api.delete(SERVICE_ACCOUNT, child_key(SERVICE_ACCOUNT))
    held(world)

    await world.reconcile()

    assert world.verbs() == STATUS
    assert world.status["phase"] == "Terminating"


# --- a spec from which no configuration follows ---------------------------------------------------

INVALID: Json = {"distribution": {"name": "starter", "image": "registry/own:1"}}
UNKNOWN: Json = {"distribution": {"name": "no-such-distribution"}}
UNKNOWN_PROVIDER: Json = {
    **LEAST,
    "providers": {"inference": {"provider": "nobody-has-this"}},
}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        pytest.param(INVALID, Reason.VALIDATION_FAILED, id="invalid"),
        pytest.param({"distribution": 5}, Reason.VALIDATION_FAILED, id="unreadable"),
        pytest.param(5, Reason.VALIDATION_FAILED, id="no-spec"),
        pytest.param(UNKNOWN, Reason.CONFIG_GENERATION_FAILED, id="unknown-distribution"),
        pytest.param(UNKNOWN_PROVIDER, Reason.CONFIG_GENERATION_FAILED, id="unknown-provider"),
    ],
)
async def test_spec_without_a_configuration_creates_nothing_and_says_why(
    spec: Json, reason: str
) -> None:
    world = OneResource(spec)

    assert await world.reconcile() == Result.done()

    assert world.verbs() == STATUS
    assert world.said("ConfigGenerated") == ("False", reason)
    assert world.said("Ready") == ("False", reason)
    assert world.said("DeploymentUpdated") == ("False", Reason.DEPLOYMENT_NOT_UPDATED)
    assert "nothing was created" in world.message("DeploymentUpdated")
    assert world.status["phase"] == "Failed"
    assert world.events() == ["ConfigGenerationFailed"]


@pytest.mark.parametrize("spec", [INVALID, UNKNOWN], ids=["invalid", "unknown-distribution"])
async def test_spec_that_became_unusable_leaves_what_runs_as_it_is(spec: Json) -> None:
    world = OneResource(LEAST)
    await world.settle()
    world.roll_out()
    await world.reconcile()
    resolved = world.status["resolvedDistribution"]
    world.edit(spec)

    await world.reconcile()

    assert world.verbs() == STATUS
    assert "what runs was left as it is" in world.message("DeploymentUpdated")
    assert world.status["resolvedDistribution"] == resolved
    assert world.status["availableReplicas"] == 1
    assert world.status["observedGeneration"] == 2


async def test_unusable_spec_is_corrected_by_the_next_edit() -> None:
    world = OneResource(INVALID)
    await world.reconcile()
    world.edit(LEAST)

    await world.reconcile()

    assert world.said("ConfigGenerated") == ("True", "DistributionDefault")
    assert "demo" in world.there()


# --- an image whose labels are not known ----------------------------------------------------------


async def test_labels_that_are_still_being_read_postpone_everything() -> None:
    images = Images()
    world = OneResource(OWN_IMAGE, images=images)

    assert await world.reconcile() == Result.done()

    assert world.written() == STATUS
    assert world.said("ConfigGenerated") == ("Unknown", Reason.IMAGE_CONFIG_PENDING)
    assert world.said("Ready") == ("Unknown", Reason.IMAGE_CONFIG_PENDING)
    assert [(q.image, asker) for q, asker in images.asked] == [("registry/own:1", KEY)]


async def test_labels_that_arrive_let_the_next_reconcile_go_on() -> None:
    images = Images()
    world = OneResource(OWN_IMAGE, images=images)
    await world.reconcile()
    images.answer = LABELLED

    await world.reconcile()

    assert "demo" in world.there()
    assert world.said("DeploymentUpdated") == ("True", "DeploymentUpdated")


async def test_labels_that_are_read_again_change_nothing_for_a_server_that_runs() -> None:
    images = Images(LABELLED)
    world = OneResource(OWN_IMAGE, images=images)
    await world.settle()
    images.answer = Pending()
    world.restart()

    assert await world.reconcile() == Result.done()
    assert world.client.calls == []


async def test_refused_image_creates_nothing_and_is_tried_again() -> None:
    answer = Failed(
        Reason.CONFIG_GENERATION_FAILED, "no config in it", transient=False, retry_in_s=90.0
    )
    images = Images(answer)
    world = OneResource(OWN_IMAGE, images=images)

    assert await world.reconcile() == Result.after(90.0)

    assert world.written() == STATUS
    assert world.said("ConfigGenerated") == ("False", Reason.CONFIG_GENERATION_FAILED)
    assert world.message("ConfigGenerated") == "spec.distribution: no config in it"
    assert world.status["phase"] == "Failed"


async def test_image_that_cannot_be_read_is_refused_until_it_can() -> None:
    images = Images(unread())
    world = OneResource(OWN_IMAGE, images=images)
    assert await world.reconcile() == Result.after(30.0)
    assert world.there() == set()
    images.answer = LABELLED

    assert await world.reconcile() == Result.done()
    assert "demo" in world.there()


async def test_registry_that_is_away_changes_nothing_for_a_server_that_runs() -> None:
    images = Images(LABELLED)
    world = OneResource(OWN_IMAGE, images=images)
    await world.settle()
    images.answer = unread()

    assert await world.reconcile() == Result.after(30.0)
    assert world.client.calls == []
