# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Cases of everything but providers: distributions, storage, resources, disabled APIs, server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final
from urllib.parse import quote

from hack.servers.endpoint import DIMENSION
from hack.servers.releases import RELEASES, Release
from tests.support.matrix.case import Capabilities, Case, Json, Probe
from tests.support.matrix.drive import NAME, NAMESPACE
from tests.support.matrix.probes import (
    EMBEDDING,
    MODEL,
    absent,
    chat,
    conversation,
    in_postgres,
    in_redis,
    metrics_arrived,
    shield,
    tables_in_postgres,
    tools,
    vector_store,
)

PROVIDER: Final = "vllm"
PASSWORD: Final = "p@ss/w:rd %41#?"  # of PostgreSQL: what a URL has to encode
SECRET: Final = "storage"

_DISTRIBUTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "0.4": ("meta-reference-gpu",),
    "0.7": ("starter", "remote-vllm", "postgres-demo"),
}
"""Era → distributions that are bound to it."""

_OLDER: Final = ("0.4", "0.5-0.6")


def cases(release: Release) -> Iterator[Case]:
    """All cases of one release."""
    yield from _distributions(release)
    yield from _storage(release)
    yield from _resources(release)
    yield from _disabled(release)
    yield from _server(release)


def _spec(**sections: Json) -> Callable[[Capabilities], Json]:
    """A provider that answers, one model, and what the case is about."""

    def spec(around: Capabilities) -> Json:
        return {
            "providers": {"inference": _inference(around)},
            "resources": {"models": [MODEL]},
            **sections,
        }

    return spec


def _inference(around: Capabilities) -> Json:
    return {"id": PROVIDER, "provider": "vllm", "endpoint": around.endpoint.url}


# --- distributions --------------------------------------------------------------------------------


def _distributions(release: Release) -> Iterator[Case]:
    for name in _DISTRIBUTIONS.get(release.era, ()):
        yield Case(
            "distributions",
            name,
            release,
            _on_postgres if name == "postgres-demo" else _spec(),
            probes=(chat(PROVIDER), conversation),
            distribution=name,
        )


def _on_postgres(around: Capabilities) -> Json:
    """A spec for the distribution that wants a PostgreSQL in its variables."""
    around.services.postgres.database(around.database, around.database, "plain-password")
    variables = {
        "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PORT": str(around.services.postgres.port),
        "POSTGRES_DB": around.database,
        "POSTGRES_USER": around.database,
        "POSTGRES_PASSWORD": "plain-password",
    }
    env = [{"name": name, "value": value} for name, value in variables.items()]
    return {**_spec()(around), "workload": {"overrides": {"env": env}}}


# --- storage --------------------------------------------------------------------------------------


_HANGING = ("0.4.7", "0.5.4")
"""Versions whose connections to PostgreSQL belong to an event loop that has ended, some of them:
a conversation is kept, or the request waits for ever. https://github.com/ogx-ai/ogx/pull/5130"""


def _storage(release: Release) -> Iterator[Case]:
    for kv in ("sqlite", "redis", "redis with a password", "postgres"):
        for sql in ("sqlite", "postgres"):
            yield Case(
                "storage",
                f"kv {kv}, sql {sql}",
                release,
                _stored(kv, sql),
                probes=(chat(PROVIDER), *_seen_in(kv, sql, release)),
                secrets=_storage_secrets,
            )


def _stored(kv: str, sql: str) -> Callable[[Capabilities], Json]:
    def spec(around: Capabilities) -> Json:
        if "postgres" in {kv, sql}:
            around.services.postgres.database(around.database, around.database, PASSWORD)
        storage = {"kv": _key_value(kv, around), "sql": {"type": sql}}
        if sql == "postgres":
            storage["sql"]["connectionString"] = _secret("url")
        return {**_spec()(around), "storage": storage}

    return spec


def _key_value(kind: str, around: Capabilities) -> Json:
    services = around.services
    match kind:
        case "redis":
            return {"type": "redis", "endpoint": f"redis://{services.redis.host}"}
        case "redis with a password":
            endpoint = f"redis://{services.locked_redis.host}"
            return {"type": "redis", "endpoint": endpoint, "password": _secret("password")}
        case "postgres":
            return {"type": "postgres", "connectionString": _secret("url")}
        case _:
            return {"type": "sqlite"}


def _secret(key: str) -> Json:
    return {"secretKeyRef": {"name": SECRET, "key": key}}


