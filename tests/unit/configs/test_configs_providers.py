# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Provider expansion: endpoints, secrets, settings, structure."""

from __future__ import annotations

from typing import Any

import pytest

from configs import engine
from configs.secrets import EnvFromSecret, EnvValue
from tests.support.config_specs import (
    DISTRIBUTIONS,
    config,
    errors,
    generate,
    secret,
    spec_of,
    warnings,
)

VLLM = {"provider": "vllm", "endpoint": "http://vllm:8000/v1"}

S3 = {"provider": "s3", "settings": {"bucket_name": "b"}}


def provider(api: str = "inference", **sections: Any) -> dict[str, Any]:
    """The config of the only provider of an API."""
    (entry,) = config(**sections)["providers"][api]
    found: dict[str, Any] = entry["config"]
    return found


def test_ten_words_become_an_entry() -> None:
    spec = {"providers": {"inference": {**VLLM, "apiKey": secret()}}}

    assert config(**spec)["providers"]["inference"] == [
        {
            "provider_id": "vllm",
            "provider_type": "remote::vllm",
            "config": {
                "base_url": "http://vllm:8000/v1",
                "api_token": "${env.LLSD_VLLM_API_KEY}",
                "refresh_models": True,
            },
        }
    ]
    assert generate(**spec).env == (
        EnvFromSecret(
            "LLSD_VLLM_API_KEY", "creds", "token", "spec.providers.inference.apiKey.secretKeyRef"
        ),
    )


def test_a_list_keeps_its_order_and_replaces_the_whole_api_of_the_base() -> None:
    found = config(
        providers={"inference": [{**VLLM, "id": "b"}, {"id": "a", "provider": "openai"}]}
    )

    assert [entry["provider_id"] for entry in found["providers"]["inference"]] == ["b", "a"]
    assert len(found["providers"]["tool_runtime"]) > 1


@pytest.mark.parametrize(
    ("name", "endpoint", "expected"),
    [
        ("vllm", "http://vllm:8000", {"base_url": "http://vllm:8000/v1"}),
        ("vllm", "http://vllm:8000/", {"base_url": "http://vllm:8000/v1"}),
        ("vllm", "https://h/team/v1", {"base_url": "https://h/team/v1"}),
        ("vllm", "${env.MY_URL}", {"base_url": "${env.MY_URL}"}),
        ("ollama", "http://[::1]:11434", {"base_url": "http://[::1]:11434/v1"}),
        ("openai", "https://proxy.example", {"base_url": "https://proxy.example"}),
    ],
)
def test_inference_endpoints(name: str, endpoint: str, expected: dict[str, str]) -> None:
    env = {"overrides": {"env": [{"name": "MY_URL", "value": "http://x/v1"}]}}

    found = provider(
        providers={"inference": {"provider": name, "endpoint": endpoint}}, workload=env
    )

    assert expected.items() <= found.items()


@pytest.mark.parametrize(
    ("name", "endpoint", "expected"),
    [
        ("pgvector", "postgresql://me@pg:6543/vec",
         {"host": "pg", "port": 6543, "db": "vec", "user": "me"}),
        ("pgvector", "tcp://pg", {"host": "pg"}),
        ("weaviate", "http://weaviate:8080", {"weaviate_cluster_url": "weaviate:8080"}),
        ("chromadb", "http://chroma:8000", {"url": "http://chroma:8000"}),
        ("qdrant", "http://qdrant:6333", {"url": "http://qdrant:6333"}),
    ],
)  # fmt: skip
def test_vector_store_endpoints(name: str, endpoint: str, expected: dict[str, Any]) -> None:
    found = provider("vector_io", providers={"vectorIo": {"provider": name, "endpoint": endpoint}})

    assert {**expected, "persistence": {
        "backend": "kv_default", "namespace": f"vector_io::{name}"}} == found  # fmt: skip


