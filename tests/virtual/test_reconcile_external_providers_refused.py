# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Every way in which a reconcile ends before pods can install what the spec asks for.

The condition is there with the first thing that stands in the way, the list is that of the pods
which go on; without external providers there is neither.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Final

import pytest

from api.conditions import condition
from api.v1alpha2 import ConfigSource
from api.v1alpha2.reasons import Reason
from configs.base import read_base
from controller.llamastack.objects.kinds import CONFIG_MAP, LLAMA_STACK, POD
from controller.llamastack.planning.image_configs import Answer, Failed, Known, Pending, Question
from controller.llamastack.render.inputs import Options
from informers.ports import ObjectKey
from tests.support.fakeapi.objects import Json
from tests.support.installing import DONE, OPTIONS, RUNNING, TWO, pod, provider
from tests.support.one_resource import KEY, LEAST, OneResource

pytestmark = pytest.mark.looptime

ALL_DONE: Final = {"one": DONE, "two": DONE, "merge-config": DONE, "preflight": DONE}
IMAGE: Final = {"distribution": {"image": "registry.example/own:1"}}
LABELLED: Final = Known(
    read_base(
        resources.files("configs").joinpath("data/base/starter.yaml").read_bytes(),
        source=ConfigSource.OCI_LABEL,
    )
)


def with_variable(kind: str) -> Json:
    """A variable whose value is in an object that is not there."""
    value_from = {kind: {"name": "nobody", "key": "k"}}
    return {"workload": {"overrides": {"env": [{"name": "X", "valueFrom": value_from}]}}}


TWICE: Final = {"inference": [provider("one")], "vectorIo": [provider("one")]}
BOTH: Final = ["Ready", "Ready"]
OF_THE_PROVIDERS: Final[dict[str, tuple[Json, str, list[str]]]] = {
    "one-id": ({"externalProviders": TWICE}, Reason.VALIDATION_FAILED, ["Ready"]),
    "section": ({"externalProviders": {"inference": 5}}, Reason.VALIDATION_FAILED, BOTH),
    "no-base": (IMAGE, Reason.BASE_CONFIG_REQUIRED, BOTH),
}
OF_THE_REST: Final[dict[str, tuple[Json, str, list[str]]]] = {
    "unreadable": ({"distribution": 5}, Reason.VALIDATION_FAILED, BOTH),
    "distribution": ({"distribution": {"name": "x"}}, Reason.CONFIG_GENERATION_FAILED, BOTH),
    "secret": (with_variable("secretKeyRef"), Reason.SECRET_NOT_FOUND, BOTH),
    "config-map": (with_variable("configMapKeyRef"), Reason.CONFIG_MAP_NOT_FOUND, BOTH),
    "override": (
        {"overrideConfig": {"configMapName": "broken"}},
        Reason.UNSUPPORTED_CONFIG_VERSION,
        BOTH,
    ),
}
"""What an edit gets wrong: the reason, and the phases of what was running before."""

ALL: Final = {**OF_THE_PROVIDERS, **OF_THE_REST}


@dataclass
class Images:
    """Implements ``ImageConfigs``: says what a test puts in."""

    answer: Answer = field(default_factory=Pending)

    def lookup(self, question: Question, *, asker: ObjectKey, credentials: str) -> Answer:
        return self.answer


def installs(world: OneResource) -> tuple[str, str]:
    return world.said("ExternalProvidersReady")


def phases(world: OneResource) -> list[str]:
    return [each["phase"] for each in world.status.get("externalProviders", ())]


def put_pod(world: OneResource, states: Json) -> None:
    """A pod of the resource that installs what its Deployment says."""
    volumes = {v["name"]: v for v in world.deployment["spec"]["template"]["spec"]["volumes"]}
    source = volumes["external-providers-input"]["configMap"]["name"]
    made = pod(states, source=source, phase="Running")
    key = ObjectKey("n", made["metadata"]["name"])
    metadata = {k: made["metadata"][k] for k in ("labels", "ownerReferences")}
    world.api.put(POD, key, metadata=metadata, spec=made["spec"])
    world.api.put_status(POD, key, **made["status"])


async def running(spec: Json, **how: Any) -> OneResource:
    """A server that has installed everything."""
    world = OneResource(None, options=OPTIONS, **how)
    world.api.put(CONFIG_MAP, ObjectKey("n", "broken"), data={"config.yaml": "version: 99"})
    world.edit(spec)
    await world.settle()
    put_pod(world, ALL_DONE)
    world.roll_out()
    await world.settle()
    assert installs(world) == ("True", Reason.ALL_PROVIDERS_READY)
    return world


