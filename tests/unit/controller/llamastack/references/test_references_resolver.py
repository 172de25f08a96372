# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a restarted operator believes without reading, and what it looks at again."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

import pytest

from api.v1alpha2.reasons import Reason
from configs.distributions import Distributions
from controller.llamastack.objects.kinds import CONFIG_MAPS_SEEN
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.references.config_maps import ConfigMapResolver
from controller.llamastack.references.resolution import Resolution
from controller.llamastack.references.resolver import ReferenceResolver
from controller.llamastack.references.secrets import SecretResolver
from controller.llamastack.references.storage_secret import StorageSecrets
from controller.llamastack.references.trust import TrustResolver
from informers.errors import Forbidden, NotFound
from informers.ports import Object, ObjectKey, Resource

if TYPE_CHECKING:
    from controller.llamastack.cache.readers import Caches
    from controller.runtime.ports import Reader, Writer

BASE = resources.files("configs").joinpath("data/base/starter.yaml").read_text("utf-8")
DIGEST = hashlib.sha256(BASE.encode()).hexdigest()


class Cluster:
    """One ConfigMap, live and in the cache; and no Secret."""

    def __init__(self) -> None:
        metadata = {"name": "mine", "namespace": "n", "uid": "u", "resourceVersion": "5"}
        self.config_map: dict[str, Any] | None = {
            "metadata": metadata,
            "data": {"config.yaml": BASE},
        }
        self.reads = 0

    async def get(self, resource: Resource, key: ObjectKey) -> Object:
        self.reads += 1
        if resource.kind != "ConfigMap" or self.config_map is None:
            raise NotFound("not found", code=404)
        return self.config_map

    def cached(self, key: ObjectKey) -> Object | None:
        known = self.config_map if key.name == "mine" else None
        return {"metadata": known["metadata"]} if known else None

    def references(self) -> ReferenceResolver:
        """Those of an operator that just started."""
        reader, caches = cast("Writer", self), cast("Caches", Nothing())
        secrets = SecretResolver(cast("Reader", caches), reader)
        config_maps = ConfigMapResolver(self.cached, reader)
        trust = TrustResolver(caches, config_maps, "", lambda: datetime.now(UTC))
        return ReferenceResolver(
            secrets, config_maps, trust, StorageSecrets(caches, reader, secrets)
        )


class Nothing:
    """Caches without objects."""

    def get(self, key: ObjectKey) -> Object | None:
        return None

    config_map = get


def resource(
    digest: str = DIGEST, *, generated: str = "True", spec: dict[str, Any] | None = None
) -> dict[str, Any]:
    conditions = [
        {"type": kind, "status": status, "observedGeneration": 3}
        for kind, status in (("SecretsResolved", "True"), ("ConfigGenerated", generated))
    ]
    resolved = {"configSource": "override", "configHash": digest}
    override = {"overrideConfig": {"configMapName": "mine"}}
    return {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo", "namespace": "n", "uid": "c", "generation": 3},
        "spec": {"distribution": {"name": "starter"}, **(spec or override)},
        "status": {"conditions": conditions, "resolvedDistribution": resolved},
    }


async def resolve(cluster: Cluster, cr: dict[str, Any], record: str = "") -> Resolution:
    template: dict[str, Any] = {"metadata": {}}
    annotations = {CONFIG_MAPS_SEEN: record} if record else {}
    live = {"metadata": {"annotations": annotations}, "spec": {"template": template}}
    plan = make_plan(cr, Distributions.load())
    return await cluster.references().resolve(cr, live, plan)


async def test_unchanged_world_is_believed_unread() -> None:
    cluster = Cluster()
    first = await resolve(cluster, resource())
    cluster.reads = 0

    again = await resolve(cluster, resource(), first.config_maps_seen)

    assert cluster.reads == 0
    assert again.ok
    assert again.override is None
    assert (again.override_digest, again.config_maps_hash) == (DIGEST, first.config_maps_hash)
    assert again.config_maps_seen == first.config_maps_seen


