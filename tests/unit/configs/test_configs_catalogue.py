# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The catalogue, and the names in it."""

from __future__ import annotations

import pytest

from configs import eras
from configs.catalogue import UnknownProvider, embedded
from configs.eras import Era

# API, short name, connected: type in 0.5-0.6, type in 0.7. None: refused.
TYPES: list[tuple[str, str, bool, str | None, str | None]] = [
    ("inference", "vllm", True, "remote::vllm", "remote::vllm"),
    ("inference", "ollama", True, "remote::ollama", "remote::ollama"),
    ("inference", "openai", True, "remote::openai", "remote::openai"),
    ("inference", "anthropic", True, "remote::anthropic", "remote::anthropic"),
    ("inference", "bedrock", True, "remote::bedrock", "remote::bedrock"),
    ("inference", "azure", True, "remote::azure", "remote::azure"),
    ("inference", "gemini", True, "remote::gemini", "remote::gemini"),
    ("inference", "together", True, "remote::together", "remote::together"),
    ("inference", "fireworks", True, "remote::fireworks", "remote::fireworks"),
    ("inference", "groq", True, "remote::groq", "remote::groq"),
    ("inference", "nvidia", True, "remote::nvidia", "remote::nvidia"),
    ("inference", "watsonx", True, "remote::watsonx", "remote::watsonx"),
    ("inference", "tgi", True, "remote::tgi", None),
    ("inference", "sentence-transformers", False, "inline::sentence-transformers",
     "inline::sentence-transformers"),
    ("safety", "llama-guard", False, "inline::llama-guard", "inline::llama-guard"),
    ("safety", "prompt-guard", False, "inline::prompt-guard", "inline::prompt-guard"),
    ("safety", "code-scanner", False, "inline::code-scanner", "inline::code-scanner"),
    ("safety", "bedrock", True, "remote::bedrock", "remote::bedrock"),
    ("vector_io", "pgvector", True, "remote::pgvector", "remote::pgvector"),
    ("vector_io", "chromadb", True, "remote::chromadb", "remote::chromadb"),
    ("vector_io", "chromadb", False, "inline::chromadb", "inline::chromadb"),
    ("vector_io", "milvus", True, "remote::milvus", "remote::milvus"),
    ("vector_io", "milvus", False, "inline::milvus", "inline::milvus"),
    ("vector_io", "qdrant", True, "remote::qdrant", "remote::qdrant"),
    ("vector_io", "weaviate", True, "remote::weaviate", "remote::weaviate"),
    ("vector_io", "elasticsearch", True, "remote::elasticsearch", "remote::elasticsearch"),
    ("vector_io", "faiss", False, "inline::faiss", "inline::faiss"),
    ("vector_io", "sqlite-vec", False, "inline::sqlite-vec", "inline::sqlite-vec"),
    ("vector_io", "sqlite_vec", False, "inline::sqlite-vec", "inline::sqlite-vec"),
    ("tool_runtime", "rag-runtime", False, "inline::rag-runtime", "inline::file-search"),
    ("tool_runtime", "file-search", False, "inline::rag-runtime", "inline::file-search"),
    ("tool_runtime", "brave-search", True, "remote::brave-search", "remote::brave-search"),
    ("tool_runtime", "tavily-search", True, "remote::tavily-search", "remote::tavily-search"),
    ("tool_runtime", "model-context-protocol", False, "remote::model-context-protocol",
     "remote::model-context-protocol"),
    ("agents", "meta-reference", False, "inline::meta-reference", None),
    ("responses", "meta-reference", False, None, "inline::builtin"),
    ("files", "localfs", False, "inline::localfs", "inline::localfs"),
    ("files", "s3", True, "remote::s3", "remote::s3"),
    ("eval", "meta-reference", False, "inline::meta-reference", "inline::builtin"),
]  # fmt: skip


def _found(era: Era, api: str, name: str, connected: bool) -> str | None:
    try:
        return embedded().find(era, api, name, connected=connected).name
    except UnknownProvider:
        return None


@pytest.mark.parametrize(("api", "name", "connected", "old", "new"), TYPES)
def test_short_names_mean_the_type_of_their_era(
    api: str, name: str, connected: bool, old: str | None, new: str | None
) -> None:
    expected: dict[Era, str | None] = {"0.5-0.6": old, "0.7": new}

    found = {era: _found(era, api, name, connected) for era in expected}

    assert found == expected


@pytest.mark.parametrize(
    ("era", "api", "name", "endpoint", "secret"),
    [
        ("0.7", "inference", "vllm", "base_url", "api_token"),
        ("0.7", "inference", "ollama", "base_url", None),
        ("0.7", "inference", "anthropic", None, "api_key"),
        ("0.7", "vector_io", "weaviate", "weaviate_cluster_url", "weaviate_api_key"),
        ("0.7", "safety", "bedrock", None, None),
        ("ogx", "inference", "bedrock", None, "aws_bedrock_bearer_token"),
    ],
)
def test_keys_for_endpoint_and_secret(
    era: Era, api: str, name: str, endpoint: str | None, secret: str | None
) -> None:
    kind = embedded().find(era, api, name, connected=True)

    assert (kind.endpoint, kind.secret) == (endpoint, secret)


def test_dependencies_are_known_in_every_era_and_name_its_apis() -> None:
    assert embedded().find("0.7", "responses", "builtin", connected=False).needs == (
        "files", "inference", "tool_runtime", "vector_io"
    )  # fmt: skip
    assert "agents" in embedded().find("0.5-0.6", "eval", "builtin", connected=False).needs
    for era in eras.ERAS:
        assert embedded().find(era, "vector_io", "faiss", connected=False).needs == ("inference",)


def test_a_type_that_only_some_releases_of_an_era_have_says_so() -> None:
    pypdf = embedded().find("0.5-0.6", "file_processors", "pypdf", connected=False)

    assert pypdf.releases == ("0.6.1",)
    assert not embedded().find("0.5-0.6", "inference", "vllm", connected=True).releases


def test_an_unknown_name_lists_the_known_suggests_the_nearest_and_explains_full_types() -> None:
    with pytest.raises(UnknownProvider) as caught:
        embedded().find("0.7", "inference", "vlm", connected=True)

    assert caught.value.message == 'unknown provider "vlm" for the API inference of server 0.7'
    assert "known: anthropic, azure, bedrock," in caught.value.hint
    assert 'did you mean "vllm"?' in caught.value.hint
    assert "remote::example" in caught.value.hint


def test_what_an_era_lost_comes_with_a_way_out() -> None:
    with pytest.raises(UnknownProvider, match="OpenAI API"):
        embedded().find("0.7", "inference", "tgi", connected=True)


def test_a_full_type_is_passed_on_and_its_facts_are_used_where_known() -> None:
    assert embedded().find("0.7", "inference", "remote::vllm", connected=False).known
    assert not embedded().find("0.7", "inference", "remote::mine", connected=False).known


def test_every_section_of_the_spec_has_types_where_the_era_has_the_api() -> None:
    for era in eras.ERAS:
        for section in eras.sections_of(era):
            api = eras.api_of(section, era)
            assert api is not None
            assert embedded().types(era, api), f"{era} {section}"
            assert eras.section_of(api, era) == section
