# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""When a server gets a new registry, and what counts as a change."""

from __future__ import annotations

from typing import Any

import pytest

from api.v1alpha2 import ConfigSource
from configs import engine, registry_key, yaml_reader
from configs.base import BaseConfig, read_base
from configs.distributions import Resolved
from configs.engine import Generated
from configs.eras import Era
from configs.registry_key import TOO_MANY, Registration, RegistryState, digest, next_state
from tests.support.config_specs import DISTRIBUTIONS, NAME, NAMESPACE, spec_of

VLLM = {"id": "vllm", "provider": "vllm", "endpoint": "http://vllm:8000"}
FOLDER = "${env.SQLITE_STORE_DIR:=/.llama/distributions/starter}"


def after(previous: Generated | None, **sections: Any) -> Generated:
    """What a spec leads to on a server that ran with another one."""
    state = previous.registry if previous else None
    return engine.generate(
        NAME, NAMESPACE, spec_of(sections), distributions=DISTRIBUTIONS, previous=state
    )


def of_models(previous: Generated | None, *models: Any, **sections: Any) -> Generated:
    return after(
        previous, providers={"inference": VLLM}, resources={"models": list(models)}, **sections
    )


def storage_of(found: Generated) -> dict[str, Any]:
    storage: dict[str, Any] = yaml_reader.load(str(found.config_yaml))["storage"]
    return storage


def key_of(found: Generated) -> int:
    assert found.registry is not None
    return found.registry.key


E = {"name": "e", "contextLength": 1}


def test_first_registry_is_a_file_of_its_own_without_a_number() -> None:
    found = of_models(None, "e")

    assert storage_of(found)["stores"]["metadata"] == {
        "backend": "kv_registry",
        "namespace": "registry",
    }
    assert storage_of(found)["backends"]["kv_registry"] == {
        "type": "kv_sqlite",
        "db_path": f"{FOLDER}/registry.db",
    }
    assert found.registry_reset == ()


def test_changed_model_gets_the_second_file_and_the_first_model_back_the_third() -> None:
    first = of_models(None, "e")
    second = of_models(first, E)
    third = of_models(second, "e")

    assert second.registry_reset == third.registry_reset == ("model vllm/e",)
    files = [storage_of(found)["backends"]["kv_registry"]["db_path"] for found in (second, third)]
    assert files == [f"{FOLDER}/registry-2.db", f"{FOLDER}/registry-3.db"]


@pytest.mark.parametrize(
    ("kv", "namespace"),
    [
        ({"type": "redis", "endpoint": "redis:6379"}, f"{NAMESPACE}/{NAME}/registry"),
        (
            {
                "type": "postgres",
                "connectionString": {"secretKeyRef": {"name": "pg", "key": "url"}},
            },
            f"{NAMESPACE}/{NAME}/registry",
        ),
    ],
)
def test_on_a_shared_database_the_namespace_carries_the_number(
    kv: dict[str, Any], namespace: str
) -> None:
    first = of_models(None, "e", storage={"kv": kv})
    second = of_models(first, E, storage={"kv": kv})

    for found, suffix in ((first, ""), (second, "-2")):
        storage = storage_of(found)
        assert storage["stores"]["metadata"] == {
            "backend": "kv_default",
            "namespace": f"{namespace}{suffix}",
        }
        assert "kv_registry" not in storage["backends"]
        assert storage["stores"]["prompts"]["namespace"] == f"{NAMESPACE}/{NAME}/prompts"


def test_same_spec_on_its_own_registry_is_the_same_config() -> None:
    first = of_models(None, "e")
    second = of_models(first, "e")

    assert second == first


def test_removed_model_keeps_the_registry_and_so_does_its_return() -> None:
    first = of_models(None, "e", "f")
    removed = of_models(first, "e")
    back = of_models(removed, "e", "f")

    assert key_of(removed) == key_of(back) == 1
    assert back.config_yaml == first.config_yaml


def test_model_that_returns_with_other_fields_needs_a_new_registry() -> None:
    first = of_models(None, "f", "e")
    removed = of_models(first, "f")

    assert of_models(removed, "f", E).registry_reset == ("model vllm/e",)


def test_model_added_together_with_its_provider_keeps_the_registry() -> None:
    first = of_models(None, "e")
    other = {"id": "other", "provider": "vllm", "endpoint": "http://other:8000"}
    models = ["e", {"name": "e", "provider": "other"}]
    found = after(first, providers={"inference": [VLLM, other]}, resources={"models": models})

    assert found.models == ("other/e", "vllm/e")
    assert (key_of(found), found.registry_reset) == (1, ())