async def _looked_at_again(cr: dict[str, Any], version: str = "5") -> bool:
    cluster = Cluster()
    record = (await resolve(cluster, resource())).config_maps_seen
    assert cluster.config_map is not None
    cluster.config_map["metadata"]["resourceVersion"] = version
    cluster.reads = 0
    await resolve(cluster, cr, record)
    return cluster.reads > 0


@pytest.mark.parametrize(
    "cr",
    [
        resource("another text"),
        resource(generated="False"),
        {**resource(), "status": {}},
    ],
    ids=["the status is of another text", "it was refused", "the status is lost"],
)
async def test_what_the_status_does_not_confirm_is_looked_at_again(cr: dict[str, Any]) -> None:
    assert await _looked_at_again(cr)


async def test_new_version_and_new_spec_are_looked_at() -> None:
    edited = resource()
    edited["metadata"]["generation"] = 4

    assert await _looked_at_again(resource(), version="6")
    assert await _looked_at_again(edited)
    assert not await _looked_at_again(resource())


async def test_record_of_an_override_is_no_proof_for_a_volume() -> None:
    volume = {"name": "v", "configMap": {"name": "mine", "items": [{"key": "config.yaml"}]}}
    spec = {"workload": {"overrides": {"volumes": [volume]}}}

    assert await _looked_at_again(resource(spec=spec))


async def test_problems_of_secrets_and_config_maps_are_told_together() -> None:
    cluster = Cluster()
    cluster.config_map = None
    cr = resource()
    reference = {"secretKeyRef": {"name": "creds", "key": "k"}}
    cr["spec"]["workload"] = {"overrides": {"env": [{"name": "K", "valueFrom": reference}]}}

    resolution = await resolve(cluster, cr)

    assert resolution.reason == Reason.SECRET_NOT_FOUND
    assert [e.message.partition(" not ")[0] for e in resolution.errors] == [
        'Secret "creds"',
        'ConfigMap "mine"',
    ]


async def test_reason_is_that_of_the_config_map_if_that_is_all() -> None:
    cluster = Cluster()
    cluster.config_map = None

    assert (await resolve(cluster, resource())).reason == Reason.CONFIG_MAP_NOT_FOUND


async def test_resource_without_config_maps_reads_none() -> None:
    cluster = Cluster()

    resolution = await resolve(cluster, resource(spec={"disabled": ["eval"]}))

    assert (cluster.reads, resolution.config_maps_seen) == (0, "")


def naming_a_secret(**changed: Any) -> dict[str, Any]:
    key = {"secretKeyRef": {"name": "creds", "key": "token"}}
    providers = {"inference": {"provider": "vllm", "endpoint": "http://x", "apiKey": key}}
    return {**resource(spec={"providers": providers}), **changed}


async def test_secret_that_was_read_ahead_is_not_read_again() -> None:
    cluster, cr = Cluster(), naming_a_secret(status={})
    references = cluster.references()

    for key in references.read_ahead_of(cr):
        await references.read_ahead(key)
    assert cluster.reads == 1
    assert references.read_ahead_of(cr) == []
    found = await references.resolve(cr, None, make_plan(cr, Distributions.load()))

    assert cluster.reads == 1
    assert found.reason == Reason.SECRET_NOT_FOUND


def test_nothing_is_read_ahead_of_what_was_found_good() -> None:
    assert Cluster().references().read_ahead_of(naming_a_secret()) == []


async def test_what_cannot_be_read_ahead_is_left_to_who_can_tell() -> None:
    class Broken(Cluster):
        async def get(self, resource: Resource, key: ObjectKey) -> Object:
            self.reads += 1
            raise Forbidden("no", code=403)

    cluster = Broken()
    references = cluster.references()
    (key,) = references.read_ahead_of(naming_a_secret(status={}))

    await references.read_ahead(key)

    assert cluster.reads == 1
