# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which certificates a server gets, and how little is read and remembered for that."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from api.v1alpha2 import Spec
from controller.llamastack.cache.readers import Caches
from controller.llamastack.cache.reference_index import ODH_CA_BUNDLE, Referenced
from controller.llamastack.objects.compare import stamped
from controller.llamastack.objects.kinds import CA_BUNDLE_HASH, CONFIG_MAP
from controller.llamastack.references.ca_bundle import NO_TRUST
from controller.llamastack.references.certificates import blocks
from controller.llamastack.references.config_maps import ConfigMapResolver, Reach
from controller.llamastack.references.trust import TrustResolver
from controller.llamastack.render import labels
from controller.runtime.lru import LruCache
from informers.errors import NotFound
from informers.ports import Object, ObjectKey, Resource, key_of
from tests.support.authority import Authority

Json = dict[str, Any]

OWN_ONLY = Reach()

ONE, TWO, EVERYBODYS = Authority("one"), Authority("two"), Authority("public")
OLD = Authority("old", days=-1)


class Cluster:
    """ConfigMaps, their metadata as caches have it, and who read what."""

    def __init__(self) -> None:
        self.live: dict[ObjectKey, Json] = {}
        self.reads: list[ObjectKey] = []
        self._version = 0

    def put(self, name: str, namespace: str = "n", **content: Any) -> ObjectKey:
        """Create or change one."""
        key = ObjectKey(namespace, name)
        self._version += 1
        old = self.live.get(key, {"metadata": {"uid": f"uid-{key}"}})
        metadata = {
            **old["metadata"],
            "name": name,
            "namespace": namespace,
            "resourceVersion": str(self._version),
        }
        self.live[key] = {**old, "metadata": metadata, **content}
        return key

    async def get(self, resource: Resource, key: ObjectKey) -> Object:
        """A live read."""
        assert resource == CONFIG_MAP
        self.reads.append(key)
        if key not in self.live:
            raise NotFound("not found", code=404)
        return self.live[key]

    async def _never(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("nobody does that")

    apply = create = json_patch = delete = list_all = _never


class Cached:
    """Metadata of all of them, or of ours."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def get(self, key: ObjectKey) -> Object | None:
        live = self._cluster.live.get(key)
        return {"metadata": live["metadata"]} if live else None

    def reached(self, key: ObjectKey, resource_version: str) -> bool:
        return True

    def by_index(self, index: str, value: str) -> Iterable[Object]:
        return ()

    def values(self) -> Iterable[Object]:
        return ()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def resolver(
    cluster: Cluster, reach: Reach = OWN_ONLY, *, public: str = EVERYBODYS.pem
) -> TrustResolver:
    """As after a start: it knows nothing."""
    cached = Cached(cluster)
    caches = Caches({CONFIG_MAP: cached, Referenced(CONFIG_MAP): cached})
    config_maps = ConfigMapResolver(caches.config_map, cluster, reach)
    return TrustResolver(caches, config_maps, public, lambda: datetime.now(UTC))


def resource(name: str = "demo", namespace: str = "n") -> Json:
    return {"metadata": {"name": name, "namespace": namespace, "uid": f"uid-of-{name}"}}


def spec(**named: Any) -> Spec:
    networking = {"tls": {"caBundle": {"configMapName": "company", **named}}}
    return Spec.model_validate({"distribution": {"name": "starter"}, "networking": networking})


PLAIN = Spec.model_validate({"distribution": {"name": "starter"}})


def _names(manifest: Json) -> tuple[str, str]:
    key = key_of(manifest)
    return key.name, key.namespace


async def made(cluster: Cluster, resolving: TrustResolver, cr: Json, of: Spec) -> ObjectKey:
    """The ConfigMap that a pass makes."""
    trust = await resolving.resolve(cr, of)
    assert trust.child is not None
    manifest = stamped(trust.child.manifest)
    key = cluster.put(*_names(manifest), data=manifest["data"])
    metadata = cluster.live[key]["metadata"]
    metadata |= {k: manifest["metadata"][k] for k in ("labels", "annotations", "ownerReferences")}
    resolving.wrote(cluster.live[key])
    return key


async def test_resource_without_any_certificates_costs_nothing(cluster: Cluster) -> None:
    assert await resolver(cluster).resolve(resource(), PLAIN) is NO_TRUST
    assert cluster.reads == []


async def test_bundle_has_what_is_named_what_is_found_and_the_public_ones(
    cluster: Cluster,
) -> None:
    cluster.put("company", data={"a": ONE.pem, "b": "unnamed"})
    cluster.put(ODH_CA_BUNDLE, data={"x": TWO.pem, "y": ""})
    cluster.put(ODH_CA_BUNDLE, "elsewhere", data={"x": OLD.pem})

    trust = await resolver(cluster).resolve(resource(), spec(configMapKeys=["a"]))

    assert trust.child is not None
    text = trust.child.manifest["data"]["ca-bundle.crt"]
    assert {pem in text for pem in (ONE.pem, TWO.pem, EVERYBODYS.pem)} == {True}
    assert len(blocks(text)) == 3
    assert trust.child.manifest["metadata"]["annotations"][CA_BUNDLE_HASH] == trust.digest


async def test_resources_with_the_same_sources_read_them_once(cluster: Cluster) -> None:
    source = cluster.put("company", data={"ca-bundle.crt": ONE.pem})
    resolving = resolver(cluster)

    trusts = [await resolving.resolve(resource(f"r{n}"), spec()) for n in range(5)]

    assert cluster.reads == [source]
    assert len({trust.digest for trust in trusts}) == 1
    assert {t.child.manifest["metadata"]["name"] for t in trusts if t.child} == {
        f"r{n}-ca-bundle" for n in range(5)
    }


async def test_nothing_is_read_or_written_while_sources_are_the_same_after_a_restart_neither(
    cluster: Cluster,
) -> None:
    cluster.put("company", data={"ca-bundle.crt": OLD.pem})
    first = resolver(cluster)
    await made(cluster, first, resource(), spec())
    cluster.reads.clear()

    again, restarted = [await one.resolve(resource(), spec()) for one in (first, resolver(cluster))]

    assert again == restarted
    assert again.digest
    assert again.child is None
    assert "expired on" in again.note
    assert cluster.reads == []


@pytest.mark.parametrize("known", [True, False])
async def test_changed_source_is_read_and_leads_to_another_bundle(
    cluster: Cluster, known: bool
) -> None:
    source = cluster.put("company", data={"ca-bundle.crt": ONE.pem})
    resolving = resolver(cluster)
    await made(cluster, resolving, resource(), spec())
    before = await resolving.resolve(resource(), spec())
    cluster.put("company", data={"ca-bundle.crt": TWO.pem})
    if known:
        version = cluster.live[source]["metadata"]["resourceVersion"]
        resolving._config_maps.changed(source, version)
    else:
        resolving = resolver(cluster)

    after = await resolving.resolve(resource(), spec())

    assert after.child is not None
    assert after.digest != before.digest


async def test_touched_source_leads_to_the_same_digest(cluster: Cluster) -> None:
    source = cluster.put("company", data={"ca-bundle.crt": ONE.pem})
    resolving = resolver(cluster)
    await made(cluster, resolving, resource(), spec())
    before = await resolving.resolve(resource(), spec())
    cluster.put("company", data={"ca-bundle.crt": f"# touched\n{ONE.pem}{ONE.pem}"})
    resolving._config_maps.changed(source, "")

    after = await resolving.resolve(resource(), spec())

    assert after.digest == before.digest
    assert after.child is not None, "it says what it was made from"


@pytest.mark.parametrize("damage", ["content", "label", "hash", "owner"])
async def test_bundle_that_somebody_changed_is_made_anew(cluster: Cluster, damage: str) -> None:
    cluster.put("company", data={"ca-bundle.crt": ONE.pem})
    resolving = resolver(cluster)
    key = await made(cluster, resolving, resource(), spec())
    assert (await resolving.resolve(resource(), spec())).child is None
    metadata = cluster.live[key]["metadata"]
    match damage:
        case "content":
            cluster.put(key.name, key.namespace, data={"ca-bundle.crt": "mine"})
        case "label":
            del metadata["labels"][labels.COMPONENT]
        case "hash":
            del metadata["annotations"][CA_BUNDLE_HASH]
        case _:
            metadata["ownerReferences"] = []

    assert (await resolving.resolve(resource(), spec())).child is not None


async def test_change_after_a_restart_is_noticed_too(cluster: Cluster) -> None:
    cluster.put("company", data={"ca-bundle.crt": ONE.pem})
    key = await made(cluster, resolver(cluster), resource(), spec())
    restarted = resolver(cluster)
    assert (await restarted.resolve(resource(), spec())).child is None

    cluster.put(key.name, key.namespace, data={"ca-bundle.crt": "mine"})

    assert (await restarted.resolve(resource(), spec())).child is not None


async def test_what_is_not_there_is_left_to_others_to_report(cluster: Cluster) -> None:
    trust = await resolver(cluster).resolve(resource(), spec())

    assert (trust.digest, trust.child) == ("", None)


async def test_another_namespace_is_read_only_where_that_is_allowed(cluster: Cluster) -> None:
    source = cluster.put("company", "shared", data={"ca-bundle.crt": ONE.pem})
    elsewhere = spec(configMapNamespace="shared")

    refused = await resolver(cluster).resolve(resource(), elsewhere)
    reads = list(cluster.reads)
    allowed = await resolver(cluster, Reach(elsewhere=True)).resolve(resource(), elsewhere)

    assert (refused, reads) == (NO_TRUST, [])
    assert allowed.child is not None
    assert cluster.reads == [source]


async def test_binary_content_is_refused_with_the_way_to_text(cluster: Cluster) -> None:
    der = base64.b64encode(b"0\x82").decode()
    cluster.put("company", binaryData={"ca-bundle.crt": der})

    trust = await resolver(cluster).resolve(resource(), spec())

    (problem,) = trust.problems
    assert 'key "ca-bundle.crt" of ConfigMap "n/company" is binary' in problem.message
    assert "openssl x509 -inform der" in problem.message


@pytest.mark.parametrize("whose", ["demo", "other"])
async def test_bundle_of_a_resource_is_no_source_lest_two_follow_each_other_for_ever(
    cluster: Cluster, whose: str
) -> None:
    cluster.put("company", data={"ca-bundle.crt": ONE.pem})
    resolving = resolver(cluster)
    key = await made(cluster, resolving, resource(whose), spec())

    trust = await resolving.resolve(resource(), spec(configMapName=key.name))

    (problem,) = trust.problems
    assert "is a bundle that the operator made" in problem.message


async def test_other_keys_or_other_public_authorities_lead_to_another_bundle(
    cluster: Cluster,
) -> None:
    cluster.put("company", data={"a": ONE.pem, "b": TWO.pem})
    first = resolver(cluster)
    await made(cluster, first, resource(), spec(configMapKeys=["a"]))
    upgraded = resolver(cluster, public=TWO.pem)

    other_keys = await first.resolve(resource(), spec(configMapKeys=["b"]))
    other_public = await upgraded.resolve(resource(), spec(configMapKeys=["a"]))

    assert other_keys.child is not None
    assert other_public.child is not None
    assert TWO.pem in other_public.child.manifest["data"]["ca-bundle.crt"]


async def test_damaged_certificate_is_named_by_its_number_for_each_place_it_is_in(
    cluster: Cluster,
) -> None:
    resolving = resolver(cluster)
    text = f"{ONE.pem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    found = []
    for name in ("company", "other"):
        cluster.put(name, data={"ca-bundle.crt": text})
        trust = await resolving.resolve(resource(), spec(configMapName=name))
        found += [problem.message for problem in trust.problems]

    assert [message.partition(" is no")[0] for message in found] == [
        f'certificate 2 in key "ca-bundle.crt" of ConfigMap "n/{name}"'
        for name in ("company", "other")
    ]


async def test_mistake_is_remembered_and_not_read_at_every_pass(cluster: Cluster) -> None:
    source = cluster.put("company", data={"ca-bundle.crt": "nonsense"})
    resolving = resolver(cluster)

    trusts = [await resolving.resolve(resource(), spec()) for _ in range(3)]

    assert all(trust.problems for trust in trusts)
    assert cluster.reads == [source]


async def test_same_text_in_many_namespaces_is_decoded_once_and_little_is_remembered(
    cluster: Cluster,
) -> None:
    resolving = resolver(cluster)
    for number in range(50):
        cluster.put(ODH_CA_BUNDLE, f"n{number}", data={"ca-bundle.crt": ONE.pem})
        await resolving.resolve(resource(namespace=f"n{number}"), PLAIN)
    same = len(resolving._contents)
    resolving._contents = LruCache(20_000)
    resolving._bundles = LruCache(20_000)
    for number in range(50):
        text = f"# {'x' * 1000} {number}\n{ONE.pem}"
        cluster.put(ODH_CA_BUNDLE, f"m{number}", data={"ca-bundle.crt": text})
        await resolving.resolve(resource(namespace=f"m{number}"), PLAIN)

    assert same == 1
    assert len(resolving._contents) < 20
    assert len(resolving._bundles) < 20


async def test_others_get_their_turn_while_a_long_list_is_decoded(cluster: Cluster) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    cluster.put("company", data={"ca-bundle.crt": ONE.pem * 900})
    task = asyncio.create_task(other())
    trust = await resolver(cluster).resolve(resource(), spec())
    task.cancel()

    assert trust.digest
    assert turns >= 900 // 50
