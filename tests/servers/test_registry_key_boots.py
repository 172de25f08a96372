# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Edited resources boot on a kept volume, and would not without the number of the registry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from configs.engine import Generated
from hack.servers.bed import Bed
from hack.servers.endpoint import OpenAIEndpoint
from hack.servers.errors import BootFailed
from hack.servers.releases import RELEASES, Release, newest
from hack.servers.server import LlamaServer
from hack.servers.services import Postgres, Redis
from tests.support.kept_volume import KeptVolume, on_first_registry

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

NEWEST = newest("0.7")
LISTED = ("e", "listed", "guard-1", "guard-2")
EMBEDDING = {"name": "e", "embeddingDimension": 8}
LONG = {"name": "e", "contextLength": 4096}


@pytest.fixture
def folder(bed: Bed) -> Iterator[Path]:
    """The volume."""
    place = bed.household.place("kept-volume")
    yield place
    bed.household.clear(place)


@pytest.fixture
async def volume(bed: Bed, folder: Path) -> AsyncIterator[KeptVolume]:
    async with OpenAIEndpoint(models=LISTED) as endpoint:
        yield KeptVolume(bed, folder, endpoint.url)


async def models(server: LlamaServer) -> dict[str, dict[str, Any]]:
    """What the server says of its models: metadata by name."""
    found = await server.get("/v1/models")
    return {model["id"]: model["custom_metadata"] for model in found["data"]}


async def listed(server: LlamaServer, name: str) -> None:
    """Waits for a model: while the server refreshes its list, each is gone for a moment."""
    async with asyncio.timeout(30):
        while True:
            if name in await models(server):
                return
            await asyncio.sleep(0.05)


def key(found: Generated) -> int:
    assert found.registry is not None
    return found.registry.key


async def test_every_edit_boots_on_the_same_volume(volume: KeptVolume) -> None:
    volume.edit(NEWEST, "e")
    async with volume.server(NEWEST) as server:
        assert "context_length" not in (await models(server))["vllm/e"]

    assert key(volume.edit(NEWEST, LONG)) == 2
    async with volume.server(NEWEST) as server:
        assert (await models(server))["vllm/e"]["context_length"] == 4096

    assert key(volume.edit(NEWEST, EMBEDDING)) == 3
    async with volume.server(NEWEST) as server:
        assert (await models(server))["vllm/e"]["model_type"] == "embedding"

    assert key(volume.edit(NEWEST, EMBEDDING, "guard-1", shields=["guard"])) == 4
    async with volume.server(NEWEST) as server:
        shields = (await server.get("/v1/shields"))["data"]
        assert [s["provider_resource_id"] for s in shields] == ["vllm/guard-1"]

    assert key(volume.edit(NEWEST, EMBEDDING, "guard-2", shields=["guard"])) == 5
    async with volume.server(NEWEST) as server:
        shields = (await server.get("/v1/shields"))["data"]
        assert [s["provider_resource_id"] for s in shields] == ["vllm/guard-2"]

    assert key(volume.edit(NEWEST, "guard-2")) == 5, "what is removed is no conflict"
    async with volume.server(NEWEST) as server:
        assert "vllm/e" in await models(server), "the server never forgets"

    assert key(volume.edit(NEWEST, LONG, "guard-2")) == 6
    async with volume.server(NEWEST) as server:
        assert (await models(server))["vllm/e"]["context_length"] == 4096
    assert sorted(p.name for p in volume.folder.glob("registry*.db")) == [
        "registry-2.db", "registry-3.db", "registry-4.db", "registry-5.db", "registry-6.db",
        "registry.db",
    ]  # fmt: skip


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.slug)
async def test_changed_model_boots_on_every_release(volume: KeptVolume, release: Release) -> None:
    volume.edit(release, "e")
    async with volume.server(release):
        pass
    found = volume.edit(release, LONG)
    assert key(found) == 2

    async with volume.server(release) as server:
        served = await models(server)
    with pytest.raises(BootFailed) as refused:
        async with volume.server(release, on_first_registry(str(found.config_yaml))):
            pass

    assert served["vllm/e"]["context_length"] == 4096
    assert "'vllm/e' already exists" in str(refused.value)


