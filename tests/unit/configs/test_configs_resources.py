# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Models, shields and tools; what disabling takes along; defaults that lost their provider."""

from __future__ import annotations

from typing import Any

import pytest

from api.v1alpha2 import ConfigSource, Reason
from configs import engine
from configs.base import BaseConfig, read_base
from configs.distributions import Resolved
from configs.engine import Generated
from configs.errors import ConfigError
from tests.support.config_specs import (
    DISTRIBUTIONS,
    config,
    errors,
    generate,
    refused,
    spec_of,
    warnings,
)

INFERENCE = [
    {"id": "one", "provider": "vllm", "endpoint": "http://one:8000"},
    {"id": "two", "provider": "openai"},
]

OLD = """
version: 2
image_name: old
apis: [agents, inference, files, safety, tool_runtime, vector_io]
providers:
  inference:
  - {provider_id: "${env.VLLM_URL:+vllm}", provider_type: "remote::vllm", config: {}}
  - {provider_id: st, provider_type: "inline::sentence-transformers"}
  vector_io: [{provider_id: faiss, provider_type: "inline::faiss"}]
  files: [{provider_id: files, provider_type: "inline::localfs"}]
  safety: [{provider_id: lg, provider_type: "inline::llama-guard"}]
  tool_runtime:
  - {provider_id: web, provider_type: "remote::tavily-search"}
  - {provider_id: rag, provider_type: "inline::rag-runtime"}
  agents: [{provider_id: mr, provider_type: "inline::meta-reference"}]
registered_resources:
  tool_groups: [{toolgroup_id: "builtin::websearch", provider_id: gone}]
"""


class _Fixed:
    """A resolver with one base."""

    def __init__(self, text: str, era: Any) -> None:
        self._base = read_base(text, source=ConfigSource.OCI_LABEL, era=era)

    def base_of(self, resolved: Resolved) -> BaseConfig | None:
        """The base."""
        return self._base


def on_old(text: str = OLD, era: str = "0.5-0.6", **sections: Any) -> Generated:
    """What a base of an earlier era and a spec come to."""
    return engine.generate(
        "demo", "ns", spec_of(sections), distributions=DISTRIBUTIONS, bases=_Fixed(text, era)
    )


def resources(**sections: Any) -> dict[str, Any]:
    """The registered resources of a spec."""
    found: dict[str, Any] = config(**sections)["registered_resources"]
    return found


def test_a_name_goes_to_the_first_provider_and_an_object_to_the_one_it_names() -> None:
    sections: dict[str, Any] = {
        "providers": {"inference": INFERENCE},
        "resources": {
            "models": [
                "llama",
                {"name": "gpt", "provider": "two", "contextLength": 8192, "quantization": "fp8"},
                {"name": "emb", "embeddingDimension": 768},
            ]
        },
    }

    assert resources(**sections)["models"] == [
        {"model_id": "llama", "provider_id": "one", "model_type": "llm"},
        {"model_id": "gpt", "provider_id": "two", "model_type": "llm",
         "metadata": {"context_length": 8192, "quantization": "fp8"}},
        {"model_id": "emb", "provider_id": "one", "model_type": "embedding",
         "metadata": {"embedding_dimension": 768}},
    ]  # fmt: skip
    found = generate(**sections)
    assert found.models == ("one/emb", "one/llama", "two/gpt")
    assert found.resource_count == 3


def test_without_providers_of_the_user_the_first_of_the_base_that_is_on_is_taken() -> None:
    models = ["m", {"name": "e", "modelType": "embedding", "embeddingDimension": 8}]
    sections: dict[str, Any] = {"resources": {"models": models}}
    env = {"overrides": {"env": [{"name": "VLLM_URL", "value": "http://v/v1"}]}}

    assert {m["provider_id"] for m in resources(**sections)["models"]} == {"openai"}
    assert {m["provider_id"] for m in resources(**sections, workload=env)["models"]} == {"vllm"}


