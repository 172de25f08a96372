# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Referenced Secrets: what is wrong with them, and not a word of their values."""

from __future__ import annotations

import asyncio

import pytest

from api.v1alpha2.reasons import Reason
from api.v1alpha2.references import SecretReference
from controller.llamastack.objects.kinds import SECRET
from controller.llamastack.references.secrets import SecretResolver, SecretSummary, judge
from informers.ports import ObjectKey
from tests.support.fakeapi.caches import FakeCaches
from tests.support.fakeapi.client import FakeClient, Fault
from tests.support.fakeapi.objects import encoded
from tests.support.fakeapi.server import FakeApi

PATH = "spec.providers.inference.apiKey.secretKeyRef"
REF = SecretReference("creds", "key", PATH)
OPTIONAL = SecretReference("maybe", "key", "spec.workload.overrides.env[0]", optional=True)
TLS_PATH = "spec.networking.tls.secretName"
TLS = tuple(SecretReference("cert", key, TLS_PATH) for key in ("tls.crt", "tls.key"))
FOUND = SecretSummary("u", "5", frozenset({"key"}))


KEY = ObjectKey("n", "creds")


def cluster(**data: str) -> FakeClient:
    """A client of a cluster with the Secret, if there is data for it."""
    client = FakeClient(FakeApi())
    if data:
        put(client, **data)
    return client


def put(client: FakeClient, **data: str) -> str:
    """Create or change the Secret; its version."""
    secret = client.api.put(SECRET, KEY, data=encoded(**data))
    return str(secret["metadata"]["resourceVersion"])


def resolver(client: FakeClient) -> SecretResolver:
    """Of an operator that just started."""
    return SecretResolver(FakeCaches(client.api).secrets, client)


READ = "get secrets n/creds"


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


def test_secret_that_one_field_needs_two_keys_of_is_missed_once() -> None:
    resolution = judge("n", TLS, {"cert": SecretSummary()})

    assert [e.message for e in resolution.errors] == [
        f'Secret "cert" not found in namespace "n". Referenced by: {TLS_PATH}'
    ]


@pytest.mark.parametrize("value", ["", " \n\t"])
async def test_empty_value_is_not_usable_and_told_with_what_belongs_there(value: str) -> None:
    data = encoded(**{"tls.crt": value, "tls.key": value, "token": value})
    client = FakeClient(FakeApi())
    client.api.put(SECRET, ObjectKey("n", "cert"), data=data)
    token = SecretReference("cert", "token", PATH)

    resolution = await resolver(client).resolve("n", (*TLS, token))

    assert resolution.reason == Reason.SECRET_VALUE_NOT_USABLE
    assert [e.message for e in resolution.errors] == [
        'The value of key "tls.crt" in Secret "cert" is empty, or only white space: put a '
        f"certificate in PEM form in. Referenced by: {TLS_PATH}",
        'The value of key "tls.key" in Secret "cert" is empty, or only white space: put the '
        f"certificate's private key in PEM form in. Referenced by: {TLS_PATH}",
        'The value of key "token" in Secret "cert" is empty, or only white space: put the value '
        f"in. Referenced by: {PATH}",
    ]


async def test_binary_file_is_not_taken_for_an_empty_one() -> None:
    client = FakeClient(FakeApi())
    client.api.put(SECRET, KEY, data={"key": "/w=="})

    assert (await resolver(client).resolve("n", [REF])).ok


async def test_variable_of_the_users_own_may_be_empty() -> None:
    theirs = SecretReference("creds", "key", "spec.workload.overrides.env[0]", may_be_empty=True)

    assert (await resolver(cluster(key="")).resolve("n", [theirs])).ok


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
    secrets = resolver(cluster(key=value))

    resolution = await secrets.resolve("n", [REF], converted=frozenset({PATH}))

    assert resolution.reason == Reason.SECRET_VALUE_NOT_USABLE
    assert not value or value not in repr(vars(secrets)["_summaries"])
    assert not value or f'"{value}"' not in resolution.errors[0].message


async def test_secret_is_read_once_per_version() -> None:
    client = FakeClient(FakeApi())
    version, secrets = put(client, key="abc"), resolver(client)

    for _ in range(3):
        assert (await secrets.resolve("n", [REF])).ok
    secrets.changed(KEY, version)
    await secrets.resolve("n", [REF])

    assert client.verbs() == [READ]
    secrets.changed(KEY, put(client, key="other"))
    await secrets.resolve("n", [REF])
    assert client.verbs() == [READ, READ]


async def test_missing_secret_is_asked_for_again_once_it_appeared() -> None:
    client = cluster()
    secrets = resolver(client)
    assert not (await secrets.resolve("n", [REF])).ok
    version = put(client, key="abc")

    assert not (await secrets.resolve("n", [REF])).ok
    secrets.changed(KEY, version)

    assert (await secrets.resolve("n", [REF])).ok


async def test_answer_that_a_change_overtook_is_not_remembered() -> None:
    """The event came between the server's look and its answer's arrival: "missing" is old news."""
    client, answer_arrives = cluster(), asyncio.Event()
    client.faults.append(Fault("get", until=answer_arrives))
    secrets = resolver(client)
    pending = asyncio.create_task(secrets.resolve("n", [REF]))
    await client.asked()
    secrets.changed(KEY, put(client, key="abc"))
    answer_arrives.set()

    assert not (await pending).ok
    assert (await secrets.resolve("n", [REF])).ok


async def test_foreign_secrets_leave_no_trace() -> None:
    secrets = resolver(cluster())

    for number in range(1000):
        secrets.changed(ObjectKey("n", f"foreign-{number}"), "1")

    assert not vars(secrets)["_summaries"]
    assert not vars(secrets)["_reads"]


async def test_finding_of_a_secret_that_nobody_refers_to_is_dropped() -> None:
    secrets = resolver(cluster(key="abc"))
    await secrets.resolve("n", [REF])

    secrets.forget(KEY)

    assert not vars(secrets)["_summaries"]


async def test_restart_proves_unchanged_secrets_without_reading_them() -> None:
    client = cluster(key="abc")
    before = await resolver(client).resolve("n", [REF])

    assert resolver(client).hash_of_cached("n", [REF]) == before.versions_hash
    assert client.verbs() == [READ]
    assert resolver(cluster()).hash_of_cached("n", [REF]) == ""


async def test_secrets_are_read_side_by_side() -> None:
    client, answers_arrive = cluster(key="v"), asyncio.Event()
    client.faults.append(Fault("get", until=answers_arrive, times=None))
    others = [SecretReference(f"other-{number}", "key", "p") for number in range(4)]
    for other in others:
        client.api.put(SECRET, ObjectKey("n", other.name), data=encoded(key="v"))
    resolving = asyncio.create_task(resolver(client).resolve("n", [REF, *others]))
    await client.asked()

    assert len(client.calls) == 5
    answers_arrive.set()
    assert (await resolving).ok