def test_model_added_to_a_provider_that_ran_before_needs_a_new_registry() -> None:
    """The server may have listed it, and refuses to register what is marked as listed."""
    first = of_models(None, "e")

    assert of_models(first, "e", "f").registry_reset == ("model vllm/f",)


def test_spelled_out_default_is_no_change() -> None:
    first = of_models(None, "e")
    found = of_models(first, {"name": "e", "modelType": "llm", "provider": "vllm"})

    assert found.registry_reset == ()


def test_type_of_a_model_is_a_change() -> None:
    first = of_models(None, "e")
    found = of_models(first, {"name": "e", "modelType": "rerank"})

    assert found.registry_reset == ("model vllm/e",)


def test_another_address_of_a_provider_is_no_change() -> None:
    first = of_models(None, "e")
    moved = {"inference": {**VLLM, "endpoint": "http://moved:8000"}}

    assert after(first, providers=moved, resources={"models": ["e"]}).registry_reset == ()


def test_state_is_kept_while_the_user_brings_the_config() -> None:
    first = of_models(None, "e")
    override = after(first, overrideConfig={"configMapName": "mine"})
    default = after(override)

    assert first.registry == override.registry == default.registry
    assert (override.source, default.source) == ("override", "default")
    assert of_models(default, E).registry_reset == ("model vllm/e",)


def test_variable_of_a_shield_in_the_base_counts() -> None:
    def with_model(previous: Generated | None, **variable: Any) -> Generated:
        env = [{"name": "SAFETY_MODEL", **variable}]
        return after(previous, disabled=["eval"], workload={"overrides": {"env": env}})

    first = with_model(None, value="vllm/guard")
    same = with_model(first, value="vllm/guard")
    other = with_model(same, value="vllm/guard-2")
    ref = {"secretKeyRef": {"name": "s", "key": "k"}}
    secret = with_model(other, valueFrom=ref)

    assert same.registry_reset == ()
    assert other.registry_reset == secret.registry_reset == ("shield llama-guard",)
    assert with_model(secret, valueFrom=ref).registry_reset == ()


def test_scoring_functions_belong_to_the_id_of_their_provider() -> None:
    first = after(None, providers={"scoring": {"provider": "basic"}})
    found = after(first, providers={"scoring": {"id": "other", "provider": "basic"}})

    assert found.registry_reset == ("functions of scoring provider inline::basic",)


# --- a base of any kind ---------------------------------------------------------------------------


class _Fixed:
    """A resolver with one base."""

    def __init__(self, base: BaseConfig) -> None:
        self._base = base

    def base_of(self, resolved: Resolved) -> BaseConfig | None:
        return self._base


def on_base(
    resources: dict[str, Any],
    previous: Generated | None = None,
    era: Era = "0.7",
    backend: dict[str, Any] | None = None,
) -> Generated:
    """The config of a base with these resources."""
    providers = {
        api: [{"provider_id": f"p-{api}", "provider_type": f"remote::{api}"}]
        for api in ("inference", "safety", "vector_io", "datasetio", "scoring", "eval")
        if era != "ogx" or api in {"inference", "vector_io"}
    } | {"tool_runtime": [{"provider_id": "t", "provider_type": "remote::tavily-search"}]}
    text = yaml_reader.dump(
        {
            "version": 2,
            "distro_name": "x",
            "apis": list(providers),
            "providers": providers,
            "storage": {
                "backends": {"kv": backend or {"type": "kv_sqlite", "db_path": "/d/kv.db"}},
                "stores": {"metadata": {"backend": "kv", "namespace": "registry"}},
            },
            "registered_resources": resources,
        }
    )
    base = read_base(text, source=ConfigSource.OCI_LABEL, era=era)
    return engine.generate(
        NAME,
        NAMESPACE,
        spec_of({"disabled": ["telemetry"]}),
        distributions=DISTRIBUTIONS,
        bases=_Fixed(base),
        previous=previous.registry if previous else None,
    )


