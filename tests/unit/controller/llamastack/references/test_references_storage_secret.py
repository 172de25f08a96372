# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""When Secrets of users are read for the Secret that is made from them, and when not."""

from __future__ import annotations

from typing import Any

from api.errors import FieldError
from api.v1alpha2 import SecretKeySelector
from configs.connection import SQL_PARTS, StorageSecret, StorageValue, variable
from controller.llamastack.objects.kinds import FIELD_MANAGER, SECRET, STORAGE_SOURCES
from controller.llamastack.objects.ownership import owner_reference_to
from controller.llamastack.references.resolution import Resolution
from controller.llamastack.references.resolver import with_storage
from controller.llamastack.references.storage_content import NO_STORAGE, Content, Prepared
from controller.llamastack.render import labels
from informers.ports import ObjectKey
from tests.support.fakeapi.client import FakeClient
from tests.support.fakeapi.objects import encoded
from tests.support.fakeapi.operator import MemoryOperator
from tests.support.fakeapi.server import FakeApi

CR = {"metadata": {"name": "demo", "namespace": "n", "uid": "owner"}}
SOURCE = SecretKeySelector(name="pg", key="url")
PATH = "spec.storage.sql.connectionString.secretKeyRef"
WANTED = StorageSecret(
    "demo-storage-env",
    tuple(StorageValue(variable("SQL", p), SOURCE, p, "SQL", PATH) for p in SQL_PARTS),
)
URL = "postgresql://user:pass-word@db/data"


PG = ObjectKey("n", "pg")
OWN = ObjectKey("n", WANTED.name)
READ = "get secrets n/pg"


class Bench:
    """One resource's Secret with everything around it in reach."""

    def __init__(self, client: FakeClient | None = None) -> None:
        self.client = client or FakeClient(FakeApi())
        self.operator = MemoryOperator(self.client)
        self.storage = self.operator.storage

    def user_writes(self, value: str, key: str = "url") -> None:
        """A Secret of the user, shown by the watch at once."""
        self.client.api.put(SECRET, PG, data=encoded(**{key: value}))
        self.operator.caches.catch_up()

    def write(self, prepared: Prepared, **metadata: Any) -> None:
        """What was prepared is written as it is for a resource, or with other metadata."""
        assert isinstance(prepared.content, Content)
        own = {
            "name": OWN.name,
            "namespace": OWN.namespace,
            "labels": labels.of_objects(),
            "annotations": {STORAGE_SOURCES: prepared.state},
            "ownerReferences": [owner_reference_to(CR)],
        }
        manifest = {"data": prepared.content.data, "metadata": {**own, **metadata}}
        self.client.api.apply(SECRET, manifest, manager=FIELD_MANAGER)

    async def prepare(self) -> Prepared:
        return await self.storage.prepare(CR, WANTED)


async def test_nothing_is_read_where_no_database_is_asked_for() -> None:
    bench = Bench()

    assert await bench.storage.prepare(CR, None) is NO_STORAGE
    assert bench.client.calls == []


async def test_source_is_read_once_for_all_its_variables_and_not_again() -> None:
    bench = Bench()
    bench.user_writes(URL)

    first = await bench.prepare()
    bench.write(first)
    second = await bench.prepare()

    assert first.content is not None
    assert second == Prepared(first.state)
    assert second.settled
    assert bench.client.verbs() == [READ]


async def test_what_was_read_is_known_to_the_resolver() -> None:
    bench = Bench()
    bench.user_writes(URL)

    await bench.prepare()
    await bench.operator.secrets.summary(PG)

    assert bench.client.verbs() == [READ]


async def test_another_operator_process_reads_nothing_in_an_unchanged_world() -> None:
    before = Bench()
    before.user_writes(URL)
    before.write(await before.prepare())
    before.client.calls.clear()

    after = Bench(before.client)

    assert (await after.prepare()).settled
    assert after.client.calls == []


async def test_rotated_source_is_read_again() -> None:
    bench = Bench()
    bench.user_writes(URL)
    first = await bench.prepare()
    bench.write(first)

    bench.user_writes(URL.replace("pass-word", "other-word"))
    second = await bench.prepare()

    assert second.content is not None
    assert second.state != first.state
    assert bench.client.verbs() == [READ, READ]


async def test_value_that_cannot_be_used_is_read_once_a_version() -> None:
    bench = Bench()
    bench.user_writes("mysql://x")

    first, again = await bench.prepare(), await bench.prepare()
    bench.user_writes(URL)

    assert first.errors == again.errors != ()
    assert not again.settled
    assert bench.client.verbs() == [READ]
    assert (await bench.prepare()).content is not None


async def test_what_was_refused_is_forgotten_with_its_resource() -> None:
    bench = Bench()
    bench.user_writes("mysql://x")
    await bench.prepare()

    bench.storage.forget(CR)

    assert vars(bench.storage)["_refused"] == {}


async def test_missing_source_is_asked_for_once() -> None:
    bench = Bench()

    assert (await bench.prepare()).moving
    assert (await bench.prepare()).moving
    assert bench.client.verbs() == [READ]


async def test_missing_key_is_left_to_who_names_it() -> None:
    bench = Bench()
    bench.user_writes(URL, key="other")

    assert (await bench.prepare()).moving


async def test_namesake_of_another_resource_is_not_taken_for_ours() -> None:
    bench = Bench()
    bench.user_writes(URL)
    owner = {**owner_reference_to(CR), "uid": "other"}
    bench.write(await bench.prepare(), ownerReferences=[owner])

    assert (await bench.prepare()).content is not None


def test_problems_of_references_come_before_those_of_values() -> None:
    missing = Resolution("SecretNotFound", (FieldError("a", "b"),), "")
    good = Resolution("SecretsResolved", (), "hash")
    refused = Prepared(errors=(FieldError("p", "m"),))

    assert with_storage(missing, refused).errors == missing.errors
    assert with_storage(good, refused).reason == "SecretValueNotUsable"
    assert not with_storage(good, Prepared(moving=True)).ok
    assert with_storage(good, Prepared("state")).storage.state == "state"
