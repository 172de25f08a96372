# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""External providers laid over a base: what is replaced, what is kept, what is said."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from configs.external import merge
from configs.external.entries import Entry
from configs.external.failures import Provider, ProviderError
from configs.external.merge import BaseError, ExternalProvider
from configs.external.metadata import Metadata


def external(
    provider_id: str = "custom-vllm",
    api: str = "inference",
    section: str = "inference",
    *,
    index: int = 0,
    config: dict[str, Any] | None = None,
    declared: str | None = None,
    image: str = "example.com/p:v1",
) -> ExternalProvider:
    provider = Provider(provider_id, image, f"install-provider-{provider_id}")
    metadata = Metadata(
        name="n", version="1.0.0", vendor="v", module=f"my_org.{provider_id.replace('-', '_')}",
        provider_type=f"remote::{provider_id}", api=declared or api, wheel="packages/a.whl",
        dependency_wheels=(), warnings=(),
    )  # fmt: skip
    return ExternalProvider(Entry(provider, api, section, index, config), metadata)


def base(*ids: str, **other: Any) -> dict[str, Any]:
    entries = [{"provider_id": each, "provider_type": f"remote::base-{each}"} for each in ids]
    return {"version": 2, "providers": {"inference": entries}, **other}


def ids(merged: merge.Merged, api: str = "inference") -> list[str]:
    return [entry["provider_id"] for entry in merged.config["providers"][api]]


def test_entry_has_type_and_module_of_the_image_and_config_of_the_resource() -> None:
    found = merge.merge(base(), [external(config={"url": "http://a"}), external("b")])

    assert found.config["providers"]["inference"] == [
        {
            "provider_id": "custom-vllm",
            "provider_type": "remote::custom-vllm",
            "module": "my_org.custom_vllm",
            "config": {"url": "http://a"},
        },
        {"provider_id": "b", "provider_type": "remote::b", "module": "my_org.b"},
    ]


def test_external_providers_come_after_the_base_and_override_it() -> None:
    found = merge.merge(base("ollama", "tgi"), [external(), external("ollama")])

    assert ids(found) == ["tgi", "custom-vllm", "ollama"]
    assert found.warnings == (
        "External provider 'ollama' overrides base provider in API 'inference'\n"
        "  Base type: remote::base-ollama\n"
        "  External type: remote::ollama",
    )
    assert found.notes == (
        "Added external provider 'custom-vllm' to API 'inference' "
        "(type: remote::custom-vllm, module: my_org.custom_vllm)",
        "Added external provider 'ollama' to API 'inference' "
        "(type: remote::ollama, module: my_org.ollama)",
    )


def test_override_of_the_users_config_map_is_told_in_its_words() -> None:
    found = merge.merge(base("ollama"), [external("ollama")], "config-map")

    assert found.warnings == (
        "Provider ID 'ollama' in both ConfigMap and externalProviders. Using external provider.",
    )


@pytest.mark.parametrize("written", ["${env.OLLAMA_URL:+ollama}", "${env.NAME:=ollama}", "ollama"])
def test_base_provider_that_a_variable_switches_on_is_overridden(written: str) -> None:
    assert ids(merge.merge(base(written, "${env.X:+o}"), [external("ollama")])) == [
        "${env.X:+o}",
        "ollama",
    ]


def test_same_id_in_another_api_is_another_provider() -> None:
    found = merge.merge(base("meta"), [external("meta", "safety", "safety")])

    assert (ids(found), ids(found, "safety")) == (["meta"], ["meta"])
    assert found.warnings == ()


@pytest.mark.parametrize("section", [None, [], {}])
def test_section_that_is_empty_becomes_a_list(section: Any) -> None:
    found = merge.merge({"providers": {"inference": section}}, [external()])

    assert ids(found) == ["custom-vllm"]


@pytest.mark.parametrize("given", [{}, {"providers": None}, {"providers": {}}])
def test_base_without_providers_gets_them(given: dict[str, Any]) -> None:
    assert ids(merge.merge(given, [external()])) == ["custom-vllm"]


def test_without_a_base_there_is_a_minimal_one() -> None:
    assert merge.merge(None, []).config == {"version": 2, "providers": {}}


def test_everything_else_stays_as_it_is_and_where_it_is() -> None:
    given: dict[str, Any] = {
        "zzz": 1,
        "version": "2",
        "providers": {"safety": [{"provider_id": 1}, "odd"], "inference": [], "files": None},
        "models": [{"model_id": "m", "provider_id": "ollama"}],
        "image_name": "starter",
        "apis": ["inference"],
        "aaa": None,
    }
    before = copy.deepcopy(given)

    found = merge.merge(given, [external()]).config

    assert given == before
    assert list(found) == list(given)
    assert list(found["providers"]) == list(given["providers"])
    for key in given.keys() - {"providers"}:
        assert found[key] == given[key]
    assert found["providers"]["safety"] == [{"provider_id": 1}, "odd"]
    assert found["providers"]["files"] is None