@pytest.mark.parametrize(
    ("kind", "entry", "field", "name"),
    [
        ("models", {"model_id": "a", "provider_id": "p-inference"}, "metadata",
         "model p-inference/a"),
        ("models", {"model_id": "a", "provider_model_id": "b", "provider_id": "p-inference"},
         "model_validation", "model p-inference/b"),
        ("shields", {"shield_id": "a", "provider_id": "p-safety"}, "params", "shield a"),
        ("shields", {"shield_id": "a", "provider_id": "p-safety"}, "provider_shield_id",
         "shield a"),
        ("vector_stores", {"vector_store_id": "a"}, "embedding_model", "vector store a"),
        ("datasets", {"dataset_id": "a"}, "source", "dataset a"),
        ("scoring_fns", {"scoring_fn_id": "a"}, "params", "scoring function a"),
        ("benchmarks", {"benchmark_id": "a"}, "scoring_functions", "benchmark a"),
    ],
)  # fmt: skip
def test_every_kind_of_resource_in_a_base_counts(
    kind: str, entry: dict[str, Any], field: str, name: str
) -> None:
    first = on_base({kind: [entry]})
    same = on_base({kind: [{**entry, "server_ignores": "this"}]}, first)
    other = on_base({kind: [{**entry, field: {"x": 1}}]}, first)

    assert same.registry_reset == ()
    assert other.registry_reset == (name,)


def test_tool_groups_count_where_the_server_registers_them() -> None:
    group = {"toolgroup_id": "builtin::websearch", "provider_id": "t"}
    other = {**group, "args": {"x": 1}}
    eras: dict[Era, tuple[str, ...]] = {"0.5-0.6": ("tool group builtin::websearch",), "0.7": ()}
    for era, expected in eras.items():
        first = on_base({"tool_groups": [group]}, era=era)
        assert on_base({"tool_groups": [other]}, first, era=era).registry_reset == expected


def test_ogx_calls_a_model_by_its_model_id() -> None:
    entry = {"model_id": "a", "provider_model_id": "b", "provider_id": "p-inference"}
    first = on_base({"models": [entry]}, era="ogx")
    found = on_base({"models": [{**entry, "provider_model_id": "c"}]}, first, era="ogx")

    assert found.registry_reset == ("model p-inference/a",)
    prefixed = {**entry, "model_id": "p-inference/a"}
    assert on_base({"models": [prefixed]}, first, era="ogx").registry_reset == ()


def test_resource_of_a_provider_that_is_off_does_not_count() -> None:
    entry = {"shield_id": "a", "provider_id": "${env.NOT_SET:+p-safety}"}
    first = on_base({"shields": [entry]})

    assert on_base({"shields": [{**entry, "params": {"x": 1}}]}, first).registry_reset == ()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/d/kv.db", "/d/registry.db"),
        ("kv.db", "registry.db"),
        ("${env.DIR:=/d}/kv.db", "${env.DIR:=/d}/registry.db"),
        ("${env.FILE:=/d/kv.db}", "${env.FILE:=/d/kv.db}.registry.db"),
    ],
)
def test_file_is_beside_the_one_that_the_base_has(path: str, expected: str) -> None:
    found = on_base({}, backend={"type": "kv_sqlite", "db_path": path})

    assert storage_of(found)["backends"]["kv_registry"]["db_path"] == expected


# --- states ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "{}", '{"key":0,"registered":{}}', '{"key":true,"registered":{}}',
     '{"key":"1","registered":{}}', '{"key":1,"registered":[]}', '{"key":1,"registered":{"a":1}}',
     "[" * 100_000],
)  # fmt: skip
def test_text_that_is_no_state_is_none(text: str) -> None:
    assert registry_key.load(text) is None


def test_latest_of_several_records_knows_what_any_of_them_knows_of_the_last_registry() -> None:
    states = [
        RegistryState(1, {"a": "1"}),
        RegistryState(2, {"b": "2"}),
        RegistryState(2, {"c": "3"}),
    ]

    assert registry_key.latest(states) == RegistryState(2, {"b": "2", "c": "3"})
    assert registry_key.latest([]) is None


def many(count: int, value: str = "") -> list[Registration]:
    return [Registration(f"model vllm/{number:0200}", digest(value)) for number in range(count)]


def test_state_stays_small_by_starting_again_when_too_much_came_and_went() -> None:
    previous = RegistryState(4, {item.identifier: item.digest for item in many(140)})
    new = [Registration(f"shield {number:0200}", "x") for number in range(50)]
    state, reset = next_state(previous, new)

    assert (state.key, reset) == (5, (TOO_MANY,))
    assert set(state.registered) == {item.identifier for item in new}
    assert next_state(state, new) == (state, ())


def test_more_resources_than_fit_count_as_one() -> None:
    state, reset = next_state(None, many(1000))
    assert (state.key, reset) == (1, ())
    assert len(state.dump()) < 200

    assert next_state(state, many(1000)) == (state, ())
    changed, reset = next_state(state, many(1000, "other"))
    assert (changed.key, reset) == (2, (TOO_MANY,))
    fewer, reset = next_state(changed, many(1))
    assert (fewer.key, reset) == (3, (TOO_MANY,))
    assert next_state(fewer, many(1000))[0].key == 4