def _storage_secrets(around: Capabilities) -> Mapping[tuple[str, str], str]:
    user, password = around.database, quote(PASSWORD, safe="")
    address = around.services.postgres.host
    return {
        (SECRET, "url"): f"postgresql://{user}:{password}@{address}/{user}",
        (SECRET, "password"): around.services.locked_redis.password,
    }


def _seen_in(kv: str, sql: str, release: Release) -> Iterator[Probe]:
    hanging = sql == "postgres" and release.version in _HANGING
    if not hanging:
        yield conversation
    if kv == "redis":
        yield in_redis(lambda services: services.redis, f"{NAMESPACE}/{NAME}/")
    if kv == "redis with a password":
        yield in_redis(lambda services: services.locked_redis, f"{NAMESPACE}/{NAME}/")
    if kv == "postgres":
        yield in_postgres("llamastack_kvstore", "registry")
    if hanging:
        yield tables_in_postgres("openai_conversations", "inference_store")
    elif sql == "postgres":
        yield in_postgres("conversation_items", "remember me")
        yield in_postgres("inference_store", "hello")


# --- resources ------------------------------------------------------------------------------------


def _resources(release: Release) -> Iterator[Case]:
    guard = {"name": "fake/llama-guard", "provider": PROVIDER, "modelType": "llm"}
    embedding = {"name": EMBEDDING, "provider": PROVIDER, "embeddingDimension": DIMENSION}
    described = {"name": MODEL, "provider": PROVIDER, "contextLength": 8192, "quantization": "fp8"}
    rows: list[tuple[str, Json, tuple[Probe, ...]]] = [
        ("a model by name", {"models": [MODEL]}, (chat(PROVIDER),)),
        ("a model with metadata", {"models": [described]}, (chat(PROVIDER),)),
        (
            "an embedding model",
            {"models": [MODEL, embedding]},
            (vector_store("faiss", embedder=PROVIDER),),
        ),
    ]
    if release.era != "ogx":
        rows.append(
            (
                "a shield",
                {"models": [MODEL, guard], "shields": ["fake/llama-guard"]},
                (shield("fake/llama-guard", f"{PROVIDER}/fake/llama-guard"),),
            )
        )
    groups = {"builtin::websearch", "builtin::rag"} if release.era in _OLDER else set()
    listed = (tools(groups),) if release.era != "ogx" else ()  # it has no list of tools
    named = {"models": [MODEL], "tools": ["websearch", "file_search"]}
    rows.append(("tools", named, listed))
    for name, resources, probes in rows:
        yield Case("resources", name, release, _spec(resources=resources), probes)


# --- the rest -------------------------------------------------------------------------------------


def _disabled(release: Release) -> Iterator[Case]:
    agents = "agents" if release.era in _OLDER else "responses"
    yield Case(
        "disabled",
        "agents, toolRuntime",
        release,
        _spec(disabled=["agents", "toolRuntime"]),  # type: ignore[arg-type]
        (absent(agents, "tool_runtime"), chat(PROVIDER)),
    )
    if release.era == "0.7":
        everything = ["agents", "batches", "datasetIo", "eval", "files", "safety", "scoring"]
        yield Case(
            "disabled",
            "all but inference, on starter",
            release,
            _spec(disabled=[*everything, "toolRuntime", "vectorIo"]),  # type: ignore[arg-type]
            (absent("responses", "safety", "vector_io", "tool_runtime"), chat(PROVIDER)),
            distribution="starter",
        )


def _server(release: Release) -> Iterator[Case]:
    secure = {"tls": {"enabled": True, "secretName": "certificate"}}
    yield Case("server", "TLS", release, _spec(networking=secure), (chat(PROVIDER),), tls=True)
    if release.era != "0.4":  # there a worker that takes 5 s to start is killed and started again
        spec = _spec(workload={"workers": 2})
        yield Case("server", "two workers", release, spec, (chat(PROVIDER),))
    # Before 0.7 only the traces of an instrumented process are sent, and the image does that.
    arrived = (metrics_arrived,) if release.era == "0.7" else ()
    yield Case("server", "telemetry", release, _telemetry, (chat(PROVIDER), *arrived))


def _telemetry(around: Capabilities) -> Json:
    spec = _spec()(around)
    spec["providers"]["telemetry"] = {
        "provider": "opentelemetry",
        "endpoint": around.endpoint.at(""),
    }
    # Not the minute that is the default.
    often = [{"name": "OTEL_METRIC_EXPORT_INTERVAL", "value": "300"}]
    return {**spec, "workload": {"overrides": {"env": often}}}


def everything() -> Iterator[Case]:
    """The cases of all releases."""
    for release in RELEASES:
        yield from cases(release)
