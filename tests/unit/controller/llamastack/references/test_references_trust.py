# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which certificates a server gets, and how little is read and remembered for that."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from api.v1alpha2 import Spec
from controller.llamastack.cache.reference_index import ODH_CA_BUNDLE
from controller.llamastack.objects.compare import stamped
from controller.llamastack.objects.kinds import CA_BUNDLE_HASH, CONFIG_MAP, FIELD_MANAGER
from controller.llamastack.references.ca_bundle import NO_TRUST
from controller.llamastack.references.certificates import blocks
from controller.llamastack.references.config_maps import ConfigMapResolver, Reach
from controller.llamastack.references.trust import TrustResolver
from controller.llamastack.render import labels
from controller.runtime.lru import LruCache
from informers.ports import ObjectKey, key_of
from tests.support.authority import Authority
from tests.support.fakeapi.caches import FakeCaches
from tests.support.fakeapi.client import FakeClient
from tests.support.fakeapi.server import FakeApi

Json = dict[str, Any]

OWN_ONLY = Reach()

ONE, TWO, EVERYBODYS = Authority("one"), Authority("two"), Authority("public")
OLD = Authority("old", days=-1)


@pytest.fixture
def client() -> Iterator[FakeClient]:
    """Of a cluster that is only ever read, and nothing but ConfigMaps of it."""
    client = FakeClient(FakeApi())
    yield client
    assert {(call.verb, call.resource) for call in client.calls} <= {("get", CONFIG_MAP)}


def put(client: FakeClient, name: str, namespace: str = "n", **content: Any) -> ObjectKey:
    """Create or change a ConfigMap."""
    key = ObjectKey(namespace, name)
    client.api.put(CONFIG_MAP, key, **content)
    return key


def edit(client: FakeClient, key: ObjectKey, **metadata: Any) -> None:
    """Change some of its metadata."""
    client.api.merge_patch(CONFIG_MAP, key, {"metadata": metadata})


def reads(client: FakeClient) -> list[ObjectKey]:
    """Which ones were read."""
    return client.keys("get", CONFIG_MAP)


def resolver(
    client: FakeClient, reach: Reach = OWN_ONLY, *, public: str = EVERYBODYS.pem
) -> TrustResolver:
    """As after a start: it knows nothing."""
    caches = FakeCaches(client.api)
    config_maps = ConfigMapResolver(caches.config_map, client, reach)
    return TrustResolver(caches, config_maps, public, lambda: datetime.now(UTC))


def resource(name: str = "demo", namespace: str = "n") -> Json:
    return {"metadata": {"name": name, "namespace": namespace, "uid": f"uid-of-{name}"}}


def spec(**named: Any) -> Spec:
    networking = {"tls": {"caBundle": {"configMapName": "company", **named}}}
    return Spec.model_validate({"distribution": {"name": "starter"}, "networking": networking})


PLAIN = Spec.model_validate({"distribution": {"name": "starter"}})


async def made(client: FakeClient, resolving: TrustResolver, cr: Json, of: Spec) -> ObjectKey:
    """The ConfigMap that a pass makes."""
    trust = await resolving.resolve(cr, of)
    assert trust.child is not None
    bundle = client.api.apply(CONFIG_MAP, stamped(trust.child.manifest), manager=FIELD_MANAGER)
    resolving.wrote(bundle)
    return key_of(bundle)


async def test_resource_without_any_certificates_costs_nothing(client: FakeClient) -> None:
    assert await resolver(client).resolve(resource(), PLAIN) is NO_TRUST
    assert reads(client) == []


async def test_bundle_has_what_is_named_what_is_found_and_the_public_ones(
    client: FakeClient,
) -> None:
    put(client, "company", data={"a": ONE.pem, "b": "unnamed"})
    put(client, ODH_CA_BUNDLE, data={"x": TWO.pem, "y": ""})
    put(client, ODH_CA_BUNDLE, "elsewhere", data={"x": OLD.pem})

    trust = await resolver(client).resolve(resource(), spec(configMapKeys=["a"]))

    assert trust.child is not None
    text = trust.child.manifest["data"]["ca-bundle.crt"]
    assert {pem in text for pem in (ONE.pem, TWO.pem, EVERYBODYS.pem)} == {True}
    assert len(blocks(text)) == 3
    assert trust.child.manifest["metadata"]["annotations"][CA_BUNDLE_HASH] == trust.digest