@pytest.mark.parametrize(
    ("section", "given", "field", "words"),
    [
        ("inference", {"provider": "vllm"}, "endpoint", "is required"),
        ("inference", {**VLLM, "endpoint": "http://:80"}, "endpoint", "not a URL with a host"),
        ("inference", {**VLLM, "endpoint": "http://h:99999"}, "endpoint", "not a URL with a host"),
        ("inference", {"provider": "anthropic", "endpoint": "http://h"}, "endpoint", "is fixed"),
        ("inference", {"provider": "vlm"}, "provider", 'did you mean "vllm"'),
        ("inference", {"provider": "other::vllm"}, "provider", "starts with remote::"),
        ("inference", {"provider": "remote::mine", "endpoint": "http://h"}, "endpoint", "settings"),
        ("inference", {"provider": "ollama", "apiKey": secret()}, "apiKey", "is not taken"),
        ("inference", {"provider": "remote::mine", "apiKey": secret()}, "apiKey", "secretRefs"),
        ("inference", {"provider": "vertexai"}, "settings.project", "is required"),
        ("vectorIo", {"provider": "faiss", "endpoint": "http://h"}, "endpoint", "runs inside"),
        ("vectorIo", {"provider": "remote::chromadb"}, "endpoint", "is required"),
        ("vectorIo", {"provider": "pgvector", "endpoint": "pg://u:p@h"}, "endpoint", "password"),
        ("vectorIo", {"provider": "pgvector", "endpoint": "${env.X}"}, "endpoint", "settings"),
        ("files", {**S3, "apiKey": secret()}, "apiKey", "aws_secret_access_key"),
        ("files", {"provider": "s3"}, "settings.bucket_name", "is required"),
        ("toolRuntime", {"provider": "brave-search", "endpoint": "http://h"}, "endpoint", "fixed"),
    ],
)
def test_what_a_provider_cannot_take_or_lacks_is_an_error_at_the_field(
    section: str, given: dict[str, Any], field: str, words: str
) -> None:
    found = errors(providers={section: given})

    assert list(found) == [f"spec.providers.{section}.{field}"]
    assert words in found[f"spec.providers.{section}.{field}"]


@pytest.mark.parametrize("section", ["memory", "postTraining"])
def test_an_api_that_the_era_lacks_is_refused_naming_what_there_is(section: str) -> None:
    found = errors(providers={section: {"provider": "x"}})

    assert "no such API" in found[f"spec.providers.{section}"]
    assert "vectorIo" in found[f"spec.providers.{section}"]


def test_all_errors_come_at_once() -> None:
    found = errors(
        providers={
            "inference": [{"id": "a", "provider": "vllm"}, {"id": "b", "provider": "nope"}],
            "memory": {"provider": "x"},
        },
        networking={"port": 80},
    )

    assert list(found) == [
        "spec.providers.inference[0].endpoint",
        "spec.providers.inference[1].provider",
        "spec.providers.memory",
        "spec.networking.port",
    ]


def test_settings_win_over_structure_and_explicit_fields_over_settings() -> None:
    found = provider(
        "vector_io",
        providers={
            "vectorIo": {
                "provider": "qdrant",
                "endpoint": "http://new",
                "apiKey": secret(),
                "settings": {
                    "url": "http://old",
                    "api_key": "old",
                    "persistence": {"backend": "kv_default", "namespace": "mine"},
                },
            }
        },
    )

    assert found == {
        "url": "http://new",
        "api_key": "${env.LLSD_QDRANT_API_KEY}",
        "persistence": {"backend": "kv_default", "namespace": "mine"},
    }


def test_secret_refs_go_under_their_own_names_and_dots_lead_inwards() -> None:
    found = provider(
        providers={
            "inference": {
                **VLLM,
                "id": "v.1",
                "settings": {"network": {"timeout": 5}},
                "secretRefs": {"network.proxy.url": secret("p", "url")},
            }
        }
    )

    assert found["network"] == {
        "timeout": 5, "proxy": {"url": "${env.LLSD_V_1_NETWORK_PROXY_URL}"}
    }  # fmt: skip


def test_a_dotted_secret_cannot_go_into_a_scalar() -> None:
    found = errors(
        providers={
            "inference": {
                **VLLM, "settings": {"network": 1}, "secretRefs": {"network.x": secret()}
            }
        }
    )  # fmt: skip

    assert "not an object" in found["spec.providers.inference.secretRefs.network.x.secretKeyRef"]


