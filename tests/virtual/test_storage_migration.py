# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The migration of stored objects, when the cluster is in its way.

That a patch of nothing rewrites an object is a matter of etcd: tests/apiserver/test_migration.py.
"""

from __future__ import annotations

import asyncio

import pytest

from controller.llamastack.objects.kinds import LLAMA_STACK
from informers.ports import ObjectKey
from llamastack_operator import storage_migration
from llamastack_operator.kube.kinds import CRD
from llamastack_operator.storage_migration import StorageMigration
from tests.support.fakeapi import failures
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.fakeapi.server import FakeApi

pytestmark = pytest.mark.looptime

DEFINITION = ObjectKey("", str(LLAMA_STACK))
NAMES = ("a", "b", "c")


def cluster(*stored: str, storage: str = "v1alpha2") -> FakeClient:
    """With three objects, and a definition that remembers versions."""
    api = FakeApi(CRD)
    versions = [{"name": name, "storage": name == storage} for name in ("v1alpha2", "v1alpha1")]
    api.put(CRD, DEFINITION, spec={"versions": versions})
    api.put_status(CRD, DEFINITION, storedVersions=list(stored))
    for name in NAMES:
        spec = {"distribution": {"name": "starter"}}
        api.put(LLAMA_STACK, ObjectKey("n", name), spec=spec)
    return FakeClient(api)


def stored(client: FakeClient) -> list[str]:
    found: list[str] = client.api.get(CRD, DEFINITION)["status"]["storedVersions"]
    return found


def rewritten(client: FakeClient) -> list[str]:
    return [key.name for key in client.keys("merge-patch", LLAMA_STACK)]


@pytest.mark.parametrize(
    "client", [cluster("v1alpha2"), cluster("v1alpha1", storage="v1alpha1")], ids=["done", "old"]
)
async def test_where_there_is_nothing_to_do_it_asks_once_and_ends(client: FakeClient) -> None:
    await StorageMigration(client).run()

    assert client.verbs() == [f"get {CRD} {DEFINITION}"]


async def test_objects_are_rewritten_and_then_the_old_version_is_forgotten() -> None:
    client = cluster("v1alpha1", "v1alpha2")

    await StorageMigration(client).run()

    assert rewritten(client) == list(NAMES)
    assert stored(client) == ["v1alpha2"]


async def test_an_object_that_went_meanwhile_is_no_obstacle() -> None:
    client = cluster("v1alpha1")
    gone = failures.not_found(LLAMA_STACK, "b")
    client.faults = [Fault("merge-patch", LLAMA_STACK, error=gone)]

    await StorageMigration(client).run()

    assert stored(client) == ["v1alpha2"]


async def test_failures_are_repeated_at_growing_distances_until_all_is_done() -> None:
    client = cluster("v1alpha1")
    broken = failures.failure(500, "InternalError", "conversion webhook for … failed")
    client.faults = [Fault("list", LLAMA_STACK, error=broken, times=3)]
    start = asyncio.get_running_loop().time()

    await StorageMigration(client).run()

    assert stored(client) == ["v1alpha2"]
    assert asyncio.get_running_loop().time() - start == pytest.approx(1 + 2 + 4)


async def test_one_object_that_cannot_be_written_stops_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(storage_migration, "PAGE", 1)
    client = cluster("v1alpha1")
    broken = failures.invalid(LLAMA_STACK, "a")
    client.faults = [Fault("merge-patch", LLAMA_STACK, error=broken)]

    await StorageMigration(client).run()

    assert rewritten(client) == [*NAMES, *NAMES]
    assert stored(client) == ["v1alpha2"]


async def test_a_list_that_expires_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_migration, "PAGE", 1)
    client = cluster("v1alpha1")
    expired = failures.failure(410, "Expired", "the snapshot is gone")
    client.faults = [Fault("list", LLAMA_STACK, error=expired)]

    await StorageMigration(client).run()

    assert set(rewritten(client)) == set(NAMES)
    assert stored(client) == ["v1alpha2"]


async def test_without_the_right_it_says_so_and_ends() -> None:
    client = cluster("v1alpha1")
    forbidden = failures.failure(403, "Forbidden", "may not")
    client.faults = [Fault("get", CRD, error=forbidden)]

    await StorageMigration(client).run()

    assert stored(client) == ["v1alpha1"]
    assert rewritten(client) == []


async def test_a_definition_that_changed_meanwhile_is_looked_at_again() -> None:
    client = cluster("v1alpha1")
    changed = failures.invalid(CRD, DEFINITION.name)
    client.faults = [Fault("json-patch", CRD, error=changed)]

    await StorageMigration(client).run()

    assert stored(client) == ["v1alpha2"]
    assert rewritten(client) == [*NAMES, *NAMES]