async def test_resources_with_the_same_sources_read_them_once(client: FakeClient) -> None:
    source = put(client, "company", data={"ca-bundle.crt": ONE.pem})
    resolving = resolver(client)

    trusts = [await resolving.resolve(resource(f"r{n}"), spec()) for n in range(5)]

    assert reads(client) == [source]
    assert len({trust.digest for trust in trusts}) == 1
    assert {t.child.manifest["metadata"]["name"] for t in trusts if t.child} == {
        f"r{n}-ca-bundle" for n in range(5)
    }


async def test_nothing_is_read_or_written_while_sources_are_the_same_after_a_restart_neither(
    client: FakeClient,
) -> None:
    put(client, "company", data={"ca-bundle.crt": OLD.pem})
    first = resolver(client)
    await made(client, first, resource(), spec())
    client.calls.clear()

    again, restarted = [await one.resolve(resource(), spec()) for one in (first, resolver(client))]

    assert again == restarted
    assert again.digest
    assert again.child is None
    assert "expired on" in again.note
    assert reads(client) == []


@pytest.mark.parametrize("known", [True, False])
async def test_changed_source_is_read_and_leads_to_another_bundle(
    client: FakeClient, known: bool
) -> None:
    source = put(client, "company", data={"ca-bundle.crt": ONE.pem})
    resolving = resolver(client)
    await made(client, resolving, resource(), spec())
    before = await resolving.resolve(resource(), spec())
    put(client, "company", data={"ca-bundle.crt": TWO.pem})
    if known:
        version = client.api.get(CONFIG_MAP, source)["metadata"]["resourceVersion"]
        resolving._config_maps.changed(source, version)
    else:
        resolving = resolver(client)

    after = await resolving.resolve(resource(), spec())

    assert after.child is not None
    assert after.digest != before.digest


async def test_touched_source_leads_to_the_same_digest(client: FakeClient) -> None:
    source = put(client, "company", data={"ca-bundle.crt": ONE.pem})
    resolving = resolver(client)
    await made(client, resolving, resource(), spec())
    before = await resolving.resolve(resource(), spec())
    put(client, "company", data={"ca-bundle.crt": f"# touched\n{ONE.pem}{ONE.pem}"})
    resolving._config_maps.changed(source, "")

    after = await resolving.resolve(resource(), spec())

    assert after.digest == before.digest
    assert after.child is not None, "it says what it was made from"


@pytest.mark.parametrize("damage", ["content", "label", "hash", "owner"])
async def test_bundle_that_somebody_changed_is_made_anew(client: FakeClient, damage: str) -> None:
    put(client, "company", data={"ca-bundle.crt": ONE.pem})
    resolving = resolver(client)
    key = await made(client, resolving, resource(), spec())
    assert (await resolving.resolve(resource(), spec())).child is None
    match damage:
        case "content":
            put(client, key.name, key.namespace, data={"ca-bundle.crt": "mine"})
        case "label":
            edit(client, key, labels={labels.COMPONENT: None})
        case "hash":
            edit(client, key, annotations={CA_BUNDLE_HASH: None})
        case _:
            edit(client, key, ownerReferences=[])

    assert (await resolving.resolve(resource(), spec())).child is not None


async def test_change_after_a_restart_is_noticed_too(client: FakeClient) -> None:
    put(client, "company", data={"ca-bundle.crt": ONE.pem})
    key = await made(client, resolver(client), resource(), spec())
    restarted = resolver(client)
    assert (await restarted.resolve(resource(), spec())).child is None

    put(client, key.name, key.namespace, data={"ca-bundle.crt": "mine"})

    assert (await restarted.resolve(resource(), spec())).child is not None


async def test_what_is_not_there_is_left_to_others_to_report(client: FakeClient) -> None:
    trust = await resolver(client).resolve(resource(), spec())

    assert (trust.digest, trust.child) == ("", None)


