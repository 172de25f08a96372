# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Referenced Secrets: what is wrong with them, and not a word of their values."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from api.v1alpha2.reasons import Reason
from api.v1alpha2.references import SecretReference
from controller.llamastack.references.secrets import SecretResolver, SecretSummary, judge
from informers.errors import NotFound
from informers.ports import Object, ObjectKey, Resource, key_of

PATH = "spec.providers.inference.apiKey.secretKeyRef"
REF = SecretReference("creds", "key", PATH)
OPTIONAL = SecretReference("maybe", "key", "spec.workload.overrides.env[0]", optional=True)
FOUND = SecretSummary("u", "5", frozenset({"key"}))


def secret(version: str = "5", **data: str) -> dict[str, Any]:
    encoded = {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}
    metadata = {"name": "creds", "namespace": "n", "uid": "u", "resourceVersion": version}
    return {"metadata": metadata, "data": encoded}


class Server:
    """Live reads of one Secret; each can be held until the test lets it answer."""

    def __init__(self, obj: dict[str, Any] | None) -> None:
        self.obj = obj
        self.reads = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked = asyncio.Event()

    async def get(self, resource: Resource, key: ObjectKey) -> Object:
        answer = self.obj
        self.reads += 1
        self.asked.set()
        await self.may_answer.wait()
        if answer is None:
            raise NotFound("not found", code=404)
        return answer

    async def list_all(self, *_: Any, **__: Any) -> tuple[Object, ...]:
        raise AssertionError("nobody lists Secrets")

    apply = create = json_patch = delete = list_all


class Metadata:
    """The cache of metadata."""

    def __init__(self, *objects: Object) -> None:
        self._objects = {key_of(o): o for o in objects}

    def get(self, key: ObjectKey) -> Object | None:
        return self._objects.get(key)

    def reached(self, key: ObjectKey, resource_version: str) -> bool:
        return True

    def by_index(self, index: str, value: str) -> list[Object]:
        raise KeyError(index)


def resolver(server: Server, *cached: Object) -> SecretResolver:
    return SecretResolver(Metadata(*cached), server)  # type: ignore[arg-type]


def test_missing_secret_is_named_with_the_field_that_wants_it() -> None:
    resolution = judge("n", (REF,), {"creds": SecretSummary()})

    assert resolution.reason == Reason.SECRET_NOT_FOUND
    assert [e.message for e in resolution.errors] == [
        f'Secret "creds" not found in namespace "n". Referenced by: {PATH}'
    ]


def test_missing_key_is_named_with_the_field_that_wants_it() -> None:
    resolution = judge("n", (REF,), {"creds": SecretSummary("u", "5", frozenset({"other"}))})

    assert resolution.reason == Reason.SECRET_KEY_NOT_FOUND
    assert [e.message for e in resolution.errors] == [
        f'Key "key" not found in Secret "creds/n". Referenced by: {PATH}'
    ]


def test_all_problems_are_reported_at_once() -> None:
    other = SecretReference("creds", "nope", "b")

    resolution = judge("n", (REF, other), {"creds": SecretSummary("u", "1")})

    assert [e.path for e in resolution.errors] == [PATH, "b"]


def test_optional_references_may_be_missing() -> None:
    assert judge("n", (OPTIONAL,), {"maybe": SecretSummary()}).ok
    assert judge("n", (OPTIONAL,), {"maybe": SecretSummary("u", "1")}).ok


def test_value_that_the_server_converts_is_a_problem_only_where_it_converts() -> None:
    digits = SecretSummary("u", "5", frozenset({"key"}), frozenset({"key"}))

    assert judge("n", (REF,), {"creds": digits}).ok
    refused = judge("n", (REF,), {"creds": digits}, converted=frozenset({PATH}))

    assert refused.reason == Reason.SECRET_VALUE_NOT_USABLE