def test_an_empty_variable_switches_nothing_on() -> None:
    env = {"overrides": {"env": [{"name": "VLLM_URL", "value": ""}]}}

    found = resources(resources={"models": ["m"]}, workload=env)

    assert found["models"][0]["provider_id"] == "openai"


def test_a_provider_that_is_not_there_is_answered_with_those_that_are() -> None:
    error = refused(
        providers={"inference": INFERENCE}, resources={"models": [{"name": "m", "provider": "x"}]}
    )

    assert error.reason is Reason.MISSING_PROVIDER_FOR_RESOURCE
    assert str(error) == (
        'spec.resources.models[0].provider: there is no inference provider "x" '
        "(available: one, two)"
    )


def test_a_provider_of_the_base_that_is_off_is_answered_with_its_variable() -> None:
    found = errors(resources={"models": [{"name": "m", "provider": "ollama"}]})

    assert "OLLAMA_URL" in found["spec.resources.models[0].provider"]


def test_an_external_provider_can_serve_a_model() -> None:
    found = generate(
        resources={"models": [{"name": "m", "provider": "mine"}]},
        externalProviders={"inference": [{"providerId": "mine", "image": "example.com/p:1"}]},
    )

    assert "mine/m" in found.models


def test_a_language_model_does_not_go_to_a_provider_of_embeddings() -> None:
    with pytest.raises(ConfigError) as caught:
        on_old(resources={"models": ["m"]})

    assert caught.value.reason is Reason.MISSING_PROVIDER_FOR_RESOURCE
    assert str(caught.value) == (
        "spec.resources.models: resources.models requires at least one inference provider to be "
        "configured"
    )
    assert on_old(resources={"models": [{"name": "e", "embeddingDimension": 8}]}).models == (
        "st/e",
    )


def test_an_embedding_model_needs_its_dimension_and_no_model_comes_twice() -> None:
    found = errors(
        providers={"inference": INFERENCE},
        resources={
            "models": [
                {"name": "e", "modelType": "embedding"}, "m", {"name": "m", "provider": "one"}
            ]
        },
    )  # fmt: skip

    assert list(found) == [
        "spec.resources.models[0].embeddingDimension", "spec.resources.models[2]"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shield", "models", "expected"),
    [
        ("one/guard-3", [], "one/guard-3"),
        ("guard-3", ["m", "guard-3"], "one/guard-3"),
        ("llama-guard", ["m", "Llama-Guard-3-8B"], "one/Llama-Guard-3-8B"),
        ("llama-guard", ["guard-a", "guard-b"], None),
        ("llama-guard", ["m"], None),
    ],
)
def test_a_shield_of_llama_guard_finds_its_model(
    shield: str, models: list[str], expected: str | None
) -> None:
    sections: dict[str, Any] = {
        "providers": {"inference": INFERENCE},
        "resources": {"shields": [shield], "models": models},
    }

    (found,) = (s for s in resources(**sections)["shields"] if s["shield_id"] == shield)

    assert found.get("provider_shield_id") == expected
    assert ("spec.resources.shields[0]" in warnings(**sections)) == (expected is None)


def test_a_shield_that_the_base_has_on_is_left_to_it() -> None:
    env = {"overrides": {"env": [{"name": "SAFETY_MODEL", "value": "vllm/guard"}]}}

    found = resources(resources={"shields": ["llama-guard"]}, workload=env)["shields"]

    assert found[0]["provider_shield_id"] == "${env.SAFETY_MODEL:=}"
    assert len(found) == 2


@pytest.mark.parametrize(
    ("kind", "section", "message"),
    [
        ("tools", "toolRuntime",
         "resources.tools requires at least one toolRuntime provider to be configured"),
        ("shields", "safety",
         "resources.shields requires at least one safety provider to be configured"),
    ],
)  # fmt: skip
def test_resources_without_a_provider_are_refused_in_the_words_of_the_requirements(
    kind: str, section: str, message: str
) -> None:
    error = refused(resources={kind: ["x"]}, disabled=[section, "agents"])

    assert error.reason is Reason.MISSING_PROVIDER_FOR_RESOURCE
    assert [(e.path, e.message) for e in error.errors] == [(f"spec.resources.{kind}", message)]