def test_entries_of_the_base_that_are_no_providers_are_kept() -> None:
    odd = ["text", {"provider_id": 7}, {"provider_type": "remote::x"}]

    found = merge.merge({"providers": {"inference": odd}}, [external()])

    assert found.config["providers"]["inference"][:3] == odd


def test_api_that_is_not_served_is_added_once() -> None:
    given = {"apis": ["inference"], "providers": {"eval": []}}
    providers = [external("a", "eval", "eval"), external("b", "eval", "eval"), external("c")]

    found = merge.merge(given, providers)

    assert found.config["apis"] == ["inference", "eval"]
    assert given["apis"] == ["inference"]
    assert "Added API 'eval' to apis list for external provider 'a'" in found.notes
    assert sum("Added API" in note for note in found.notes) == 1
    assert found.warnings == ()


@pytest.mark.parametrize("apis", [[], None])
def test_list_of_apis_that_says_nothing_is_left_alone(apis: Any) -> None:
    assert merge.merge({"apis": apis}, [external()]).config["apis"] == apis
    assert "apis" not in merge.merge({}, [external()]).config


def test_api_that_nothing_of_the_base_knows_is_warned_of() -> None:
    found = merge.merge(base(apis=["inference"]), [external("a", "post_training", "postTraining")])

    assert found.config["apis"] == ["inference", "post_training"]
    assert found.warnings == (
        "API 'post_training' of external provider 'a' is neither in apis nor in providers of the "
        "base config. A server that does not know it does not start.",
    )


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"providers": ["a"]}, "providers must be a mapping"),
        ({"providers": {"inference": {"a": 1}}}, "providers.inference must be a list"),
        ({"apis": "inference"}, "apis must be a list"),
    ],
)
def test_base_of_another_form_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(BaseError) as raised:
        merge.merge(given, [external()])

    assert str(raised.value) == problem


def test_document_of_external_providers_alone() -> None:
    providers = [
        external(config={"url": "u"}),
        external("b"),
        external("my-pg", "vector_io", "vectorIo"),
    ]

    found = merge.extra_providers(providers)

    assert found == {
        "apiVersion": "llamastack.io/v1alpha1",
        "kind": "ExternalProviders",
        "providers": {
            "inference": [
                {
                    "provider_id": "custom-vllm",
                    "provider_type": "remote::custom-vllm",
                    "module": "my_org.custom_vllm",
                    "config": {"url": "u"},
                },
                {"provider_id": "b", "provider_type": "remote::b", "module": "my_org.b"},
            ],
            "vector_io": [
                {
                    "provider_id": "my-pg",
                    "provider_type": "remote::my-pg",
                    "module": "my_org.my_pg",
                }
            ],
        },
    }
    assert list(found) == ["apiVersion", "kind", "providers"]
    assert list(found["providers"]) == ["inference", "vector_io"]
    assert merge.extra_providers([])["providers"] == {}


def test_provider_in_the_section_of_another_api_is_refused() -> None:
    one = external("p", "inference", "inference", declared="vector_io")

    with pytest.raises(ProviderError) as raised:
        merge.check_placement(one.entry, one.metadata)

    assert raised.value.failure.text() == (
        "ERROR: Provider API type mismatch\n\n"
        "Provider 'p' (image: example.com/p:v1)\n"
        "declares api=vector_io in lls-provider-spec.yaml\n"
        "but is placed under externalProviders.inference\n\n"
        "Provider: p\nImage: example.com/p:v1\nInit Container: install-provider-p\n\n"
        "Resolution: Move the provider to externalProviders.vectorIo section in the LLSD spec.\n"
    )


@pytest.mark.parametrize("declared", ["agents", "responses"])
def test_provider_may_call_its_api_by_the_name_of_the_section_or_of_the_server(
    declared: str,
) -> None:
    one = external("p", "responses", "agents", declared=declared)

    merge.check_placement(one.entry, one.metadata)

    assert ids(merge.merge(None, [one]), "responses") == ["p"]


def test_one_id_twice_is_refused_whatever_the_apis() -> None:
    first = external("p", index=1, image="example.com/a:v1").entry
    second = external("p", "vector_io", "vectorIo", image="example.com/b:v1").entry

    merge.check_unique([first, external("q").entry])
    with pytest.raises(ProviderError) as raised:
        merge.check_unique([first, external("q").entry, second])

    assert raised.value.failure.text() == (
        "ERROR: Duplicate provider_id 'p' in externalProviders: found in inference[1] and "
        "vectorIo[0]\n\n"
        "  - externalProviders.inference[1] (image: example.com/a:v1)\n"
        "  - externalProviders.vectorIo[0] (image: example.com/b:v1)\n\n"
        "Provider: p\nImage: example.com/b:v1\nInit Container: install-provider-p\n\n"
        "Resolution: Give each external provider a unique providerId.\n"
    )