async def test_another_namespace_is_read_only_where_that_is_allowed(client: FakeClient) -> None:
    source = put(client, "company", "shared", data={"ca-bundle.crt": ONE.pem})
    elsewhere = spec(configMapNamespace="shared")

    refused = await resolver(client).resolve(resource(), elsewhere)
    before = reads(client)
    allowed = await resolver(client, Reach(elsewhere=True)).resolve(resource(), elsewhere)

    assert (refused, before) == (NO_TRUST, [])
    assert allowed.child is not None
    assert reads(client) == [source]


async def test_binary_content_is_refused_with_the_way_to_text(client: FakeClient) -> None:
    der = base64.b64encode(b"0\x82").decode()
    put(client, "company", binaryData={"ca-bundle.crt": der})

    trust = await resolver(client).resolve(resource(), spec())

    (problem,) = trust.problems
    assert 'key "ca-bundle.crt" of ConfigMap "n/company" is binary' in problem.message
    assert "openssl x509 -inform der" in problem.message


@pytest.mark.parametrize("whose", ["demo", "other"])
async def test_bundle_of_a_resource_is_no_source_lest_two_follow_each_other_for_ever(
    client: FakeClient, whose: str
) -> None:
    put(client, "company", data={"ca-bundle.crt": ONE.pem})
    resolving = resolver(client)
    key = await made(client, resolving, resource(whose), spec())

    trust = await resolving.resolve(resource(), spec(configMapName=key.name))

    (problem,) = trust.problems
    assert "is a bundle that the operator made" in problem.message


async def test_other_keys_or_other_public_authorities_lead_to_another_bundle(
    client: FakeClient,
) -> None:
    put(client, "company", data={"a": ONE.pem, "b": TWO.pem})
    first = resolver(client)
    await made(client, first, resource(), spec(configMapKeys=["a"]))
    upgraded = resolver(client, public=TWO.pem)

    other_keys = await first.resolve(resource(), spec(configMapKeys=["b"]))
    other_public = await upgraded.resolve(resource(), spec(configMapKeys=["a"]))

    assert other_keys.child is not None
    assert other_public.child is not None
    assert TWO.pem in other_public.child.manifest["data"]["ca-bundle.crt"]


async def test_damaged_certificate_is_named_by_its_number_for_each_place_it_is_in(
    client: FakeClient,
) -> None:
    resolving = resolver(client)
    text = f"{ONE.pem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    found = []
    for name in ("company", "other"):
        put(client, name, data={"ca-bundle.crt": text})
        trust = await resolving.resolve(resource(), spec(configMapName=name))
        found += [problem.message for problem in trust.problems]

    assert [message.partition(" is no")[0] for message in found] == [
        f'certificate 2 in key "ca-bundle.crt" of ConfigMap "n/{name}"'
        for name in ("company", "other")
    ]


async def test_mistake_is_remembered_and_not_read_at_every_pass(client: FakeClient) -> None:
    source = put(client, "company", data={"ca-bundle.crt": "nonsense"})
    resolving = resolver(client)

    trusts = [await resolving.resolve(resource(), spec()) for _ in range(3)]

    assert all(trust.problems for trust in trusts)
    assert reads(client) == [source]


async def test_same_text_in_many_namespaces_is_decoded_once_and_little_is_remembered(
    client: FakeClient,
) -> None:
    resolving = resolver(client)
    for number in range(50):
        put(client, ODH_CA_BUNDLE, f"n{number}", data={"ca-bundle.crt": ONE.pem})
        await resolving.resolve(resource(namespace=f"n{number}"), PLAIN)
    same = len(resolving._contents)
    resolving._contents = LruCache(20_000)
    resolving._bundles = LruCache(20_000)
    for number in range(50):
        text = f"# {'x' * 1000} {number}\n{ONE.pem}"
        put(client, ODH_CA_BUNDLE, f"m{number}", data={"ca-bundle.crt": text})
        await resolving.resolve(resource(namespace=f"m{number}"), PLAIN)

    assert same == 1
    assert len(resolving._contents) < 20
    assert len(resolving._bundles) < 20


async def test_others_get_their_turn_while_a_long_list_is_decoded(client: FakeClient) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    put(client, "company", data={"ca-bundle.crt": ONE.pem * 900})
    task = asyncio.create_task(other())
    trust = await resolver(client).resolve(resource(), spec())
    task.cancel()

    assert trust.digest
    assert turns >= 900 // 50
