# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The transport against a real API server, over TLS."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from hack.cluster.plane import ControlPlane
from informers.errors import Conflict, Forbidden, NotFound
from informers.ports import ObjectKey, Resource
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client

pytestmark = pytest.mark.apiserver

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps")


async def test_watches_that_are_left_leave_no_socket_open(control_plane: ControlPlane) -> None:
    """Warnings are errors: an unclosed transport fails this test."""
    connection = await connect(Source(str(control_plane.kubeconfig)))
    async with Client(connection, user_agent="test") as client:
        source = client.lister_watcher(CONFIG_MAPS, metadata_only=True)
        for _ in range(10):
            async with source.watch(
                resource_version=None, timeout_seconds=300, initial_events=True
            ) as stream:
                assert b'"PartialObjectMetadata"' in await stream.read()

    gc.collect()


def config_map(namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "x", "namespace": namespace},
        "data": {"a": "b"},
    }


async def test_delete_spares_a_namesake(control_plane: ControlPlane, namespace: str) -> None:
    """The object was recreated between the decision and the delete (G13)."""
    connection = await connect(Source(str(control_plane.kubeconfig)))
    key = ObjectKey(namespace, "x")
    async with Client(connection, user_agent="test") as client:
        first = await client.create(CONFIG_MAPS, config_map(namespace), manager="test")
        uid = first["metadata"]["uid"]
        await client.delete(CONFIG_MAPS, key, uid=uid)
        second = await client.create(CONFIG_MAPS, config_map(namespace), manager="test")

        with pytest.raises(Conflict):
            await client.delete(CONFIG_MAPS, key, uid=uid)

        assert (await client.get(CONFIG_MAPS, key))["metadata"]["uid"] == second["metadata"]["uid"]


async def test_list_of_metadata_carries_no_data(
    control_plane: ControlPlane, namespace: str
) -> None:
    connection = await connect(Source(str(control_plane.kubeconfig)))
    async with Client(connection, user_agent="test") as client:
        await client.create(CONFIG_MAPS, config_map(namespace), manager="test")
        source = client.lister_watcher(
            CONFIG_MAPS, namespace=namespace, field_selector="metadata.name=x", metadata_only=True
        )

        page = await source.list_page(resource_version=None, limit=10, continue_token="")

    assert [item["metadata"]["name"] for item in page.items] == ["x"]
    assert all("data" not in item for item in page.items)


async def test_refusals_are_typed_and_say_what_is_missing(
    control_plane: ControlPlane, namespace: str
) -> None:
    admin = await connect(Source(str(control_plane.kubeconfig)))
    nobody = await connect(Source(str(control_plane.kubeconfig_for("nobody"))))

    async with Client(admin, user_agent="test") as client:
        with pytest.raises(NotFound, match='configmaps "absent" not found'):
            await client.get(CONFIG_MAPS, ObjectKey(namespace, "absent"))
        await client.delete(CONFIG_MAPS, ObjectKey(namespace, "absent"), uid="x")
    async with Client(nobody, user_agent="test") as client:
        with pytest.raises(Forbidden, match='cannot list resource "configmaps"'):
            await client.list_all(CONFIG_MAPS, namespace=namespace)
