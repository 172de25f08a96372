# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Real servers boot on the base config of every distribution, and on a base of every era.

What ``/v1/providers`` lists is held against the config. It is no proof that a key was understood:
the server shows ignored ones back. That is what the checks with the server's own classes are for.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from configs import connection, references, yaml_reader
from configs.engine import Generated
from configs.eras import Era
from hack import validate_configs
from hack.servers.bed import Bed
from hack.servers.endpoint import ANSWER, OpenAIEndpoint
from hack.servers.releases import RELEASES, Release, find, newest
from hack.servers.server import LlamaServer
from hack.servers.services import Postgres
from hack.servers.validator import Validator
from tests.support.bases import HAND_MADE, generate_on, text_of
from tests.support.config_specs import DISTRIBUTIONS, generate, secret

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

CURRENT = newest("0.7")
EMBEDDING = "sentence-transformers/nomic-ai/nomic-embed-text-v1.5"
TOKEN = "of-the-test"
PASSWORD = "p@ss/w:rd %x"
"""Not the same in a URL."""


@pytest.fixture
def folder(bed: Bed) -> Iterator[Path]:
    """A volume for data."""
    place = bed.household.place("data")
    yield place
    bed.household.clear(place)


@pytest.fixture(scope="module")
def validators(bed: Bed) -> Iterator[dict[Release, Validator]]:
    """The own classes of every release."""
    with ExitStack() as stack:
        yield {release: stack.enter_context(Validator(bed, release)) for release in RELEASES}


def only_distribution(name: str) -> Generated:
    """What a resource comes to that names a distribution and asks for nothing else."""
    return generate(distribution={"name": name}, disabled=["memory"])


def on_volume(bed: Bed, folder: Path, **env: str) -> dict[str, str]:
    """The variables, with all data in a folder."""
    inside = bed.inside(folder)
    return {"SQLITE_STORE_DIR": inside, "FILES_STORAGE_DIR": f"{inside}/files", **env}


def expected(config: str, env: Mapping[str, str]) -> set[tuple[str, str, str]]:
    """API, id and type of the providers that a config has switched on."""
    return {
        (api, provider_id, entry["provider_type"])
        for api, entries in yaml_reader.load(config)["providers"].items()
        for entry in entries
        if (provider_id := references.active(entry["provider_id"], env.keys()))
    }


def databases_in(folder: Path) -> list[Path]:
    """Files of SQLite."""
    return list(folder.glob("**/*.db"))


async def providers(server: LlamaServer) -> set[tuple[str, str, str]]:
    """The same, as a server says."""
    found = await server.get("/v1/providers")
    return {(item["api"], item["provider_id"], item["provider_type"]) for item in found["data"]}


async def has_models(server: LlamaServer, *names: str) -> bool:
    """Whether a server lists models; it asks its providers for them while it answers already."""
    listed: set[str] = set()
    for _ in range(100):
        found = await server.get("/v1/models")
        listed = {model["id"] for model in found["data"]}
        if listed.issuperset(names):
            return True
        await asyncio.sleep(0.1)
    raise AssertionError(f"{server.release.name} lists {sorted(listed)}")


async def chat(server: LlamaServer, model: str) -> str:
    """What a model answers."""
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    answer = await server.post("/v1/chat/completions", body)
    text: str = answer["choices"][0]["message"]["content"]
    return text


# --- distributions --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["starter", "remote-vllm"])
async def test_a_distribution_boots_with_no_variable_set(bed: Bed, folder: Path, name: str) -> None:
    config = str(only_distribution(name).config_yaml)
    env = on_volume(bed, folder)

    async with LlamaServer(bed, CURRENT, config, env) as server:
        assert await providers(server) == expected(config, env)
        assert await has_models(server, EMBEDDING)
    assert databases_in(folder)


@pytest.mark.parametrize(
    ("name", "provider"), [("starter", "vllm"), ("remote-vllm", "vllm-inference")]
)
async def test_a_distribution_serves_the_vllm_that_its_variables_name(
    bed: Bed, folder: Path, name: str, provider: str
) -> None:
    config = str(only_distribution(name).config_yaml)
    async with OpenAIEndpoint(api_keys=[TOKEN]) as endpoint:
        env = on_volume(
            bed, folder, VLLM_URL=endpoint.url, VLLM_API_TOKEN=TOKEN,
            INFERENCE_MODEL="fake/llama-3", SAFETY_MODEL=f"{provider}/fake/llama-3",
        )  # fmt: skip
        async with LlamaServer(bed, CURRENT, config, env) as server:
            assert ("inference", provider, "remote::vllm") in await providers(server)
            assert await providers(server) == expected(config, env)
            assert await has_models(server, f"{provider}/fake/llama-3", EMBEDDING)
            assert await chat(server, f"{provider}/fake/llama-3") == ANSWER
            shields = await server.get("/v1/shields")
        assert [shield["identifier"] for shield in shields["data"]] == ["llama-guard"]
        assert {seen.authorization for seen in endpoint.requests} == {f"Bearer {TOKEN}"}


