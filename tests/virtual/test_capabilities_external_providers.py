# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the operator finds out for external providers: its own image, and whether images mount."""

from __future__ import annotations

from typing import Any

import pytest

from controller.llamastack.objects.kinds import POD
from informers.errors import Forbidden, ServerError
from informers.ports import ObjectKey
from llamastack_operator.capabilities import detect_capabilities
from llamastack_operator.own_image import own_image
from llamastack_operator.settings import Settings
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.fakeapi.server import FakeApi

pytestmark = pytest.mark.looptime

SYSTEM, NAME = "system", "operator-1-a"
IN_CLUSTER = Settings(leader_elect_namespace=SYSTEM)
MANAGER = {"name": "manager", "image": "registry.example/operator:1"}
SIDECAR = {"name": "proxy", "image": "registry.example/proxy:1"}

Json = dict[str, Any]


def cluster(*containers: Json, namespace: str = SYSTEM) -> FakeClient:
    """One with the operator's pod, if it has containers, and a pod of somebody else."""
    api = FakeApi()
    other = [{"name": "manager", "image": "registry.example/other:1"}]
    api.put(POD, ObjectKey(SYSTEM, "operator-0-z"), spec={"containers": other})
    if containers:
        api.put(POD, ObjectKey(namespace, NAME), spec={"containers": list(containers)})
    return FakeClient(api)


# --- the operator's own image ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("containers", "image"),
    [
        ([MANAGER], "registry.example/operator:1"),
        ([SIDECAR, MANAGER], "registry.example/operator:1"),
        ([{"name": "renamed", "image": "registry.example/mine:1"}], "registry.example/mine:1"),
        ([SIDECAR, {"name": "renamed", "image": "registry.example/mine:1"}], ""),
        ([], ""),
    ],
)
async def test_image_is_that_of_the_operators_container(containers: list[Json], image: str) -> None:
    client = cluster(*containers)

    assert await own_image(client, IN_CLUSTER, NAME) == image
    assert client.verbs() == [f"list pods {SYSTEM}/"]


async def test_image_that_somebody_said_is_believed_without_a_question() -> None:
    client = cluster(MANAGER)
    settings = Settings(leader_elect_namespace=SYSTEM, operator_image="registry.example/said:2")

    assert await own_image(client, settings, NAME) == "registry.example/said:2"
    assert client.calls == []


@pytest.mark.parametrize(("settings", "name"), [(Settings(), NAME), (IN_CLUSTER, "")])
async def test_outside_of_a_cluster_nobody_knows_it_and_nobody_is_asked(
    settings: Settings, name: str
) -> None:
    client = cluster(MANAGER)

    assert await own_image(client, settings, name) == ""
    assert client.calls == []


async def test_pod_of_that_name_in_another_namespace_is_another() -> None:
    assert await own_image(cluster(MANAGER, namespace="other"), IN_CLUSTER, NAME) == ""


async def test_without_the_right_to_ask_it_is_unknown() -> None:
    client = cluster(MANAGER)
    client.faults = [Fault("list", POD, error=Forbidden("no", code=403, reason="Forbidden"))]

    assert await own_image(client, IN_CLUSTER, NAME) == ""


async def test_question_that_fails_is_asked_again_by_whoever_starts_the_operator() -> None:
    client = cluster(MANAGER)
    client.faults = [
        Fault("list", POD, error=ServerError("no", code=503, reason="ServiceUnavailable"))
    ]

    with pytest.raises(ServerError):
        await own_image(client, IN_CLUSTER, NAME)


# --- what shapes children -------------------------------------------------------------------------


async def test_everything_that_is_told_or_found_reaches_the_children() -> None:
    settings = Settings(
        leader_elect_namespace=SYSTEM,
        preflight=False,
        external_provider_memory="3Gi",
        external_provider_volume="9Gi",
    )

    options = (await detect_capabilities(cluster(MANAGER), settings, pod_name=NAME)).options

    assert options.merge_image == "registry.example/operator:1"
    assert options.preflight is False
    assert options.install_memory == "3Gi"
    assert options.install_size == "9Gi"
    assert options.image_volumes is False


@pytest.mark.parametrize(
    ("delivery", "minor", "mounts"),
    [
        ("init-container", "40", False),
        ("image-volume", "30", True),
        ("auto", "34", False),
        ("auto", "35", True),
        ("auto", "35+", True),
        ("auto", "34+", False),
        ("auto", "101", True),
        ("auto", "", False),
        ("auto", "next", False),
    ],
)
async def test_images_are_mounted_as_told_or_where_the_cluster_can(
    delivery: Any, minor: str, mounts: bool
) -> None:
    client = cluster()
    client.api.minor = minor
    settings = Settings(external_provider_delivery=delivery)

    assert (await detect_capabilities(client, settings)).options.image_volumes is mounts
