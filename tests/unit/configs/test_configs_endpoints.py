# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Endpoints: the form that each provider wants, in every era, and what no provider can take."""

from __future__ import annotations

from typing import Any

import pytest

from configs import endpoints
from configs.catalogue import embedded
from configs.endpoints import EndpointError
from configs.eras import ERAS, Era
from tests.support.config_specs import errors, generate, secret, warnings


def expanded(name: str, endpoint: str, *, api: str = "inference", era: Era = "0.7") -> Any:
    """The config keys for an endpoint."""
    kind = embedded().find(era, api, name, connected=True)
    return endpoints.expand(kind, endpoint, api=api)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("name", ["vllm", "ollama", "tgi", "llama-cpp-server", "nvidia"])
def test_v1_is_added_to_a_bare_address_in_every_era_that_has_the_provider(
    era: Era, name: str
) -> None:
    if name not in embedded().short_names(era, "inference"):
        return
    for endpoint in ("http://h:8000", "http://h:8000/", "http://h:8000//", "http://h:8000/v1/"):
        assert expanded(name, endpoint, era=era) == {"base_url": "http://h:8000/v1"}
    assert expanded(name, "http://h/team/", era=era) == {"base_url": "http://h/team"}


@pytest.mark.parametrize(
    ("name", "endpoint", "expected"),
    [
        # The provider appends its path itself, so there it must not be.
        ("passthrough", "https://h/v1", "https://h"),
        ("passthrough", "https://h/team/v1/", "https://h/team"),
        ("passthrough", "https://h", "https://h"),
        ("watsonx", "https://us-south.ml.cloud.ibm.com/ml/v1", "https://us-south.ml.cloud.ibm.com"),
        ("watsonx", "https://us-south.ml.cloud.ibm.com/", "https://us-south.ml.cloud.ibm.com"),
        ("azure", "https://x.openai.azure.com", "https://x.openai.azure.com/openai/v1"),
        ("azure", "https://x.openai.azure.com/openai/v1/", "https://x.openai.azure.com/openai/v1"),
        ("azure", "https://gateway.example", "https://gateway.example"),
        ("databricks", "https://w.example", "https://w.example/serving-endpoints"),
        ("openai", "https://proxy.example/", "https://proxy.example"),
        ("openai", "https://h/v1?a=b/", "https://h/v1?a=b/"),
        ("vllm", "HTTP://H:8000", "HTTP://H:8000/v1"),
        ("vllm", "http://[::1]:8000", "http://[::1]:8000/v1"),
        ("vllm", "http://${env.HOST}:${env.PORT}", "http://${env.HOST}:${env.PORT}/v1"),
        ("vllm", "http://${env.HOST:=vllm}:80/v1/", "http://${env.HOST:=vllm}:80/v1"),
        ("vllm", "${env.URL}/v1", "${env.URL}/v1"),
    ],
)
def test_paths_of_inference_endpoints(name: str, endpoint: str, expected: str) -> None:
    assert expanded(name, endpoint) == {"base_url": expected}


@pytest.mark.parametrize(
    ("api", "name", "endpoint", "expected"),
    [
        ("safety", "passthrough", "https://h/v1", {"base_url": "https://h/v1"}),
        ("safety", "nvidia", "http://h:7331/", {"guardrails_service_url": "http://h:7331"}),
        ("safety", "sambanova", "http://h/v1/", {"url": "http://h/v1"}),
        ("files", "s3", "http://minio:9000/", {"endpoint_url": "http://minio:9000"}),
        ("vector_io", "milvus", "tcp://m:19530", {"uri": "tcp://m:19530"}),
        ("vector_io", "chromadb", "http://c:8000/", {"url": "http://c:8000"}),
        ("vector_io", "elasticsearch", "http://e:9200", {"elasticsearch_url": "http://e:9200"}),
        ("vector_io", "weaviate", "http://localhost",
         {"weaviate_cluster_url": "localhost:8080"}),
        ("vector_io", "weaviate", "http://${env.H}:80/", {"weaviate_cluster_url": "${env.H}:80"}),
        ("vector_io", "weaviate", "https://w.cloud:443",
         {"weaviate_cluster_url": "w.cloud"}),
        ("vector_io", "pgvector", "postgres://pg/", {"host": "pg"}),
        ("vector_io", "pgvector", "postgresql://a%40b@[::1]:1/x%2Dy",
         {"host": "::1", "port": 1, "db": "x-y", "user": "a@b"}),
    ],
)  # fmt: skip
def test_other_endpoints(api: str, name: str, endpoint: str, expected: dict[str, Any]) -> None:
    assert expanded(name, endpoint, api=api) == expected