async def test_every_vendor_of_starter_whose_packages_are_here_is_switched_on_by_its_variable(
    bed: Bed, folder: Path
) -> None:
    config = str(only_distribution("starter").config_yaml)
    dead = "http://127.0.0.1:9"
    env = on_volume(
        bed, folder, VLLM_URL=f"{dead}/v1", OLLAMA_URL=f"{dead}/v1", ANTHROPIC_API_KEY="k",
        AZURE_API_KEY="k", AZURE_API_BASE=f"{dead}/v1", CEREBRAS_API_KEY="k", NVIDIA_API_KEY="k",
        NVIDIA_BASE_URL=f"{dead}/v1", TOGETHER_API_KEY="k", VERTEX_AI_PROJECT="p",
        CODE_SCANNER_MODEL="m", QDRANT_URL=dead, WEAVIATE_CLUSTER_URL="127.0.0.1:9",
        ELASTICSEARCH_URL=dead,
    )  # fmt: skip

    async with LlamaServer(bed, CURRENT, config, env) as server:
        found = await providers(server)

    assert found == expected(config, env)
    assert {
        "vllm", "ollama", "anthropic", "azure", "cerebras", "nvidia", "together", "vertexai",
        "code-scanner", "qdrant", "weaviate", "elasticsearch",
    } <= {provider_id for _, provider_id, _ in found}  # fmt: skip


async def test_postgres_demo_keeps_its_state_in_postgresql(
    bed: Bed, folder: Path, postgres: Postgres
) -> None:
    postgres.database("demo_env", "demo_env", "url-safe")
    config = str(only_distribution("postgres-demo").config_yaml)
    async with OpenAIEndpoint() as endpoint:
        env = on_volume(
            bed, folder, VLLM_URL=endpoint.url, INFERENCE_MODEL="fake/llama-3",
            POSTGRES_HOST="127.0.0.1", POSTGRES_PORT=str(postgres.port), POSTGRES_DB="demo_env",
            POSTGRES_USER="demo_env", POSTGRES_PASSWORD="url-safe",
        )  # fmt: skip
        async with LlamaServer(bed, CURRENT, config, env) as server:
            assert await providers(server) == expected(config, env)
            assert await has_models(server, "vllm-inference/fake/llama-3", EMBEDDING)
            await server.post("/v1/conversations", {})

    keys = postgres.query("SELECT key FROM llamastack_kvstore", "demo_env")
    assert "model:vllm-inference/fake/llama-3" in keys
    assert postgres.query("SELECT count(*) FROM openai_conversations", "demo_env") == "1"
    assert not databases_in(folder)


async def test_storage_in_the_spec_takes_the_place_of_postgres_demos_own(
    bed: Bed, folder: Path, postgres: Postgres
) -> None:
    postgres.database("demo_spec", "demo_spec", PASSWORD)
    string = (
        f"host=127.0.0.1 port={postgres.port} dbname=demo_spec user=demo_spec password='{PASSWORD}'"
    )
    where = {"type": "postgres", "connectionString": secret("pg", "url")}
    found = generate(distribution={"name": "postgres-demo"}, storage={"kv": where, "sql": where})
    assert found.storage_secret is not None
    values = connection.derive(found.storage_secret, {("pg", "url"): string})
    env = on_volume(bed, folder, **values)

    async with LlamaServer(bed, CURRENT, str(found.config_yaml), env) as server:
        assert await providers(server) == expected(str(found.config_yaml), env)
        await server.post("/v1/conversations", {})

    assert "POSTGRES_" not in str(found.config_yaml)
    assert postgres.query("SELECT count(*) FROM openai_conversations", "demo_spec") == "1"
    assert postgres.query("SELECT count(*) > 0 FROM llamastack_kvstore", "demo_spec") == "t"


async def test_meta_reference_gpu_boots_without_a_model_to_load(bed: Bed, folder: Path) -> None:
    # Its image has torch. Here an empty package takes its place: embeddings need it when they are
    # made, but 0.4 imports it when it starts.
    (folder / "stand-in/torch").mkdir(parents=True)
    (folder / "stand-in/torch/__init__.py").touch()
    config = str(only_distribution("meta-reference-gpu").config_yaml)
    env = on_volume(bed, folder, PYTHONPATH=f"{bed.inside(folder)}/stand-in")

    async with LlamaServer(bed, newest("0.4"), config, env) as server:
        assert await providers(server) == expected(config, env)
        assert await has_models(server, EMBEDDING)
        groups = await server.get("/v1/toolgroups")

    assert {group["identifier"] for group in groups["data"]} == {
        "builtin::websearch", "builtin::rag"
    }  # fmt: skip


# --- the server's own classes ---------------------------------------------------------------------


def test_no_base_has_anything_that_a_server_of_its_era_would_refuse_or_ignore(
    validators: dict[Release, Validator],
) -> None:
    found = list(validate_configs.validate(DISTRIBUTIONS.known, validators.values()))

    assert [str(result) for result in found if result.problems] == []
    assert {result.name for result in found} == set(DISTRIBUTIONS.known)
    # Once its binding, and twice for each release of its era.
    assert len(found) == len(DISTRIBUTIONS.known) * 3


