# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Every field of the spec with the values that it is edited to.

A field without a row fails ``tests/unit/support/test_edits_table.py``. What a row needs
besides the field, because the field alone would be refused, is its context.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tests.support.edits.row import MINIMAL, VLLM, Json, Row, merged, row, secret
from tests.support.edits.table_pods import POD_ROWS

_OLD: Final[Json] = {"distribution": {"name": "meta-reference-gpu"}}
_IMAGES: Final = ("registry.example/stack:1", "registry.example/stack:2")
_KEPT: Final[Json] = {"id": "kept", **VLLM}
_EDITED: Final[Json] = {"id": "edited", "provider": "openai"}


def _distribution() -> Iterator[Row]:
    bare: Json = {"distribution": {"name": "starter"}}
    yield Row(
        "distribution.name",
        {"distribution": {"image": _IMAGES[0]}},
        bare,
        {"distribution": {"name": "postgres-demo"}},
    )
    yield Row(
        "distribution.image",
        bare,
        {"distribution": {"image": _IMAGES[0]}},
        {"distribution": {"image": _IMAGES[1]}},
    )
    url = {"name": "VLLM_URL", "value": "http://vllm.example:8000/v1"}
    with_url = {"workload": {"overrides": {"env": [url]}}}
    yield Row(
        "distribution.name with a base of its own",
        merged(MINIMAL, with_url),
        merged(MINIMAL, {"distribution": {"name": "remote-vllm"}, **with_url}),
        merged(bare, with_url),
    )


def _inference(name: str, first: Json, second: Json, absent: Json | None = None) -> Row:
    """A row for a field of a provider, which has one beside it that stays."""

    def spec(*providers: Json) -> Json:
        return merged(MINIMAL, {"providers": {"inference": [_KEPT, *providers]}})

    return Row(
        f"providers.*[].{name}", spec(*([absent] if absent else [])), spec(first), spec(second)
    )


def _providers() -> Iterator[Row]:
    yield _inference("id", {**_EDITED, "id": "a"}, {**_EDITED, "id": "b"})
    alone: Json = {"provider": "openai", "apiKey": secret("creds", "token")}
    yield Row(
        "providers.*[].id of the only one",
        merged(MINIMAL, {"providers": {"inference": [alone]}}),
        merged(MINIMAL, {"providers": {"inference": [{**alone, "id": "a"}]}}),
        merged(MINIMAL, {"providers": {"inference": [{**alone, "id": "b"}]}}),
    )
    yield _inference("provider", _EDITED, {**_EDITED, "provider": "anthropic"})
    remote = {"id": "edited", "provider": "openai"}
    yield _inference(
        "endpoint",
        {**remote, "endpoint": "http://a.example/v1"},
        {**remote, "endpoint": "http://b.example/v1"},
        remote,
    )
    yield _inference(
        "apiKey",
        {**remote, "apiKey": secret("creds", "token")},
        {**remote, "apiKey": secret("creds", "other")},
        remote,
    )
    yield _inference(
        "apiKey of another Secret",
        {**remote, "apiKey": secret("creds", "token")},
        {**remote, "apiKey": secret("more-creds", "token")},
        remote,
    )
    yield _inference(
        "settings",
        {**remote, "settings": {"allowed_models": ["a"]}},
        {**remote, "settings": {"allowed_models": ["b"], "refresh_models": True}},
        remote,
    )
    cloud = {"id": "edited", "provider": "bedrock", "settings": {"region": "eu-central-1"}}
    field = "aws_access_key_id"
    other = "aws_secret_access_key"
    yield _inference(
        "secretRefs",
        {**cloud, "secretRefs": {field: secret("creds", "token"), other: secret("creds", "token")}},
        {
            **cloud,
            "secretRefs": {field: secret("more-creds", "other"), other: secret("creds", "token")},
        },
        cloud,
    )
    # One object or a list is the same; an empty list leaves the section as the base has it.
    bare: Json = {"distribution": {"name": "starter"}, "disabled": ["eval"]}
    yield row("providers.inference", VLLM, [_KEPT, _EDITED], base=bare)
    for section, (first, second) in _SECTIONS.items():
        yield row(f"providers.{section}", first, second, **_NEEDS.get(section, {}))
    yield row(
        "providers.postTraining",
        {"provider": "torchtune-cpu"},
        {"provider": "torchtune-gpu"},
        base=_OLD,
    )


