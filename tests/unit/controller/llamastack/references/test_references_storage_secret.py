# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""When Secrets of users are read for the Secret that is made from them, and when not."""

from __future__ import annotations

import base64
from typing import Any, cast

from api.errors import FieldError
from api.v1alpha2 import SecretKeySelector
from configs.connection import SQL_PARTS, StorageSecret, StorageValue, variable
from controller.llamastack.cache.readers import Caches
from controller.llamastack.cache.reference_index import Referenced
from controller.llamastack.objects.kinds import FIELD_MANAGER, SECRET, STORAGE_SOURCES
from controller.llamastack.objects.ownership import owner_reference_to
from controller.llamastack.references.resolution import Resolution
from controller.llamastack.references.resolver import with_storage
from controller.llamastack.references.secrets import SecretResolver
from controller.llamastack.references.storage_content import (
    NO_STORAGE,
    Content,
    Prepared,
    keep_held,
)
from controller.llamastack.references.storage_secret import StorageSecrets
from controller.runtime.ports import Reader, Writer
from informers.errors import NotFound
from informers.ports import Object, ObjectKey, Resource

CR = {"metadata": {"name": "demo", "namespace": "n", "uid": "owner"}}
SOURCE = SecretKeySelector(name="pg", key="url")
PATH = "spec.storage.sql.connectionString.secretKeyRef"
WANTED = StorageSecret(
    "demo-storage-env",
    tuple(StorageValue(variable("SQL", p), SOURCE, p, "SQL", PATH) for p in SQL_PARTS),
)
URL = "postgresql://user:pass-word@db/data"


class Server:
    """Live reads; counts them."""

    def __init__(self) -> None:
        self.sources: dict[str, Object] = {}
        self.reads: list[str] = []

    def put(self, value: str, version: str, name: str = "pg", key: str = "url") -> Object:
        data = {key: base64.b64encode(value.encode()).decode()}
        metadata = {"name": name, "namespace": "n", "uid": "u", "resourceVersion": version}
        self.sources[name] = {"metadata": metadata, "data": data}
        return {"metadata": metadata}

    async def get(self, resource: Resource, key: ObjectKey) -> Object:
        assert resource == SECRET
        self.reads.append(key.name)
        if key.name not in self.sources:
            raise NotFound("no", code=404)
        return self.sources[key.name]


class Cache:
    """What the watch showed so far."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}

    def get(self, key: ObjectKey) -> Object | None:
        return self.objects.get(key.name)


class Bench:
    """One resource's Secret with everything around it in reach."""

    def __init__(self) -> None:
        self.server, self.theirs, self.ours = Server(), Cache(), Cache()
        writer = cast("Writer", self.server)
        theirs, ours = cast("Reader", self.theirs), cast("Reader", self.ours)
        self.resolver = SecretResolver(theirs, writer)
        caches = Caches({SECRET: ours, Referenced(SECRET): theirs})
        self.storage = StorageSecrets(caches, writer, self.resolver)

    def user_writes(self, value: str, version: str, **where: str) -> None:
        """A Secret of the user, shown by the watch at once."""
        shown = self.server.put(value, version, **where)
        self.theirs.objects[shown["metadata"]["name"]] = shown
        self.resolver.changed(ObjectKey("n", shown["metadata"]["name"]), version)

    def written(self, prepared: Prepared) -> None:
        """As if it had been written, and the watch had shown it."""
        assert isinstance(prepared.content, Content)
        fields: dict[str, Any] = {"f:data": {f"f:{key}": {} for key in prepared.content.data}}
        live: dict[str, Any] = {
            "metadata": {
                "name": WANTED.name,
                "namespace": "n",
                "uid": "own",
                "annotations": {STORAGE_SOURCES: prepared.state},
                "ownerReferences": [owner_reference_to(CR)],
                "managedFields": [{"manager": FIELD_MANAGER, "fieldsV1": fields}],
            }
        }
        self.ours.objects[WANTED.name] = keep_held(live)

    async def prepare(self) -> Prepared:
        return await self.storage.prepare(CR, WANTED)


async def test_nothing_is_read_where_no_database_is_asked_for() -> None:
    bench = Bench()

    assert await bench.storage.prepare(CR, None) is NO_STORAGE
    assert bench.server.reads == []


async def test_source_is_read_once_for_all_its_variables_and_not_again() -> None:
    bench = Bench()
    bench.user_writes(URL, "1")

    first = await bench.prepare()
    bench.written(first)
    second = await bench.prepare()

    assert first.content is not None
    assert second == Prepared(first.state)
    assert second.settled
    assert bench.server.reads == ["pg"]


async def test_what_was_read_is_known_to_the_resolver() -> None:
    bench = Bench()
    bench.user_writes(URL, "1")

    await bench.prepare()
    await bench.resolver.summary(ObjectKey("n", "pg"))

    assert bench.server.reads == ["pg"]


async def test_another_operator_process_reads_nothing_in_an_unchanged_world() -> None:
    before, after = Bench(), Bench()
    before.user_writes(URL, "1")
    after.user_writes(URL, "1")

    after.written(await before.prepare())

    assert (await after.prepare()).settled
    assert after.server.reads == []


async def test_rotated_source_is_read_again() -> None:
    bench = Bench()
    bench.user_writes(URL, "1")
    first = await bench.prepare()
    bench.written(first)

    bench.user_writes(URL.replace("pass-word", "other-word"), "2")
    second = await bench.prepare()

    assert second.content is not None
    assert second.state != first.state
    assert bench.server.reads == ["pg", "pg"]


async def test_value_that_cannot_be_used_is_read_once_a_version() -> None:
    bench = Bench()
    bench.user_writes("mysql://x", "1")

    first, again = await bench.prepare(), await bench.prepare()
    bench.user_writes(URL, "2")

    assert first.errors == again.errors != ()
    assert not again.settled
    assert bench.server.reads == ["pg"]
    assert (await bench.prepare()).content is not None


async def test_what_was_refused_is_forgotten_with_its_resource() -> None:
    bench = Bench()
    bench.user_writes("mysql://x", "1")
    await bench.prepare()

    bench.storage.forget(CR)

    assert vars(bench.storage)["_refused"] == {}


async def test_missing_source_is_asked_for_once() -> None:
    bench = Bench()

    assert (await bench.prepare()).moving
    assert (await bench.prepare()).moving
    assert bench.server.reads == ["pg"]


async def test_missing_key_is_left_to_who_names_it() -> None:
    bench = Bench()
    bench.user_writes(URL, "1", key="other")

    assert (await bench.prepare()).moving


async def test_namesake_of_another_resource_is_not_taken_for_ours() -> None:
    bench = Bench()
    bench.user_writes(URL, "1")
    bench.written(await bench.prepare())
    metadata = bench.ours.objects[WANTED.name]["metadata"]
    metadata["ownerReferences"] = [{**metadata["ownerReferences"][0], "uid": "other"}]

    assert (await bench.prepare()).content is not None


def test_problems_of_references_come_before_those_of_values() -> None:
    missing = Resolution("SecretNotFound", (FieldError("a", "b"),), "")
    good = Resolution("SecretsResolved", (), "hash")
    refused = Prepared(errors=(FieldError("p", "m"),))

    assert with_storage(missing, refused).errors == missing.errors
    assert with_storage(good, refused).reason == "SecretValueNotUsable"
    assert not with_storage(good, Prepared(moving=True)).ok
    assert with_storage(good, Prepared("state")).storage.state == "state"