def test_hash_follows_version_and_uid_and_ignores_what_the_pod_does_not_use() -> None:
    outside = SecretReference("tls", "", "spec.networking.expose", in_pod=False)
    base = judge("n", (REF,), {"creds": FOUND}).versions_hash

    assert judge("n", (REF, outside), {"creds": FOUND, "tls": FOUND}).versions_hash == base
    assert judge("n", (REF,), {"creds": SecretSummary("u", "6", FOUND.keys)}).versions_hash != base
    assert judge("n", (REF,), {"creds": SecretSummary("v", "5", FOUND.keys)}).versions_hash != base
    assert judge("n", (), {}).versions_hash == ""


@pytest.mark.parametrize("value", ["12345", "1e5", "true", "", "Infinity", "~/x"])
async def test_values_that_the_server_would_convert_are_found_and_not_kept(value: str) -> None:
    secrets = resolver(Server(secret(key=value)))

    resolution = await secrets.resolve("n", [REF], converted=frozenset({PATH}))

    assert resolution.reason == Reason.SECRET_VALUE_NOT_USABLE
    assert not value or value not in repr(vars(secrets)["_summaries"])
    assert not value or f'"{value}"' not in resolution.errors[0].message


async def test_secret_is_read_once_per_version() -> None:
    server = Server(secret(key="abc"))
    secrets = resolver(server)

    for _ in range(3):
        assert (await secrets.resolve("n", [REF])).ok
    secrets.changed(ObjectKey("n", "creds"), "5")
    await secrets.resolve("n", [REF])

    assert server.reads == 1
    secrets.changed(ObjectKey("n", "creds"), "6")
    await secrets.resolve("n", [REF])
    assert server.reads == 2


async def test_missing_secret_is_asked_for_again_once_it_appeared() -> None:
    server = Server(None)
    secrets = resolver(server)
    assert not (await secrets.resolve("n", [REF])).ok
    server.obj = secret(key="abc")

    assert not (await secrets.resolve("n", [REF])).ok
    secrets.changed(ObjectKey("n", "creds"), "5")

    assert (await secrets.resolve("n", [REF])).ok


async def test_answer_that_a_change_overtook_is_not_remembered() -> None:
    """The event came between the server's look and its answer's arrival: "missing" is old news."""
    server = Server(None)
    secrets = resolver(server)
    server.may_answer.clear()
    pending = asyncio.create_task(secrets.resolve("n", [REF]))
    await server.asked.wait()
    server.obj = secret(key="abc")
    secrets.changed(ObjectKey("n", "creds"), "5")
    server.may_answer.set()

    assert not (await pending).ok
    assert (await secrets.resolve("n", [REF])).ok


async def test_foreign_secrets_leave_no_trace() -> None:
    secrets = resolver(Server(None))

    for number in range(1000):
        secrets.changed(ObjectKey("n", f"foreign-{number}"), "1")

    assert not vars(secrets)["_summaries"]
    assert not vars(secrets)["_reads"]


async def test_finding_of_a_secret_that_nobody_refers_to_is_dropped() -> None:
    secrets = resolver(Server(secret(key="abc")))
    await secrets.resolve("n", [REF])

    secrets.forget(ObjectKey("n", "creds"))

    assert not vars(secrets)["_summaries"]


async def test_restart_proves_unchanged_secrets_without_reading_them() -> None:
    server = Server(secret(key="abc"))
    before = await resolver(server).resolve("n", [REF])
    restarted = resolver(server, secret(key="abc"))

    assert restarted.hash_of_cached("n", [REF]) == before.versions_hash
    assert server.reads == 1
    assert resolver(server).hash_of_cached("n", [REF]) == ""


async def test_secrets_are_read_side_by_side() -> None:
    server = Server(secret(key="v"))
    server.may_answer.clear()
    others = [SecretReference(f"other-{number}", "key", "p") for number in range(4)]
    resolving = asyncio.create_task(resolver(server).resolve("n", [REF, *others]))
    await server.asked.wait()

    assert server.reads == 5
    server.may_answer.set()
    assert (await resolving).ok