@pytest.mark.parametrize(
    ("api", "name", "endpoint", "message"),
    [
        ("inference", "vllm", "ftp://h", "must begin with http:// or https://"),
        ("inference", "vllm", "postgresql://h/d", "must begin with http:// or https://"),
        ("inference", "vllm", "http://h:0/", "is not a URL with a host"),
        ("inference", "vllm", "http://[::1", "is not a URL with a host"),
        ("inference", "vllm", "http:///v1", "is not a URL with a host"),
        ("inference", "vllm", "http://h/v1#part", "has a fragment"),
        ("vector_io", "chromadb", "http://h/api", "more than an address"),
        ("vector_io", "weaviate", "http://u:p@h", "more than an address"),
        ("vector_io", "milvus", "bolt://h", "must begin with"),
        ("vector_io", "pgvector", "http://h/d", "must begin with"),
        ("vector_io", "pgvector", "postgresql://h/d?sslmode=require", "has parameters"),
        ("vector_io", "pgvector", "postgresql://h/d/e", "name of a database"),
        ("vector_io", "pgvector", "postgresql://a,b/d", "one host"),
        ("vector_io", "pgvector", "postgresql://${env.H}/d", "environment reference"),
    ],
)
def test_wrong_forms_are_refused_with_cause_and_remedy(
    api: str, name: str, endpoint: str, message: str
) -> None:
    with pytest.raises(EndpointError) as caught:
        expanded(name, endpoint, api=api)

    assert message in caught.value.message
    assert caught.value.hint
    assert "u:p" not in str(caught.value)


def test_every_provider_with_an_endpoint_takes_a_url_and_keeps_its_host() -> None:
    for era in ERAS:
        for api in ("inference", "safety", "vector_io", "files", "eval", "datasetio"):
            for kind in embedded().types(era, api).values():
                if kind.endpoint is None:
                    continue
                scheme = {"remote::pgvector": "postgresql", "remote::neo4j": "bolt",
                          "remote::oci": "tcps"}.get(kind.name, "https")  # fmt: skip

                found = endpoints.expand(kind, f"{scheme}://some-host:4430", api=api)

                assert "some-host" in str(found[kind.endpoint])
                assert found.keys() <= kind.keys


@pytest.mark.parametrize(
    ("section", "given", "words"),
    [
        ("vectorIo", {"provider": "weaviate", "endpoint": "http://w:8080"}, "https on port 443"),
        ("vectorIo", {"provider": "chromadb", "endpoint": "https://c"}, "plain HTTP"),
        ("inference", {"provider": "ollama"}, "on its own host"),
        ("inference", {"provider": "azure", "settings": {"deploymentName": "d"}}, "every request"),
        ("inference", {"provider": "runpod"}, "no request can be sent"),
    ],
)
def test_an_endpoint_that_starts_and_does_not_work_is_warned_of(
    section: str, given: dict[str, Any], words: str
) -> None:
    found = warnings(providers={section: given})

    assert words in found[f"spec.providers.{section}.endpoint"]


@pytest.mark.parametrize(
    ("section", "given"),
    [
        ("vectorIo", {"provider": "weaviate", "endpoint": "https://w.cloud"}),
        ("vectorIo", {"provider": "weaviate", "endpoint": "http://localhost:8080"}),
        ("inference", {"provider": "ollama", "settings": {"base_url": "http://o/v1"}}),
        ("inference", {"provider": "runpod", "secretRefs": {"base_url": secret()}}),
    ],
)
def test_an_endpoint_that_is_there_is_not_warned_of(section: str, given: dict[str, Any]) -> None:
    assert f"spec.providers.{section}.endpoint" not in warnings(providers={section: given})


def test_pgvector_without_a_host_would_look_on_its_own_host_and_die() -> None:
    found = errors(providers={"vectorIo": {"provider": "pgvector", "apiKey": secret()}})

    assert "is required" in found["spec.providers.vectorIo.endpoint"]
    for given in ({"settings": {"host": "pg"}}, {"secretRefs": {"host": secret()}}):
        wanted = {"provider": "pgvector", **given}
        assert generate(providers={"vectorIo": wanted}).source == "generated"


def test_a_reference_is_no_password() -> None:
    assert endpoints.has_password("http://u:p@h")
    assert not endpoints.has_password("http://u:${env.PW}@h")
    assert not endpoints.has_password("http://h")
    assert not endpoints.has_password("http://[")
