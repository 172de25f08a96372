# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""An upgrade over a CRD that has v1alpha1 alone, and objects that are stored in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from api import OLD_VERSION, VERSION
from api.crd import NAME, custom_resource_definition
from hack.cluster.plane import ControlPlane, PlaneOptions
from hack.cluster.ports import free_port
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client
from llamastack_operator.storage_migration import StorageMigration
from tests.support.crdplane import CRDS, apply, until
from tests.support.v1alpha1 import old_resource
from tests.support.webhooked import HOOKS, Webhooked, asked, collection, install_webhooks
from tests.support.world import ACCOUNT, DEPLOY, SYSTEM, eventually

pytestmark = pytest.mark.apiserver

COUNT = 30


@pytest.fixture
def plane(binaries: Mapping[str, Path]) -> Iterator[ControlPlane]:
    """A cluster in which the old version is the only one."""
    with ControlPlane(binaries, PlaneOptions()) as plane:
        for base in ("namespace", "rbac"):
            plane.kubectl("apply", "--server-side", "-k", str(DEPLOY / base))
        apply(plane, CRDS, _only_v1alpha1())
        until(lambda: plane.client.exists(collection(OLD_VERSION, "default")))
        yield plane


def _only_v1alpha1() -> dict[str, Any]:
    crd = custom_resource_definition()
    (version,) = [v for v in crd["spec"]["versions"] if v["name"] == OLD_VERSION]
    spec = {**crd["spec"], "versions": [{**version, "storage": True}]}
    del spec["conversion"]
    return {**crd, "spec": spec}


def stored_versions(plane: ControlPlane) -> list[str]:
    found: list[str] = plane.client.get(f"{CRDS}/{NAME}")["status"]["storedVersions"]
    return found


@pytest.fixture
def where(plane: ControlPlane) -> Webhooked:
    """Objects from before, and the new definition."""
    for number in range(COUNT):
        obj = old_resource(f"demo-{number}", containerSpec={"port": 9000 + number})
        plane.client.create(collection(OLD_VERSION, "default"), obj)
    kubeconfig = plane.kubeconfig_for_service_account(SYSTEM, ACCOUNT)
    where = Webhooked(plane, f"https://127.0.0.1:{free_port()}", kubeconfig)
    install_webhooks(where)
    assert stored_versions(plane) == [OLD_VERSION, VERSION]
    return where


def ports(plane: ControlPlane) -> dict[str, int]:
    """What can be read of the objects in the new version."""
    listed = plane.client.get(collection(VERSION, "default"))["items"]
    return {obj["metadata"]["name"]: obj["spec"]["networking"]["port"] for obj in listed}


PORTS = {f"demo-{number}": 9000 + number for number in range(COUNT)}


def test_the_leader_migrates_and_reconciles_what_was_stored(where: Webhooked) -> None:
    plane = where.plane
    with asked(where) as operator:
        operator.wait_logged("Migrated stored objects")
        assert stored_versions(plane) == [VERSION]
        deployments = "/apis/apps/v1/namespaces/default/deployments"
        eventually("children of all", lambda: len(plane.client.get(deployments)["items"]) == COUNT)

    plane.client.delete(f"{HOOKS}/{NAME}")
    assert ports(plane) == PORTS


def test_every_object_is_rewritten_though_nothing_in_it_changes(where: Webhooked) -> None:
    # An operator that works elsewhere converts, and writes no status here.
    with asked(where, "--namespace=kube-public"):
        before = resource_versions(where)
        asyncio.run(_migrate(where.kubeconfig))
        assert resource_versions(where) != before
        again = resource_versions(where)
        asyncio.run(_migrate(where.kubeconfig))
        assert resource_versions(where) == again

    # Nobody converts any more, and nothing needs to be.
    assert stored_versions(where.plane) == [VERSION]
    assert ports(where.plane) == PORTS


def resource_versions(where: Webhooked) -> dict[str, str]:
    """The resource version of each object."""
    listed = where.plane.client.get(collection(VERSION, "default"))["items"]
    return {obj["metadata"]["name"]: obj["metadata"]["resourceVersion"] for obj in listed}


async def _migrate(kubeconfig: Path) -> None:
    connection = await connect(Source(str(kubeconfig)))
    async with Client(connection, user_agent="test") as client, asyncio.timeout(30):
        await StorageMigration(client).run()