@pytest.mark.parametrize("field", ["network.", "network..x"])
def test_a_dot_has_a_name_on_each_side(field: str) -> None:
    found = errors(providers={"inference": {**VLLM, "secretRefs": {field: secret()}}})

    path = f"spec.providers.inference.secretRefs.{field}.secretKeyRef"
    assert "each side" in found[path]


def test_two_secrets_of_one_variable_name_both_paths() -> None:
    found = errors(
        providers={
            "inference": [
                {**VLLM, "id": "a-b", "apiKey": secret("one")},
                {**VLLM, "id": "a.b", "apiKey": secret("two")},
            ]
        }
    )

    path = "spec.providers.inference[1].apiKey.secretKeyRef"
    assert "LLSD_A_B_API_KEY" in found[path]
    assert "spec.providers.inference[0].apiKey" in found[path]


def test_bedrock_and_azure_fields_reach_the_server_in_its_spelling() -> None:
    spec: dict[str, Any] = {
        "providers": {
            "inference": [
                {"id": "b", "provider": "bedrock", "settings": {"region": "eu-1"}},
                {"id": "a", "provider": "azure", "endpoint": "https://h/openai/v1",
                 "settings": {"deploymentName": "gpt"}},
            ],
            "safety": {
                "id": "guard", "provider": "bedrock", "settings": {"region": "eu-1"},
                "secretRefs": {
                    "aws_access_key_id": secret("a"), "aws_secret_access_key": secret("b")
                },
            },
        }
    }  # fmt: skip

    found = config(**spec)

    bedrock, azure = (entry["config"] for entry in found["providers"]["inference"])
    assert bedrock == {"region_name": "eu-1"}
    assert azure == {"base_url": "https://h/openai/v1"}
    assert generate(**spec).models == ("a/gpt",)
    safety = found["providers"]["safety"][0]["config"]
    assert (safety["region_name"], safety["session_ttl"]) == ("eu-1", None)
    assert warnings(**spec).keys() == {"spec.providers.inference"}


@pytest.mark.parametrize(
    ("section", "name", "key", "expected"),
    [
        ("files", "localfs", "metadata_store",
         {"backend": "sql_default", "table_name": "files_metadata"}),
        ("files", "localfs", "storage_dir",
         "${env.FILES_STORAGE_DIR:=/.llama/distributions/starter/files}"),
        ("vectorIo", "sqlite-vec", "db_path",
         "${env.SQLITE_STORE_DIR:=/.llama/distributions/starter}/sqlite-vec.db"),
        ("batches", "reference", "kvstore", {"backend": "kv_default", "namespace": "batches"}),
        ("datasetIo", "localfs", "kvstore",
         {"backend": "kv_default", "namespace": "datasetio::localfs"}),
        ("agents", "meta-reference", "persistence", {
            "agent_state": {"backend": "kv_default", "namespace": "agents"},
            "responses": {"backend": "sql_default", "table_name": "responses"}}),
    ],
)  # fmt: skip
def test_structural_keys_are_filled_in(section: str, name: str, key: str, expected: Any) -> None:
    api = {"files": "files", "vectorIo": "vector_io", "batches": "batches",
           "datasetIo": "datasetio", "agents": "responses"}[section]  # fmt: skip

    assert provider(api, providers={section: {"provider": name}})[key] == expected


def test_milvus_without_a_token_gets_the_null_that_the_server_asks_for() -> None:
    found = provider(
        "vector_io", providers={"vectorIo": {"provider": "milvus", "endpoint": "http://m:19530"}}
    )

    assert found["token"] is None


def test_settings_that_the_server_would_ignore_are_warned_of() -> None:
    found = warnings(providers={"inference": {**VLLM, "settings": {"max_token": 5}}})

    path = "spec.providers.inference.settings.max_token"
    assert "ignores it" in found[path]
    assert "did you mean max_tokens?" in found[path]