@pytest.mark.parametrize("era", HAND_MADE)
def test_no_hand_made_base_has_anything_that_its_servers_would_refuse_or_ignore(
    validators: dict[Release, Validator], era: Era
) -> None:
    for release in (release for release in RELEASES if release.era == era):
        for case, env in validate_configs.cases(text_of(era)):
            report = validators[release].check(text_of(era), env)

            assert report.ok, (release.name, case, report.lines())


def test_the_model_of_meta_reference_gpu_is_read_when_it_is_named(
    validators: dict[Release, Validator],
) -> None:
    config = str(only_distribution("meta-reference-gpu").config_yaml)
    validator = validators[newest("0.4")]

    good = validator.check(config, {"INFERENCE_MODEL": "meta-llama/Llama-3.2-3B-Instruct"})
    wrong = validator.check(config, {"INFERENCE_MODEL": "of/nobody"})

    assert good.ok, good.lines()
    assert any("Unknown model: `of/nobody`" in error for error in wrong.errors)


def test_the_own_config_of_the_image_of_meta_reference_gpu_does_not_start(
    bed: Bed, validators: dict[Release, Validator]
) -> None:
    release = newest("0.4")
    pattern = "lib/python3*/site-packages/llama_stack/distributions/meta-reference-gpu/config.yaml"
    (own,) = bed.venv(release).glob(pattern)
    env = {"INFERENCE_MODEL": "meta-llama/Llama-3.2-3B-Instruct"}

    report = validators[release].check(own.read_text("utf-8"), env)

    assert any("files" in text for text in report.missing), report.lines()
    assert DISTRIBUTIONS.known["meta-reference-gpu"].always


# --- eras -----------------------------------------------------------------------------------------


def everything(era: Era, endpoint: str) -> dict[str, Any]:
    """Sections of a spec that use every API of a hand-made base."""
    sections: dict[str, Any] = {
        "providers": {
            "inference": {"id": "v", "provider": "vllm", "endpoint": endpoint, "apiKey": secret()},
            "vectorIo": [{"provider": "faiss"}, {"provider": "sqlite-vec"}],
            "toolRuntime": [
                {"provider": "tavily-search"}, {"provider": "rag-runtime"}, {"provider": "mcp"}
            ],
            "agents": {"provider": "meta-reference"},
            "files": {"provider": "localfs"},
            "batches": {"provider": "reference"},
        },
        "resources": {
            "models": ["fake/llama-3", {"name": "fake/embedding", "embeddingDimension": 8}],
            "tools": ["websearch", "rag"],
        },
    }  # fmt: skip
    for section in sections["providers"].values():
        for item in section if isinstance(section, list) and len(section) > 1 else ():
            item.setdefault("id", item["provider"])
    if era != "ogx":
        sections["providers"]["safety"] = {"provider": "llama-guard"}
        sections["resources"]["shields"] = ["v/fake/llama-3"]
    return sections


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.slug)
async def test_what_is_generated_on_a_base_of_an_era_boots_on_its_servers(
    bed: Bed, folder: Path, validators: dict[Release, Validator], release: Release
) -> None:
    era: Era = next(name for name in HAND_MADE if name == release.era)
    async with OpenAIEndpoint(api_keys=[TOKEN]) as endpoint:
        found = generate_on(era, **everything(era, endpoint.url))
        config = str(found.config_yaml)
        env = on_volume(bed, folder, LLSD_V_API_KEY=TOKEN)
        report = validators[release].check(config, env)
        assert report.ok, report.lines()

        async with LlamaServer(bed, release, config, env) as server:
            assert await providers(server) == expected(config, env)
            assert await has_models(server, *found.models)
            assert await chat(server, "v/fake/llama-3") == ANSWER
            if era in {"0.4", "0.5-0.6"}:
                groups = await server.get("/v1/toolgroups")
                assert {group["identifier"] for group in groups["data"]} >= {
                    "builtin::websearch", "builtin::rag"
                }  # fmt: skip
            if era != "ogx":
                shields = await server.get("/v1/shields")
                assert [item["identifier"] for item in shields["data"]] == ["v/fake/llama-3"]
        assert {seen.authorization for seen in endpoint.requests} == {f"Bearer {TOKEN}"}


async def test_an_ogx_server_gets_into_postgresql_with_any_password(
    bed: Bed, folder: Path, postgres: Postgres
) -> None:
    postgres.database("ogx", "ogx", PASSWORD)
    string = f"host=127.0.0.1 port={postgres.port} dbname=ogx user=ogx password='{PASSWORD}'"
    where = {"type": "postgres", "connectionString": secret("pg", "url")}
    found = generate_on("ogx", storage={"kv": where, "sql": where})
    assert found.storage_secret is not None
    values = connection.derive(found.storage_secret, {("pg", "url"): string})
    env = on_volume(bed, folder, **values)

    async with LlamaServer(bed, find("ogx"), str(found.config_yaml), env) as server:
        await server.post("/v1/conversations", {})

    tables = postgres.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", "ogx")
    assert re.search(
        r"^llsd_[0-9a-f]{8}_openai_conversations$|^openai_conversations$", tables, re.M
    )
