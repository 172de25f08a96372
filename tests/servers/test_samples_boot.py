# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Every sample on the real server: its own classes accept the config, it boots, and it works.

What a sample names in the outside world is replaced by something here, as its reader would do:
the addresses of inference endpoints by a stand-in, those of databases by real ones. Everything
else is the sample as it is, its Secrets included.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from configs import connection, yaml_reader
from configs.defaults import DATA_VARIABLE, FILES_VARIABLE
from configs.engine import Generated
from configs.secrets import EnvFromSecret
from configs.server import TLS_FOLDER
from hack.servers.bed import Bed
from hack.servers.endpoint import ANSWER, OpenAIEndpoint
from hack.servers.releases import newest
from hack.servers.server import LlamaServer
from hack.servers.services import Postgres, Redis
from hack.servers.validator import Validator
from tests.support.matrix.certificates import write_certificate
from tests.support.samples import BY_NAME, PLACEHOLDER, SAMPLES, Sample, from_resource

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

RELEASE = newest("0.7")

NOT_HERE = frozenset({"pgvector"})
"""Samples that boot only with what is not installed: a PostgreSQL with the extension vector. The
server's classes judge their configs all the same."""

BESIDE = frozenset({"redis", "postgres", "tls", "full", "with-providers"})
"""Samples with a test of their own."""

_ELSEWHERE = frozenset({"vllm", "ollama", "openai", "azure"})
"""Providers whose service the stand-in can be."""

_LISTED_S = 30.0
_POLL_S = 0.05

_VLLM = "http://vllm.example.svc.cluster.local:8000/v1"
_REDIS_HOST = "redis.example.svc.cluster.local:6379"
_POSTGRES_HOST = "postgres.example.svc.cluster.local:5432"

each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=[s.name for s in SAMPLES])


@dataclass(frozen=True, slots=True)
class Ready:
    """A sample that a server can be started with.

    Attributes:
        generated: what the engine made of it.
        config: its config.yaml, files in place.
        env: what its pod would have.
    """

    generated: Generated
    config: str
    env: Mapping[str, str]


@pytest.fixture(scope="module")
def validator(bed: Bed) -> Iterator[Validator]:
    with Validator(bed, RELEASE) as found:
        yield found


@pytest.fixture
def folder(bed: Bed) -> Iterator[Path]:
    place = bed.household.place("sample")
    yield place
    bed.household.clear(place)


@pytest.fixture
async def endpoint() -> AsyncIterator[OpenAIEndpoint]:
    """Every service of the samples at once: it serves all of their models."""
    models = {model.name for sample in SAMPLES for model in sample.read().spec.resources.models}
    models |= {item["model_id"] for item in registered(BY_NAME["override"])}
    async with OpenAIEndpoint(models=sorted(models)) as found:
        yield found


def registered(sample: Sample) -> list[dict[str, Any]]:
    """The models in the config of a sample."""
    found: list[dict[str, Any]] = yaml_reader.load(sample.config)["registered_resources"]["models"]
    return found


@pytest.fixture
def redis_of_sample(bed: Bed) -> Iterator[Redis]:
    with Redis(bed, password=PLACEHOLDER) as found:
        yield found


def ready(
    sample: Sample, bed: Bed, folder: Path, *, url: str, hosts: Mapping[str, str] | None = None
) -> Ready:
    """The sample with the stand-in's address, and others as given, in the place of its own."""
    resource = moved(copy.deepcopy(sample.converted), hosts or {})
    for provider in _inference(resource):
        if provider["provider"] in _ELSEWHERE:
            provider["endpoint"] = url
    secrets = moved(dict(sample.secrets), hosts or {})
    generated = from_resource(resource)
    inside = bed.inside(folder)
    write_certificate(folder)
    own = sample.config.replace(_VLLM, url)
    config = (generated.config_yaml or own).replace(TLS_FOLDER, inside)
    places = {DATA_VARIABLE: inside, FILES_VARIABLE: f"{inside}/files"}
    env = environment(generated, secrets) | given(sample, secrets)
    return Ready(generated, config, env | places)