_SECTIONS: Final[dict[str, tuple[Any, Any]]] = {
    "safety": ({"provider": "code-scanner"}, {"provider": "llama-guard"}),
    "vectorIo": (
        {"provider": "faiss"},
        [{"id": "a", "provider": "sqlite-vec"}, {"id": "b", "provider": "faiss"}],
    ),
    "toolRuntime": (
        {"provider": "tavily-search", "apiKey": secret("creds", "token")},
        [{"provider": "model-context-protocol"}],
    ),
    "telemetry": (
        {"provider": "otel", "endpoint": "http://a.example:4318"},
        {
            "provider": "otel",
            "endpoint": "http://b.example:4318",
            "settings": {"service_name": "stack"},
            "secretRefs": {"headers": secret("creds", "token")},
        },
    ),
    "agents": ({"provider": "builtin"}, {"id": "mine", "provider": "builtin"}),
    "datasetIo": ({"provider": "localfs"}, {"provider": "huggingface"}),
    "scoring": ({"provider": "basic"}, {"provider": "llm-as-judge"}),
    "eval": ({"provider": "builtin"}, {"id": "mine", "provider": "builtin"}),
    "files": (
        {"provider": "localfs"},
        {"provider": "s3", "settings": {"bucket_name": "files", "region": "eu-central-1"}},
    ),
    "batches": ({"provider": "reference"}, {"id": "mine", "provider": "reference"}),
}
_NEEDS: Final[dict[str, Json]] = {}


def _resources() -> Iterator[Row]:
    model = {"name": "llama", "provider": "vllm"}

    def models(first: Any, second: Any, absent: Any, name: str) -> Row:
        specs = [
            merged(MINIMAL, {"resources": {"models": value}} if value else {})
            for value in (absent, first, second)
        ]
        return Row(f"resources.models{name}", *specs)

    yield models(["llama"], ["llama", "mistral"], None, "")
    yield models([{"name": "llama"}], [{"name": "mistral"}], None, "[].name")
    two = merged(MINIMAL, {"providers": {"inference": [_KEPT, {**_EDITED, "id": "more"}]}})
    yield Row(
        "resources.models[].provider",
        merged(two, {"resources": {"models": [{"name": "llama"}]}}),
        merged(two, {"resources": {"models": [{"name": "llama", "provider": "more"}]}}),
        merged(two, {"resources": {"models": [{"name": "llama", "provider": "kept"}]}}),
    )
    for field, (first, second) in {
        "contextLength": (4096, 8192),
        "quantization": ("fp8", "int4"),
        "modelType": ("llm", "rerank"),
    }.items():
        yield models([{**model, field: first}], [{**model, field: second}], [model], f"[].{field}")
    embedding = {**model, "modelType": "embedding"}
    yield models(
        [{**embedding, "embeddingDimension": 384}],
        [{**embedding, "embeddingDimension": 768}],
        [model],
        "[].embeddingDimension",
    )
    yield row("resources.tools", ["builtin::websearch"], ["builtin::websearch", "mcp::own"])
    yield row(
        "resources.shields",
        ["llama-guard"],
        ["code-scanner", "llama-guard"],
        providers={"safety": {"provider": "llama-guard"}},
    )
    yield row("disabled", ["eval"], ["eval", "datasetIo"])


def _storage() -> Iterator[Row]:
    redis: Json = {"kv": {"type": "redis", "endpoint": "redis://redis:6379"}}
    yield row("storage", {"kv": {}}, redis)
    yield row("storage.kv", {"type": "sqlite"}, redis["kv"])
    yield row(
        "storage.kv.type",
        "redis",
        "sqlite",
        storage={"kv": {"endpoint": "redis://redis:6379"}},
    )
    yield row(
        "storage.kv.endpoint",
        "redis://a:6379",
        "redis://b:6380",
        base=merged(MINIMAL, {"storage": {"kv": {"type": "sqlite"}}}),
        storage={"kv": {"type": "sqlite"}},
    )
    yield Row(
        "storage.kv.endpoint of redis",
        merged(MINIMAL, {"storage": {"kv": {}}}),
        merged(MINIMAL, {"storage": {"kv": {"type": "redis", "endpoint": "redis://a:6379"}}}),
        merged(MINIMAL, {"storage": {"kv": {"type": "redis", "endpoint": "redis://b:6380"}}}),
    )
    yield row(
        "storage.kv.password",
        secret("databases", "redis"),
        secret("more-databases", "redis-too"),
        storage=redis,
    )
    for store in ("kv", "sql"):
        yield row(f"storage.{store}", {}, {"type": "sqlite"}, name=f"storage.{store} of sqlite")
        yield Row(
            f"storage.{store}.connectionString",
            MINIMAL,
            merged(MINIMAL, {"storage": {store: _postgres("databases", "url")}}),
            merged(MINIMAL, {"storage": {store: _postgres("more-databases", "url-too")}}),
        )
    yield Row(
        "storage.sql.type",
        merged(MINIMAL, {"storage": {"sql": {}}}),
        merged(MINIMAL, {"storage": {"sql": {"type": "sqlite"}}}),
        merged(MINIMAL, {"storage": {"sql": _postgres("databases", "url")}}),
    )


def _postgres(name: str, key: str) -> Json:
    return {"type": "postgres", "connectionString": secret(name, key)}


