# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The real server on a real PostgreSQL and Redis, with what the operator wrote and nothing else.

The operator works in a real control plane; the config.yaml of its ConfigMap and the variables of
its Deployment, read out of its Secret as a kubelet does, start a server here. Only paths and ports
of the pod are this machine's.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configs.defaults import DATA_VARIABLE, FILES_VARIABLE
from hack.cluster.plane import ControlPlane
from hack.servers.bed import Bed
from hack.servers.releases import newest
from hack.servers.server import LlamaServer
from hack.servers.services import Postgres, Redis
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually, install

pytestmark = [pytest.mark.apiserver, pytest.mark.servers, pytest.mark.timeout(300)]

RELEASE = newest("0.7")
OWN = "demo-storage-env"
USER, DATABASE = "me@here", "my data"
PASSWORD = "p@ss/w:rd?#%41&="
"""Everything that must be percent-encoded in a URL, and what looks as if it were already."""

ENCODED = "p%40ss%2Fw%3Ard%3F%23%2541%26%3D"

_OF_THE_POD = frozenset(
    {"HOME", "HF_HOME", "LLAMA_STACK_CONFIG", "LLAMA_STACK_PORT", "LLS_PORT", "LLS_WORKERS",
     "RUN_CONFIG_PATH"}
)  # fmt: skip


@pytest.fixture
def world(kwok_plane: ControlPlane, kwok_namespace: str) -> Iterator[World]:
    kubeconfig = install(kwok_plane)
    with OperatorProcess(kubeconfig) as operator:
        operator.wait_logged("Started workers")
        yield World(kwok_plane, kwok_namespace)
        assert operator.terminate() == 0


@pytest.fixture
def folder(bed: Bed) -> Iterator[Path]:
    place = bed.household.place("storage-secret")
    yield place
    bed.household.clear(place)


@pytest.fixture
def guarded_redis(bed: Bed) -> Iterator[Redis]:
    with Redis(bed, password=PASSWORD) as found:
        yield found


def reference(key: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": "db", "key": key}}


def variables(world: World) -> dict[str, str]:
    """What a kubelet would give to the server's container."""
    template = world.must_get("deployment", "demo")["spec"]["template"]["spec"]
    found: dict[str, str] = {}
    for entry in template["containers"][0]["env"]:
        if entry["name"] in _OF_THE_POD:
            continue
        if "value" in entry:
            found[entry["name"]] = entry["value"]
            continue
        source = entry["valueFrom"]["secretKeyRef"]
        data = world.must_get("secret", source["name"])["data"]
        found[entry["name"]] = base64.b64decode(data[source["key"]]).decode()
    return found


def config(world: World) -> str:
    (name,) = world.config_maps()
    text: str = world.must_get("configmap", name)["data"]["config.yaml"]
    return text


def start(world: World, **storage: Any) -> None:
    world.create(
        "llsd",
        {
            "apiVersion": "llamastack.io/v1alpha2",
            "kind": "LlamaStackDistribution",
            "metadata": {"name": "demo"},
            "spec": {"distribution": {"name": "starter"}, "storage": storage},
        },
    )
    world.wait_ready()


def at(bed: Bed, folder: Path) -> dict[str, str]:
    inside = bed.inside(folder)
    return {DATA_VARIABLE: inside, FILES_VARIABLE: f"{inside}/files"}


async def test_server_keeps_its_state_where_the_secrets_of_the_user_say(
    world: World, bed: Bed, folder: Path, postgres: Postgres, guarded_redis: Redis
) -> None:
    postgres.database(DATABASE, USER, PASSWORD)
    url = f"postgresql://me%40here:{ENCODED}@127.0.0.1:{postgres.port}/my%20data"
    world.secret("db", url=url, password=PASSWORD)
    address = f"redis://127.0.0.1:{guarded_redis.port}"
    start(
        world,
        kv={"type": "redis", "endpoint": address, "password": reference("password")},
        sql={"type": "postgres", "connectionString": reference("url")},
    )

    env = variables(world) | at(bed, folder)
    async with LlamaServer(bed, RELEASE, config(world), env) as server:
        made = await server.post("/v1/conversations", {})
        listed = postgres.query("SELECT id FROM openai_conversations", DATABASE)
        keys = guarded_redis.cli("KEYS", "*").splitlines()

    assert listed.splitlines() == [made["id"]]
    assert keys
    assert {key.rpartition(":")[0].partition("/")[0] for key in keys} == {world.namespace}


async def test_server_keeps_its_state_there_after_a_rotation_of_the_password(
    world: World, bed: Bed, folder: Path, postgres: Postgres
) -> None:
    postgres.database("rotated", "rotating", "first-password")
    url = "postgresql://rotating:{}@127.0.0.1:{}/rotated"
    world.secret("db", url=url.format("first-password", postgres.port))
    both = {"type": "postgres", "connectionString": reference("url")}
    start(world, kv=both, sql=both)
    before = variables(world)

    postgres.query(f"ALTER ROLE rotating PASSWORD '{PASSWORD}'")
    value = url.format(ENCODED, postgres.port)
    world.patch("secret", "db", {"stringData": {"url": value}})
    eventually(
        "the Secret is made again",
        lambda: variables(world)["LLSD_STORAGE_KV_PASSWORD"] == PASSWORD,
    )

    env = variables(world) | at(bed, folder)
    async with LlamaServer(bed, RELEASE, config(world), env) as server:
        made = await server.post("/v1/conversations", {})
        listed = postgres.query("SELECT id FROM openai_conversations", "rotated")
        registry = postgres.query("SELECT count(*) FROM llamastack_kvstore", "rotated")

    assert before["LLSD_STORAGE_KV_PASSWORD"] == "first-password"
    assert listed.splitlines() == [made["id"]]
    assert int(registry) > 0