def _inference(resource: dict[str, Any]) -> list[dict[str, Any]]:
    found = resource["spec"].get("providers", {}).get("inference", [])
    return found if isinstance(found, list) else [found]


def moved(value: Any, hosts: Mapping[str, str]) -> Any:
    """JSON data with other hosts in its texts."""
    if isinstance(value, str):
        for old, new in hosts.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, dict):
        return {key: moved(item, hosts) for key, item in value.items()}
    return [moved(item, hosts) for item in value] if isinstance(value, list) else value


def given(sample: Sample, secrets: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """The variables of a sample that its user sets from Secrets."""
    variables = sample.read().spec.workload.overrides.env
    sources = {v.name: v.value_from.secret_key_ref for v in variables if v.value_from}
    return {name: secrets[ref.name, ref.key] for name, ref in sources.items() if ref}


def environment(generated: Generated, secrets: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """The variables that the pod would have."""
    wanted = generated.storage_secret
    derived = connection.derive(wanted, secrets) if wanted else {}
    own = wanted.name if wanted else None
    return {
        item.name: item.value
        if not isinstance(item, EnvFromSecret)
        else derived[item.key]
        if item.secret_name == own
        else secrets[item.secret_name, item.key]
        for item in generated.env
    }


@each_sample
def test_the_server_takes_every_key_of_a_sample(
    sample: Sample, validator: Validator, bed: Bed, folder: Path
) -> None:
    found = ready(sample, bed, folder, url="http://127.0.0.1:1/v1")

    report = validator.check(found.config, found.env)

    assert report.ok, report.lines()


@pytest.mark.parametrize(
    "name",
    [s.name for s in SAMPLES if s.name not in {*NOT_HERE, *BESIDE}],
)
async def test_sample_boots_and_does_what_it_shows(
    name: str, bed: Bed, folder: Path, endpoint: OpenAIEndpoint
) -> None:
    sample = BY_NAME[name]
    found = ready(sample, bed, folder, url=endpoint.url)

    async with LlamaServer(bed, RELEASE, found.config, found.env) as server:
        await _offers_what_the_config_says(server, found)
        own = found.generated.source == "override"
        if own or any(p["provider"] in _ELSEWHERE for p in _inference(sample.converted)):
            await _answers_with_the_key_of_the_sample(server, sample, found, endpoint)


async def test_sample_with_tls_answers_by_https(
    bed: Bed, folder: Path, endpoint: OpenAIEndpoint
) -> None:
    found = ready(BY_NAME["tls"], bed, folder, url=endpoint.url)

    async with LlamaServer(bed, RELEASE, found.config, found.env, tls=True) as server:
        await _offers_what_the_config_says(server, found)


async def test_sample_with_redis_keeps_its_registry_there(
    bed: Bed, folder: Path, redis_of_sample: Redis
) -> None:
    hosts = {_REDIS_HOST: f"127.0.0.1:{redis_of_sample.port}"}
    found = ready(BY_NAME["redis"], bed, folder, url="", hosts=hosts)

    async with LlamaServer(bed, RELEASE, found.config, found.env) as server:
        await _offers_what_the_config_says(server, found)
        keys = redis_of_sample.cli("KEYS", "*").splitlines()

    assert keys
    assert [key for key in keys if not key.startswith("default/redis/")] == []


async def test_sample_with_postgres_keeps_its_state_there(
    bed: Bed, folder: Path, postgres: Postgres
) -> None:
    postgres.database("llamastack", "llamastack", PLACEHOLDER)
    hosts = {_POSTGRES_HOST: f"127.0.0.1:{postgres.port}"}
    found = ready(BY_NAME["postgres"], bed, folder, url="", hosts=hosts)

    async with LlamaServer(bed, RELEASE, found.config, found.env) as server:
        await _offers_what_the_config_says(server, found)
        conversation = await server.post("/v1/conversations", {})
        conversations = postgres.query("SELECT id FROM openai_conversations", "llamastack")
        registry = postgres.query("SELECT count(*) FROM llamastack_kvstore", "llamastack")

    assert conversations.splitlines() == [conversation["id"]]
    assert int(registry) > 0


async def test_full_sample_boots_with_all_that_it_names(
    bed: Bed, folder: Path, endpoint: OpenAIEndpoint, redis_of_sample: Redis, postgres: Postgres
) -> None:
    postgres.database("full", "full", PLACEHOLDER)
    hosts = {
        _REDIS_HOST: f"127.0.0.1:{redis_of_sample.port}",
        f"llamastack:{PLACEHOLDER}@{_POSTGRES_HOST}/llamastack": (
            f"full:{PLACEHOLDER}@127.0.0.1:{postgres.port}/full"
        ),
    }
    sample = BY_NAME["full"]
    found = ready(sample, bed, folder, url=endpoint.url, hosts=hosts)

    async with LlamaServer(bed, RELEASE, found.config, found.env, tls=True) as server:
        await _offers_what_the_config_says(server, found)
        await _answers_with_the_key_of_the_sample(server, sample, found, endpoint)


async def test_sample_of_v1alpha1_boots_with_its_database(
    bed: Bed, folder: Path, endpoint: OpenAIEndpoint, postgres: Postgres
) -> None:
    postgres.database("old", "old", PLACEHOLDER)
    hosts = {
        f"llamastack:{PLACEHOLDER}@{_POSTGRES_HOST}/llamastack": (
            f"old:{PLACEHOLDER}@127.0.0.1:{postgres.port}/old"
        ),
    }
    sample = BY_NAME["with-providers"]
    found = ready(sample, bed, folder, url=endpoint.url, hosts=hosts)

    async with LlamaServer(bed, RELEASE, found.config, found.env) as server:
        await _offers_what_the_config_says(server, found)
        await _answers_with_the_key_of_the_sample(server, sample, found, endpoint)


async def _offers_what_the_config_says(server: LlamaServer, found: Ready) -> None:
    config = yaml_reader.load(found.config)
    providers = {
        (api, entry["provider_id"], entry["provider_type"])
        for api, entries in config["providers"].items()
        for entry in entries
        if not entry["provider_id"].startswith("${env.")
    }
    listed = {
        (item["api"], item["provider_id"], item["provider_type"])
        for item in (await server.get("/v1/providers"))["data"]
    }
    assert providers <= listed
    assert {api for api, _, _ in listed} == set(config["providers"])

    await _lists(server, set(found.generated.models))

    shields: set[str] = set()
    if "safety" in config["providers"]:
        answer = await server.get("/v1/shields")
        shields = {item["identifier"] for item in answer["data"]}
    on = {
        item["shield_id"]
        for item in config.get("registered_resources", {}).get("shields", [])
        if not item["provider_id"].startswith("${env.")
    }
    assert on <= shields


async def _lists(server: LlamaServer, names: set[str]) -> None:
    """While it refreshes what a provider lists, each of that one's models is gone for a moment."""
    async with asyncio.timeout(_LISTED_S):
        while True:
            answer = await server.get("/v1/models")
            if names <= {item["id"] for item in answer["data"]}:
                return
            await asyncio.sleep(_POLL_S)


async def _answers_with_the_key_of_the_sample(
    server: LlamaServer, sample: Sample, found: Ready, endpoint: OpenAIEndpoint
) -> None:
    config = yaml_reader.load(found.config)
    model = next(
        item for item in config["registered_resources"]["models"] if item["model_type"] == "llm"
    )
    messages = [{"role": "user", "content": "hello"}]
    body = {"model": f"{model['provider_id']}/{model['model_id']}", "messages": messages}

    answer = await server.post("/v1/chat/completions", body)

    assert answer["choices"][0]["message"]["content"] == ANSWER
    (seen,) = endpoint.seen("/chat/completions")
    assert seen.body["model"] == model["model_id"]
    if PLACEHOLDER in sample.secrets.values():
        assert PLACEHOLDER in {
            seen.authorization.removeprefix("Bearer "),
            seen.headers.get("api-key"),
        }
