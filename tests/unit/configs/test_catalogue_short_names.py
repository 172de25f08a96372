# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Every short name that users are promised, with what it takes on the newest server.

Written by hand from what was seen with real servers, so that a rule of the catalogue's maker that
goes wrong is a failure here, and not just another line of a generated file.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from api.v1alpha2 import Section
from configs import eras
from configs.catalogue import UnknownProvider, embedded
from configs.eras import ERAS, Era

ALL = "0.4 0.5-0.6 0.7 ogx"
STACK = "0.4 0.5-0.6 0.7"
LATER = "0.5-0.6 0.7 ogx"


class Row(NamedTuple):
    """A short name; all but ``having`` is of 0.7.

    Attributes:
        section: of the spec.
        short: what users write.
        name: the type that it means; its prefix says whether users gave an endpoint or credential.
        endpoint: the key that takes the endpoint.
        secret: the key that takes the credential.
        required: keys that it cannot be without.
        having: the eras that have it.
    """

    section: Section
    short: str
    name: str
    endpoint: str | None
    secret: str | None
    required: str
    having: str


TABLE = [
    Row("inference", "vllm", "remote::vllm", "base_url", "api_token", "base_url", ALL),
    Row("inference", "ollama", "remote::ollama", "base_url", None, "", ALL),
    Row("inference", "openai", "remote::openai", "base_url", "api_key", "", ALL),
    Row("inference", "anthropic", "remote::anthropic", None, "api_key", "", ALL),
    Row("inference", "bedrock", "remote::bedrock", None, "api_key", "", ALL),
    Row("inference", "azure", "remote::azure", "base_url", "api_key", "", ALL),
    Row("inference", "gemini", "remote::gemini", None, "api_key", "", ALL),
    Row("inference", "together", "remote::together", "base_url", "api_key", "", ALL),
    Row("inference", "fireworks", "remote::fireworks", "base_url", "api_key", "", ALL),
    Row("inference", "groq", "remote::groq", "base_url", "api_key", "", ALL),
    Row("inference", "nvidia", "remote::nvidia", "base_url", "api_key", "", ALL),
    Row("safety", "nvidia", "remote::nvidia", "guardrails_service_url", None, "", STACK),
    Row("eval", "nvidia", "remote::nvidia", "evaluator_url", None, "", STACK),
    Row("datasetIo", "nvidia", "remote::nvidia", "datasets_url", "api_key", "", STACK),
    Row("inference", "watsonx", "remote::watsonx", "base_url", "api_key", "project_id", ALL),
    Row("inference", "sentence-transformers", "inline::sentence-transformers", None, None, "", ALL),
    Row("safety", "bedrock", "remote::bedrock", None, None, "", STACK),
    Row("safety", "llama-guard", "inline::llama-guard", None, None, "", STACK),
    Row("safety", "prompt-guard", "inline::prompt-guard", None, None, "", STACK),
    Row("safety", "code-scanner", "inline::code-scanner", None, None, "", STACK),
    Row("vectorIo", "pgvector", "remote::pgvector", "host", "password", "host", ALL),
    Row("vectorIo", "chromadb", "remote::chromadb", "url", None, "persistence url", ALL),
    Row("vectorIo", "chromadb", "inline::chromadb", None, None, "db_path persistence", ALL),
    Row("vectorIo", "milvus", "remote::milvus", "uri", "token", "persistence token uri", ALL),
    Row("vectorIo", "milvus", "inline::milvus", None, None, "db_path persistence", ALL),
    Row("vectorIo", "qdrant", "remote::qdrant", "url", "api_key", "persistence", ALL),
    Row("vectorIo", "qdrant", "inline::qdrant", None, None, "path persistence", ALL),
    Row("vectorIo", "weaviate", "remote::weaviate", "weaviate_cluster_url", "weaviate_api_key", "",
     ALL),
    Row("vectorIo", "elasticsearch", "remote::elasticsearch", "elasticsearch_url",
     "elasticsearch_api_key", "", LATER),
    Row("vectorIo", "faiss", "inline::faiss", None, None, "persistence", ALL),
    Row("vectorIo", "sqlite-vec", "inline::sqlite-vec", None, None, "db_path persistence", ALL),
    Row("toolRuntime", "rag-runtime", "inline::file-search", None, None, "", ALL),
    Row("toolRuntime", "brave-search", "remote::brave-search", None, "api_key", "", ALL),
    Row("toolRuntime", "tavily-search", "remote::tavily-search", None, "api_key", "", ALL),
    Row("toolRuntime", "model-context-protocol", "remote::model-context-protocol", None, None, "",
     ALL),
    Row("agents", "meta-reference", "inline::builtin", None, None, "persistence", ALL),
    Row("files", "localfs", "inline::localfs", None, None, "metadata_store storage_dir", ALL),
    Row("datasetIo", "localfs", "inline::localfs", None, None, "kvstore", STACK),
    Row("files", "s3", "remote::s3", "endpoint_url", None, "bucket_name metadata_store", ALL),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.section}-{row.name}")
def test_a_short_name_takes_what_users_were_told_in_every_era_that_has_it(row: Row) -> None:
    connected = row.name.startswith("remote::")

    api = eras.api_of(row.section, "0.7") or ""
    kind = embedded().find("0.7", api, row.short, connected=connected)

    assert (kind.name, kind.endpoint, kind.secret) == (row.name, row.endpoint, row.secret)
    assert kind.required == tuple(row.required.split())
    having = [era for era in ERAS if _has(era, row.section, row.short, connected)]
    assert having == row.having.split()


def _has(era: Era, section: Section, short: str, connected: bool) -> bool:
    """Whether the name leads to a type of the same kind, inside the server or a service."""
    try:
        kind = embedded().find(era, eras.api_of(section, era) or "", short, connected=connected)
    except UnknownProvider:
        return False
    return kind.is_remote == connected


def test_tgi_ended_with_0_6() -> None:
    kind = embedded().find("0.5-0.6", "inference", "tgi", connected=True)

    assert (kind.endpoint, kind.secret, kind.required) == ("base_url", None, ("base_url",))
    having = [era for era in ERAS if _has(era, "inference", "tgi", True)]
    assert having == ["0.4", "0.5-0.6"]


def test_what_becomes_of_keys_that_a_provider_does_not_know() -> None:
    found = {
        (era, api, kind.name): kind.unknown_keys
        for era in ERAS
        for api in ("inference", "safety", "vector_io")
        for kind in embedded().types(era, api).values()
        if kind.unknown_keys != "ignored"
    }

    milvus = {(era, "vector_io", "remote::milvus"): "kept" for era in ERAS}
    passthrough = {(era, "safety", "remote::passthrough"): "refused" for era in ("0.5-0.6", "0.7")}
    assert found == milvus | passthrough


def test_a_key_that_not_every_release_of_an_era_knows_says_so() -> None:
    vertexai = embedded().find("0.5-0.6", "inference", "vertexai", connected=True)

    assert vertexai.only == (("access_token", ("0.6.1",)),)
    assert embedded().find("0.7", "inference", "vertexai", connected=True).only == ()


def test_a_required_key_for_which_null_will_do_and_a_deprecated_type_are_marked() -> None:
    milvus = embedded().find("0.7", "vector_io", "milvus", connected=True)
    old_name = embedded().find("0.7", "vector_io", "inline::sqlite_vec", connected=False)

    assert milvus.nullable == ("token",)
    assert "`inline::sqlite-vec`" in old_name.deprecated
    assert not embedded().find("0.7", "vector_io", "sqlite-vec", connected=False).deprecated
