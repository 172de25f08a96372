# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Every field of v1alpha1 with the values that it is edited to.

Nearly all rows are those of v1alpha2, as v1alpha1 says them; the rest is what only v1alpha1 can
say. Of each spec there is the v1alpha2 form that a fresh resource is made with.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from api import GROUP, KIND, OLD_VERSION, VERSION
from api.conversion import convert, hidden_paths
from tests.support.edits.row import VLLM, Json, Row, merged, secret
from tests.support.edits.table import ROWS

_LEAST: Final[Json] = {
    "server": {"distribution": {"name": "starter"}, "providers": {"inference": VLLM}}
}


def _server(**server: object) -> Json:
    return merged(_LEAST, {"server": server})


def _env(*variables: Json) -> Json:
    return _server(containerSpec={"env": list(variables)})


def _provider(**fields: object) -> Json:
    provider = {"id": "a", "provider": "vllm", **fields}
    bare = {"distribution": {"name": "starter"}, "providers": {"inference": provider}}
    return {"server": bare}


def _vector_io(**fields: object) -> Json:
    return _server(
        providers={
            "vectorIo": {
                "provider": "pgvector",
                "config": {"db": "vectors", "user": "u"},
                **fields,
            }
        }
    )


def _own_rows() -> Iterator[Row]:
    """What only v1alpha1 can say, or says in its own way."""
    yield Row("server.port", _LEAST, _server(port=9000), _server(port=9001))
    yield Row(
        "server.port beside that of the container",
        _server(port=9000),
        _server(port=9000, containerSpec={"port": 9001}),
        _server(port=9000, containerSpec={"port": 9002}),
    )
    url = "http://vllm.example:8000/v1"
    yield Row(
        "config",
        _provider(endpoint=url),
        _provider(endpoint=url, config={"max_tokens": 1}),
        _provider(endpoint=url, config={"max_tokens": 2}),
    )
    key = {"apiKey": secret("creds", "token")}
    bedrock = {"provider": "bedrock", **key}
    yield Row(
        "region",
        _provider(endpoint=url),
        _provider(**bedrock, region="us-east-1"),
        _provider(**bedrock, region="eu-central-1"),
    )
    azure = {"provider": "azure", "endpoint": "https://a.example/openai", **key}
    yield Row(
        "deploymentName",
        _provider(endpoint=url),
        _provider(**azure, deploymentName="one"),
        _provider(**azure, deploymentName="two"),
    )
    yield Row(
        "a variable that is there twice",
        _LEAST,
        _env({"name": "A", "value": "1"}, {"name": "A", "value": "2"}),
        _env({"name": "A", "value": "2"}, {"name": "A", "value": "3"}),
    )
    yield Row(
        "a state backend without a volume",
        _LEAST,
        _server(storage={"type": "sqlite"}),
        _server(storage={"type": "postgres", "connectionString": secret("db", "url")}),
    )
    postgres = {"type": "postgres"}
    yield Row(
        "storage.connectionString",
        _server(storage={"type": "sqlite"}),
        _server(storage={**postgres, "connectionString": secret("db", "url")}),
        _server(storage={**postgres, "connectionString": secret("other-db", "uri")}),
    )
    yield Row(
        "host",
        _vector_io(config={"host": "db.example"}),
        _vector_io(host=secret("creds", "host")),
        _vector_io(host=secret("more", "address")),
    )
    yield Row(
        "telemetry",
        _LEAST,
        _server(providers={"telemetry": {"provider": "otel", "endpoint": "http://a.example:4318"}}),
        _server(providers={"telemetry": {"provider": "otel", "endpoint": "http://b.example:4318"}}),
    )
    yield Row(
        "metadata.embeddingDimension",
        _server(resources={"models": [{"name": "e5"}]}),
        _server(resources={"models": [{"name": "e5", "metadata": {"embeddingDimension": 384}}]}),
        _server(resources={"models": [{"name": "e5", "metadata": {"embeddingDimension": 768}}]}),
    )
    yield Row(
        "names that are empty",
        _LEAST,
        _server(
            containerSpec={"name": "", "port": 0},
            podOverrides={"serviceAccountName": ""},
            userConfig={"configMapName": ""},
        ),
        _server(containerSpec={"name": "other"}, podOverrides={"serviceAccountName": "mine"}),
    )
    yield Row("network", _LEAST, {**_LEAST, "network": {}}, merged(_LEAST, _EXPOSED))


_EXPOSED: Final[Json] = {"network": {"exposeRoute": True, "allowedFrom": {"namespaces": ["nsA"]}}}


def _object(version: str, spec: Json) -> Json:
    return {
        "apiVersion": f"{GROUP}/{version}",
        "kind": KIND,
        "metadata": {"name": "demo"},
        "spec": spec,
    }


def hub_of(spec: Json) -> Json:
    """The spec of v1alpha2 that a spec of v1alpha1 stands for."""
    hub: Json = convert(_object(OLD_VERSION, spec), VERSION)["spec"]
    return hub


def _converted() -> Iterator[Row]:
    """The rows of v1alpha2 that v1alpha1 can say."""
    for row in ROWS:
        views = [
            convert(_object(VERSION, spec), OLD_VERSION)
            for spec in (row.absent, row.first, row.second)
        ]
        if not any(map(hidden_paths, views)):
            yield Row(row.name, *(view["spec"] for view in views))


OLD_ROWS: Final = (*_converted(), *_own_rows())

OLD_EXEMPT: Final[dict[str, str]] = {
    "spec.server": "required",
    "spec.server.distribution": "required",
    "spec.server.providers.memory": "no release of the server has that API",
    "spec.server.tlsConfig.caBundle.configMapNamespace": "refused unless the operator allows it",
    "spec.server.userConfig.configMapNamespace": "refused unless the operator allows it",
}
"""Fields without a row, and why."""

OLD_ONE_VALUE: Final[dict[str, str]] = {
    "spec.server.containerSpec.env[].valueFrom.fieldRef.apiVersion": "there is only v1",
    "spec.server.containerSpec.env[].valueFrom.resourceFieldRef.containerName": (
        "there is only one container"
    ),
}
"""Fields that are set and removed, and cannot be changed, and why."""