async def test_listed_model_that_gets_registered_boots(volume: KeptVolume) -> None:
    volume.edit(NEWEST, "e")
    async with volume.server(NEWEST) as server:
        await listed(server, "vllm/listed")
    found = volume.edit(NEWEST, "e", "listed")

    async with volume.server(NEWEST) as server:
        assert "vllm/listed" in await models(server)
    with pytest.raises(BootFailed, match="'vllm/listed' already exists"):
        async with volume.server(NEWEST, on_first_registry(str(found.config_yaml))):
            pass

    assert found.registry_reset == ("model vllm/listed",)


async def test_scoring_provider_with_another_id_boots(volume: KeptVolume) -> None:
    volume.edit(NEWEST, "e")
    async with volume.server(NEWEST):
        pass
    scoring = {"scoring": {"id": "renamed", "provider": "basic"}}
    found = volume.edit(NEWEST, "e", providers=scoring)

    async with volume.server(NEWEST) as server:
        functions = (await server.get("/v1/scoring-functions"))["data"]
    with pytest.raises(BootFailed, match="'basic::equality' already exists"):
        async with volume.server(NEWEST, on_first_registry(str(found.config_yaml))):
            pass

    assert {function["provider_id"] for function in functions} == {"renamed"}


async def test_renamed_inference_provider_keeps_the_registry(volume: KeptVolume) -> None:
    volume.edit(NEWEST, "e")
    async with volume.server(NEWEST):
        pass

    assert key(volume.edit(NEWEST, LONG, inference="other")) == 1
    async with volume.server(NEWEST) as server:
        assert (await models(server))["other/e"]["context_length"] == 4096


async def test_newer_release_boots_on_the_registry_of_an_older_one(volume: KeptVolume) -> None:
    older = newest("0.5-0.6")
    volume.edit(older, LONG, "guard-1", shields=["guard"])
    async with volume.server(older):
        pass

    found = volume.edit(NEWEST, LONG, "guard-1", shields=["guard"])

    assert key(found) == 1
    async with volume.server(NEWEST) as server:
        assert (await models(server))["vllm/e"]["context_length"] == 4096


async def test_redis_keeps_the_registries_apart(volume: KeptVolume, redis: Redis) -> None:
    kv = {"kv": {"type": "redis", "endpoint": f"redis://127.0.0.1:{redis.port}"}}
    await _changed_on(volume, kv)

    registries = {name.partition(":")[0] for name in redis.cli("KEYS", "team-a/demo/*").split()}
    assert {"team-a/demo/registry", "team-a/demo/registry-2"} <= registries
    redis.cli("FLUSHALL")


async def test_postgresql_keeps_the_registries_apart(
    volume: KeptVolume, postgres: Postgres
) -> None:
    postgres.database("registries", "demo", "secret")
    url = f"postgresql://demo:secret@127.0.0.1:{postgres.port}/registries"
    volume.secrets["pg", "url"] = url
    reference = {"secretKeyRef": {"name": "pg", "key": "url"}}
    await _changed_on(volume, {"kv": {"type": "postgres", "connectionString": reference}})

    names = postgres.query("select distinct split_part(key, ':', 1) from llamastack_kvstore",
                           "registries").split()  # fmt: skip
    assert {"team-a/demo/registry", "team-a/demo/registry-2"} <= set(names)


async def _changed_on(volume: KeptVolume, storage: dict[str, Any]) -> None:
    """A changed model boots, and does not on the namespace of before."""
    volume.edit(NEWEST, "e", storage=storage)
    async with volume.server(NEWEST):
        pass
    found = volume.edit(NEWEST, LONG, storage=storage)

    async with volume.server(NEWEST) as server:
        assert (await models(server))["vllm/e"]["context_length"] == 4096
    with pytest.raises(BootFailed, match="'vllm/e' already exists"):
        async with volume.server(NEWEST, on_first_registry(str(found.config_yaml))):
            pass