def test_a_password_in_an_endpoint_and_a_foreign_type_are_warned_of() -> None:
    found = warnings(
        providers={
            "inference": [
                {"id": "a", "provider": "vllm", "endpoint": "http://u:secret@h/v1"},
                {"id": "b", "provider": "remote::mine", "settings": {"url": "http://h"}},
            ]
        }
    )

    assert "password" in found["spec.providers.inference[0].endpoint"]
    assert "secret@" not in str(found)
    assert "image brings it" in found["spec.providers.inference[1].provider"]


def test_the_resource_is_not_changed_through_settings() -> None:
    settings = {"network": {"timeout": 5}}
    wanted = {**VLLM, "settings": settings, "secretRefs": {"network.proxy": secret()}}
    spec = spec_of({"providers": {"inference": wanted}})

    engine.generate("n", "ns", spec, distributions=DISTRIBUTIONS)

    assert spec.providers.inference[0].settings == {"network": {"timeout": 5}}


def test_variables_are_sorted_by_name() -> None:
    env = generate(
        providers={
            "inference": [
                {**VLLM, "id": "z", "apiKey": secret()}, {**VLLM, "id": "a", "apiKey": secret()}
            ]
        },
        workload={"storage": {"mountPath": "/data"}},
    ).env  # fmt: skip

    assert [item.name for item in env] == [
        "FILES_STORAGE_DIR", "LLSD_A_API_KEY", "LLSD_Z_API_KEY", "SQLITE_STORE_DIR"
    ]  # fmt: skip
    assert env[-1] == EnvValue(
        "SQLITE_STORE_DIR", "/data/distributions/starter", "spec.workload.storage.mountPath"
    )


def test_two_fields_for_one_key_are_refused() -> None:
    found = errors(
        providers={
            "inference": {
                **VLLM, "apiKey": secret("a"),
                "secretRefs": {"api_token": secret("b"), "base_url": secret("c")},
            }
        }
    )  # fmt: skip

    path = "spec.providers.inference"
    assert found == {
        f"{path}.secretRefs.api_token.secretKeyRef":
            f"and {path}.apiKey.secretKeyRef both say what api_token is (leave one of them out)",
        f"{path}.secretRefs.base_url.secretKeyRef":
            f"and {path}.endpoint both say what base_url is (leave one of them out)",
    }  # fmt: skip


def test_of_two_spellings_in_settings_the_servers_own_wins_in_any_order() -> None:
    both = {"region": "a", "region_name": "b"}
    backwards = dict(reversed(both.items()))

    found = [
        provider(providers={"inference": {"provider": "bedrock", "settings": settings}})
        for settings in (both, backwards)
    ]

    assert found == [{"region_name": "b"}] * 2


def test_one_half_of_a_pair_of_keys_is_refused() -> None:
    half = {**S3, "secretRefs": {"aws_access_key_id": secret()}}

    found = errors(providers={"files": half})

    path = "spec.providers.files.secretRefs.aws_secret_access_key"
    assert found == {path: "is required together with aws_access_key_id ()"}


def test_a_null_is_no_value_for_what_is_required() -> None:
    found = errors(providers={"inference": {"provider": "vllm", "settings": {"base_url": None}}})

    assert "is required" in found["spec.providers.inference.endpoint"]


def test_a_key_that_the_provider_dies_of_is_an_error() -> None:
    wanted = {"provider": "passthrough", "endpoint": "http://h/v1", "settings": {"api_keys": "x"}}

    found = errors(providers={"safety": wanted})

    assert (
        "does not start with it (did you mean api_key?)"
        in (found["spec.providers.safety.settings.api_keys"])
    )


def test_a_misspelt_full_type_is_passed_on_with_a_hint() -> None:
    found = warnings(providers={"inference": {"provider": "remote::vlllm"}})

    assert "did you mean remote::vllm?" in found["spec.providers.inference.provider"]


def test_a_deprecated_type_is_warned_of_in_the_servers_words() -> None:
    found = warnings(providers={"vectorIo": {"provider": "inline::sqlite_vec"}})

    assert "inline::sqlite-vec" in found["spec.providers.vectorIo.provider"]
