# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Plausible values for the keys of provider types, for specs that a test makes up.

The catalogue says which keys a type knows, not what they take. What a key takes is much the same
wherever it comes up, so it is a table by key here; a key that is not in it is never drawn. Left out
on purpose: what the engine fills in (persistence, stores), and what names files of the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st

_NUMBERS = st.integers(1, 1000)
_FLAGS = st.booleans()
_SECONDS = st.integers(1, 600) | st.floats(0.5, 600, allow_nan=False)
# Also what a careless reader of YAML would take for something else.
WORDS = st.sampled_from(
    ["plain", "a b", "no", "null", "0x1f", "1e5", "12:30:00", "~tilde", "- dash", "# hash", "é中",
     "'quoted'", '"double"', "a: b", "{brace}", "[x]", "%percent", "@at", "line\nbreak",
     "tab\there", "trailing ", "true", "5", "2026-01-02", "$HOME", "${other}", "=", "<<", "*a",
     "&a", "!tag"]
)  # fmt: skip
"""Texts without a format of their own."""

_URLS = st.sampled_from(["http://127.0.0.1:9", "https://host.example/base/v1"])
_TEXT_KEYS: Final = (
    "api_version", "aws_role_session_name", "config_id", "database", "dataset_namespace", "db",
    "endpoint_name", "fairness_header_attribute", "huggingface_repo", "key_prefix",
    "oci_compartment_id", "oci_config_profile", "prefix", "profile_name", "project", "project_id",
    "user", "username", "tnsnames_loc", "ewallet_pem_loc", "bucket_name", "dpo_output_dir",
    "location", "chat_template", "device", "output_model_dir", "auth_mechanism",
)  # fmt: skip
_NUMBER_KEYS: Final = (
    "default_chunk_size_tokens", "graph_max_neighbors", "max_concurrent_batches",
    "max_concurrent_requests_per_batch", "max_results", "max_tokens", "top_k", "session_ttl",
    "total_max_attempts", "ttl_secs", "max_retries", "logging_steps", "max_seq_length",
)  # fmt: skip
_FLAG_KEYS: Final = (
    "auto_create_bucket", "clean_text", "extract_metadata", "https", "prefer_grpc",
    "refresh_models", "tls_verify", "trust_remote_code", "use_https", "verify_tls",
    "gradient_checkpointing", "use_reference_model",
)  # fmt: skip
_SECONDS_KEYS: Final = ("connect_timeout", "read_timeout", "command_timeout")

_NETWORK = st.fixed_dictionaries(
    {},
    optional={
        "tls": st.fixed_dictionaries({"verify": _FLAGS}),
        "timeout": st.integers(1, 600) | st.fixed_dictionaries({"connect": _SECONDS}),
        "headers": st.dictionaries(st.sampled_from(["X-One", "X-Two"]), st.just("v"), max_size=2),
        "proxy": st.fixed_dictionaries({"url": _URLS}),
    },
)

SETTINGS: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    **dict.fromkeys(_TEXT_KEYS, WORDS),
    **dict.fromkeys(_NUMBER_KEYS, _NUMBERS),
    **dict.fromkeys(_FLAG_KEYS, _FLAGS),
    **dict.fromkeys(_SECONDS_KEYS, _SECONDS),
    "allowed_models": st.lists(WORDS, max_size=3),
    "excluded_categories": st.just(["S1", "S2"]),
    "grpc_port": st.integers(1, 65535),
    "guard_type": st.sampled_from(["injection", "jailbreak"]),
    "network": _NETWORK,
    "port": st.integers(1, 65535),
    "region": st.sampled_from(["us-east-1", "eu-central-1"]),
    "region_name": st.sampled_from(["us-east-1", "eu-central-1"]),
    "retry_mode": st.sampled_from(["legacy", "standard", "adaptive"]),
    "rerank_model_to_url": st.dictionaries(st.just("nv/rerank"), _URLS, max_size=1),
    "search_depth": st.sampled_from(["lite"]),
    "timeout": st.integers(1, 600),
}
"""Key → what it takes, in every type that has it."""

SECRETS: Final = (
    "api_key", "api_token", "password", "ewallet_password", "user", "host", "port", "project",
    "aws_session_token", "access_token", "db", "url", "base_url", "uri",
)  # fmt: skip
"""Keys that a test keeps in a Secret, where a type knows them."""

ENDPOINTS: Final[Mapping[str, tuple[str, ...]]] = {
    "remote::pgvector": ("postgresql://user@host:5432/db", "postgres://host", "tcp://h:1/d%20b"),
    "remote::milvus": ("http://milvus:19530", "tcp://milvus:19530"),
    "remote::neo4j": ("bolt://neo4j:7687", "neo4j+s://host"),
    "remote::oci": ("tcps://adb.example:1522/x", "tcp://h:1"),
    "remote::weaviate": ("https://weaviate.example", "http://localhost:8080/", "http://w:80"),
    "remote::chromadb": ("http://chroma:8000", "http://chroma:8000/", "https://c.example"),
}
"""Type → endpoints that it takes."""

URLS: Final = (
    "http://host:8000", "http://host:8000/", "https://host.example/v1", "https://h/v1/",
    "http://[::1]:9/v1", "https://h.example/a/b", "http://10.0.0.1:9",
)  # fmt: skip
"""What all others take."""


def made_up(name: str, path: str) -> str:
    """A value of a Secret that the server can use where the reference is.

    Args:
        name: of the variable.
        path: of the field with the reference, e.g. ``spec.…[0].secretRefs.host.secretKeyRef``.
    """
    field = path.removesuffix(".secretKeyRef").rpartition(".")[2]
    if field in {"url", "base_url", "uri", "endpoint"}:
        return "http://secret-host.example:9"
    if field in {"port", "grpc_port", "timeout"}:
        return "5432"
    return f"secret of {name.lower()}"