def test_tool_groups_are_not_written_for_0_7_but_their_provider_must_be_there() -> None:
    found = resources(resources={"tools": ["websearch", "builtin::file_search", "mcp::x", "rag"]})
    missing = errors(
        resources={"tools": ["websearch", "wolfram_alpha"]},
        providers={"toolRuntime": {"provider": "brave-search"}},
    )

    assert "tool_groups" not in found
    assert list(missing) == ["spec.resources.tools[1]"]
    assert "configure wolfram-alpha" in missing["spec.resources.tools[1]"]


def test_a_tool_that_no_0_7_server_makes_is_warned_of() -> None:
    found = warnings(resources={"tools": ["mine::tool"]})

    assert "registers no other" in found["spec.resources.tools[0]"]


def test_tool_groups_are_written_up_to_0_6() -> None:
    text = on_old(resources={"tools": ["websearch", "rag", "mine::x"]}).config_yaml

    assert text is not None
    assert (
        "  tool_groups:\n"
        '  - provider_id: web\n    toolgroup_id: builtin::websearch\n'
        "  - provider_id: rag\n    toolgroup_id: builtin::rag\n"
        "  - provider_id: web\n    toolgroup_id: mine::x\n"
    ) in text  # fmt: skip


def test_disabling_takes_out_the_api_and_what_of_the_base_needs_it() -> None:
    found = config(disabled=["vectorIo"])

    assert "vector_io" not in {*found["apis"], *found["providers"]}
    assert "responses" not in {*found["apis"], *found["providers"]}  # needs vector_io
    assert "file-search" not in str(found["providers"]["tool_runtime"])
    assert "vector_stores" not in found or "default_provider_id" not in found["vector_stores"]
    assert "goes, too" in str(warnings(disabled=["vectorIo"]))


def test_disabling_what_is_not_there_is_a_warning() -> None:
    found = warnings(disabled=["memory", "safety"])

    assert list(found) == ["spec.disabled[0]"]


def test_a_users_provider_that_needs_a_disabled_api_is_refused() -> None:
    found = errors(providers={"agents": {"provider": "meta-reference"}}, disabled=["files"])

    assert "needs the API files, which is disabled" in found["spec.providers.agents"]


def test_what_a_users_provider_needs_and_the_base_lacks_is_filled_in_or_refused() -> None:
    bare = "version: 2\ndistro_name: x\napis: [inference]\nproviders: {inference: [" \
           "{provider_id: o, provider_type: 'remote::openai'}]}"  # fmt: skip
    rag = {"toolRuntime": {"provider": "rag-runtime"}}

    filled = on_old(bare, "0.7", providers=rag).config_yaml
    with pytest.raises(ConfigError) as caught:
        on_old(bare.replace("inference: [", "scoring: ["), "0.7", providers=rag)

    assert filled is not None
    assert "inline::faiss" in filled
    assert "inline::localfs" in filled
    assert "apis:\n- inference\n- tool_runtime\n- files\n- vector_io\n" in filled
    assert "needs the API inference, which has no provider" in str(caught.value)


def test_a_default_embedding_model_that_lost_its_provider_is_replaced_or_warned_of() -> None:
    spec: dict[str, Any] = {"providers": {"inference": INFERENCE}}
    models = {"models": [{"name": "e", "provider": "two", "embeddingDimension": 8}]}

    assert config(**spec)["vector_stores"] == {"default_provider_id": "faiss"}
    assert "default embedding model" in warnings(**spec)["spec.providers.inference"]
    assert config(**spec, resources=models)["vector_stores"]["default_embedding_model"] == {
        "provider_id": "two", "model_id": "e"
    }  # fmt: skip
    assert not warnings(**spec, resources=models)


def test_what_refers_to_a_replaced_provider_goes_with_it() -> None:
    found = config(
        providers={"safety": {"provider": "prompt-guard"}, "vectorIo": {"provider": "sqlite-vec"}}
    )

    assert "shields" not in found.get("registered_resources", {})
    assert "default_provider_id" not in found["vector_stores"]