def _networking() -> Iterator[Row]:
    yield row("networking", {"port": 9000}, {"port": 9000, "expose": True})
    yield row("networking.port", 9000, 9001)
    tls = {"enabled": True, "secretName": "cert"}
    yield row("networking.tls", tls, {**tls, "secretName": "more-cert"})
    yield row("networking.tls.enabled", True, False, networking={"tls": {"secretName": "cert"}})
    bundle: Json = {"configMapName": "ca"}
    yield row("networking.tls.caBundle", bundle, {"configMapName": "more-ca"})
    yield row(
        "networking.tls.caBundle.configMapKeys",
        ["ca-bundle.crt"],
        ["ca-bundle.crt", "more.crt"],
        networking={"tls": {"caBundle": bundle}},
    )
    yield row("networking.expose", True, False)
    yield row(
        "networking.expose.enabled", True, False, networking={"expose": {"hostname": "a.example"}}
    )
    for field, (first, second) in {
        "hostname": ("a.example", "b.example"),
        "ingressClassName": ("nginx", "traefik"),
        "annotations": ({"a.example/x": "1", "a.example/y": "1"}, {"a.example/x": "2"}),
        "tlsSecretName": ("cert", "more-cert"),
    }.items():
        yield row(f"networking.expose.{field}", first, second, networking={"expose": {}})
    yield row("networking.allowedFrom", {}, {"namespaces": ["*"]})
    for field, (first, second) in {
        "namespaces": (["team-a"], ["team-a", "team-b"]),
        "labels": (["team"], ["example.com/team"]),
    }.items():
        yield row(f"networking.allowedFrom.{field}", first, second, networking={"allowedFrom": {}})


def _external() -> Iterator[Row]:
    def external(number: int, **more: Any) -> Json:
        return {
            "providerId": f"external-{number}",
            "image": f"registry.example/provider:{number}",
            **more,
        }

    for section in (
        "inference", "safety", "agents", "vectorIo", "datasetIo", "scoring", "eval", "toolRuntime",
    ):  # fmt: skip
        yield row(
            f"externalProviders.{section}", [external(1)], [external(2)], externalProviders={}
        )
    yield row(  # of no era since 0.7
        "externalProviders.postTraining",
        [external(1)],
        [external(2)],
        base={**MINIMAL, "distribution": {"name": "meta-reference-gpu"}},
        externalProviders={},
    )
    both = [external(1), external(2)]
    yield row(
        "externalProviders.inference",
        both,
        both[::-1],
        name="externalProviders.inference in another order",
        externalProviders={},
    )
    for field, (first, second) in {
        "resources.requests": ({"cpu": "1"}, {"memory": "1Gi"}),
        "resources.limits": ({"memory": "1Gi"}, {"memory": "4Gi", "cpu": "2"}),
        "sizeLimit": ("4Gi", "8Gi"),
    }.items():
        installed = {"inference": [external(1)]}
        yield row(f"externalProviders.install.{field}", first, second, externalProviders=installed)
    yield row("externalProviders", {}, {"inference": [external(1)]})
    for field, (first, second) in {
        "imagePullPolicy": ("Always", "Never"),
        "config": ({"a": 1}, {"a": 2, "b": {"c": True}}),
    }.items():
        specs = [
            merged(MINIMAL, {"externalProviders": {"inference": [external(1, **more)]}})
            for more in ({}, {field: first}, {field: second})
        ]
        yield Row(f"externalProviders.*[].{field}", *specs)


def _override() -> Iterator[Row]:
    bare: Json = {"distribution": {"name": "starter"}}
    mine: Json = {"configMapName": "override"}
    yield row("overrideConfig", mine, {"configMapName": "more-override"}, base=bare)
    yield Row(
        "overrideConfig instead of providers",
        MINIMAL,
        {**bare, "overrideConfig": mine},
        {"distribution": {"image": _IMAGES[0]}, "overrideConfig": mine},
    )


ROWS: Final = (
    *_distribution(), *_providers(), *_resources(), *_storage(), *_networking(), *POD_ROWS,
    *_external(), *_override(),
)  # fmt: skip
"""All of them."""


EXEMPT: Final[dict[str, str]] = {
    "spec.distribution": "required",
    "spec.providers.memory": "no release of the server has that API",
    "spec.networking.tls.caBundle.configMapNamespace": "refused unless the operator allows it",
    "spec.overrideConfig.configMapNamespace": "refused unless the operator allows it",
    "spec.workload.overrides.readinessProbe.terminationGracePeriodSeconds": (
        "refused by Kubernetes"
    ),
}
"""Fields without a row, and why."""

ONE_VALUE: Final[dict[str, str]] = {
    "spec.workload.overrides.env[].valueFrom.fieldRef.apiVersion": "there is only v1",
    "spec.workload.overrides.env[].valueFrom.resourceFieldRef.containerName": (
        "there is only one container"
    ),
    "spec.workload.overrides.startupProbe.successThreshold": "must be 1, says Kubernetes",
    "spec.workload.overrides.livenessProbe.successThreshold": "must be 1, says Kubernetes",
}
"""Fields that can be set and removed, but not changed, and why."""