@pytest.mark.parametrize(("wrong", "reason", "kept"), ALL.values(), ids=ALL)
async def test_edit_that_no_pod_can_follow_is_told_and_the_list_is_that_of_what_runs(
    wrong: Json, reason: str, kept: list[str]
) -> None:
    world = await running({**LEAST, "externalProviders": TWO})
    before = world.deployment
    world.edit({**LEAST, "externalProviders": TWO, **wrong})

    await world.reconcile()

    assert world.deployment == before
    assert installs(world) == world.said("Ready") == ("False", reason)
    assert world.message("ExternalProvidersReady") == world.message("Ready")
    assert phases(world) == kept
    told = condition({"status": world.status}, "ExternalProvidersReady")
    assert told["observedGeneration"] == world.status["observedGeneration"] == 2


@pytest.mark.parametrize("wrong", ALL.values(), ids=ALL)
async def test_new_resource_that_no_pod_can_follow_has_the_condition_too(
    wrong: tuple[Json, str, list[str]],
) -> None:
    spec, reason, _ = wrong
    world = OneResource(None, options=OPTIONS)
    world.api.put(CONFIG_MAP, ObjectKey("n", "broken"), data={"config.yaml": "version: 99"})
    world.edit({**LEAST, "externalProviders": TWO, **spec})

    await world.reconcile()

    assert installs(world) == world.said("Ready") == ("False", reason)
    assert set(phases(world)) <= {"Pending"}


@pytest.mark.parametrize("wrong", OF_THE_REST.values(), ids=OF_THE_REST)
async def test_without_external_providers_nothing_is_told_of_them(
    wrong: tuple[Json, str, list[str]],
) -> None:
    spec, reason, _ = wrong
    new = OneResource({**LEAST, **spec}, options=OPTIONS)
    await new.reconcile()
    assert (installs(new), phases(new)) == (("", ""), [])

    world = await running({**LEAST, "externalProviders": TWO})
    world.edit({**LEAST, **spec})
    await world.reconcile()

    assert world.said("Ready") == ("False", reason)
    assert (installs(world), phases(world)) == (("", ""), [])


async def test_spec_that_is_no_object_keeps_the_list_and_says_why() -> None:
    world = await running({**LEAST, "externalProviders": TWO})
    world.api.put(LLAMA_STACK, KEY, spec=5)

    await world.reconcile()

    assert installs(world) == ("False", Reason.VALIDATION_FAILED)
    assert phases(world) == ["Ready", "Ready"]


async def test_edit_that_is_taken_back_is_ready_again_at_once() -> None:
    world = await running({**LEAST, "externalProviders": TWO})
    before = world.status["externalProviders"]
    world.edit({**LEAST, "externalProviders": {"inference": 5}})
    await world.reconcile()
    world.edit({**LEAST, "externalProviders": TWO})

    await world.reconcile()

    assert installs(world) == ("True", Reason.ALL_PROVIDERS_READY)
    assert world.status["externalProviders"] == before


# --- an image whose labels are not known ----------------------------------------------------------


async def test_labels_that_are_being_read_hold_up_a_new_resource() -> None:
    world = OneResource({**IMAGE, "externalProviders": TWO}, options=OPTIONS, images=Images())

    await world.reconcile()

    assert installs(world) == ("Unknown", Reason.IMAGE_CONFIG_PENDING)
    assert phases(world) == ["Pending", "Pending"]


async def test_labels_that_cannot_be_read_are_told() -> None:
    failed = Failed(Reason.IMAGE_CONFIG_UNAVAILABLE, "no route", transient=True, retry_in_s=30.0)
    spec = {**IMAGE, "externalProviders": TWO}
    world = OneResource(spec, options=OPTIONS, images=Images(failed))

    await world.reconcile()

    assert installs(world) == ("False", Reason.IMAGE_CONFIG_UNAVAILABLE)


async def test_labels_that_are_read_again_leave_the_progress_of_what_runs() -> None:
    images = Images(LABELLED)
    world = await running({**IMAGE, "externalProviders": TWO}, images=images)
    images.answer = Pending()
    world.restart()
    await world.reconcile()
    assert installs(world) == ("True", Reason.ALL_PROVIDERS_READY)

    put_pod(world, {"one": DONE, "two": RUNNING})  # its node was lost, say
    await world.reconcile()

    assert installs(world) == ("Unknown", Reason.PROVIDERS_INSTALLING)
    assert phases(world) == ["Ready", "Installing"]


# --- what the operator lacks ----------------------------------------------------------------------


async def test_operator_without_an_image_of_its_own_keeps_the_list() -> None:
    world = await running({**LEAST, "externalProviders": TWO})
    world.start = OneResource(None, options=Options()).start
    world.restart()

    await world.reconcile()

    assert installs(world) == ("False", Reason.VALIDATION_FAILED)
    assert phases(world) == ["Ready", "Ready"]
