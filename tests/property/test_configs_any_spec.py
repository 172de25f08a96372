# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What must hold for every spec, valid or not."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import InvalidResource
from api.v1alpha2 import Reason
from configs import connection, references, yaml_reader
from configs.errors import ConfigError
from tests.support.config_specs import JSON, generate, valid_sections
from tests.support.json_places import shuffled

_CONFIG_REASONS = {
    Reason.CONFIG_GENERATION_FAILED,
    Reason.MISSING_PROVIDER_FOR_RESOURCE,
    Reason.BASE_CONFIG_REQUIRED,
}


@given(sections=valid_sections(), seed=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_valid_spec_gives_the_same_config_whatever_the_order_of_its_keys(
    sections: dict[str, Any], seed: Any
) -> None:
    first = generate(**sections)
    second = generate(**shuffled(sections, seed))

    assert first.config_yaml == second.config_yaml
    assert (first.config_hash, first.env, first.models) == (
        second.config_hash, second.env, second.models
    )  # fmt: skip


@given(sections=valid_sections())
@settings(max_examples=60, deadline=None)
def test_a_config_holds_together(sections: dict[str, Any]) -> None:
    found = generate(**sections)
    data = yaml_reader.load(str(found.config_yaml), max_bytes=10_000_000)

    assert set(data["providers"]) <= set(data["apis"])
    for providers in data["providers"].values():
        ids = [references.nominal(provider["provider_id"]) for provider in providers]
        assert ids
        assert len(ids) == len(set(ids))
        assert all("::" in provider["provider_type"] for provider in providers)
    backends = data["storage"]["backends"]
    own = {"kv_registry"} if backends["kv_default"]["type"] == "kv_sqlite" else set()
    assert {"kv_default", "sql_default", "sql_inference"} | own == set(backends)
    assert {store["backend"] for store in data["storage"]["stores"].values()} <= set(backends)
    inference = {
        references.nominal(provider["provider_id"]) for provider in data["providers"]["inference"]
    }
    models = data.get("registered_resources", {}).get("models", ())
    assert {model["provider_id"] for model in models} <= inference
    set_by_us = {item.name for item in found.env}
    needed = {name for _, text in references.marked(data) for name in references.required(text)}
    assert needed <= set_by_us


@given(sections=valid_sections())
@settings(max_examples=40, deadline=None)
def test_nothing_that_is_kept_in_a_secret_can_be_in_the_output(sections: dict[str, Any]) -> None:
    """The engine is not given any value; what the operator derives stays out of the config."""
    found = generate(**sections)
    if found.storage_secret is None:
        return
    hush = "postgresql://hush-user:hush-password@hush-host/hush-db"
    sources = {(item.name, item.key): hush for item in found.storage_secret.sources}

    content = connection.derive(found.storage_secret, sources)

    assert any("hush" in value for value in content.values())
    assert "hush" not in repr(found)


_NAMES = st.sampled_from(
    ["providers", "inference", "safety", "vectorIo", "telemetry", "agents", "resources", "models",
     "tools", "shields", "storage", "kv", "sql", "type", "endpoint", "disabled", "networking",
     "port", "workload", "workers", "distribution", "name", "image", "provider", "id", "settings",
     "secretRefs", "apiKey", "secretKeyRef", "key", "overrideConfig"]
)  # fmt: skip
_WORDS = st.sampled_from(
    ["vllm", "openai", "remote::x", "inline::llama-guard", "chromadb", "pgvector", "starter", "",
     "azure", "postgres", "redis", "http://h:1", "${env.x}", "${env.A:+b}", "llama-guard", "rag"]
)  # fmt: skip
_ANYTHING = st.recursive(
    JSON | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=15,
)
_PROVIDER = st.fixed_dictionaries(
    {"provider": _WORDS | st.text(max_size=8)},
    optional={
        "id": _WORDS | st.text(max_size=8), "endpoint": _WORDS | st.text(max_size=12),
        "settings": st.dictionaries(_NAMES | st.text(max_size=8), _ANYTHING, max_size=3),
    },
)  # fmt: skip
_SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "providers": st.dictionaries(
            st.sampled_from(
                ["inference", "safety", "vectorIo", "toolRuntime", "telemetry", "agents", "memory",
                 "files", "eval", "batches", "datasetIo", "scoring", "postTraining"]
            ),
            _PROVIDER | st.lists(_PROVIDER, max_size=3),
            max_size=4,
        ),
        "resources": st.fixed_dictionaries(
            {},
            optional={
                "models": st.lists(st.text(min_size=1, max_size=8), max_size=3),
                "tools": st.lists(st.text(min_size=1, max_size=8), max_size=3),
                "shields": st.lists(st.text(min_size=1, max_size=8), max_size=3),
            },
        ),
        "storage": st.fixed_dictionaries(
            {},
            optional={"kv": st.fixed_dictionaries({"type": _WORDS}, optional={"endpoint": _WORDS})},
        ),
        "disabled": st.lists(
            st.sampled_from(["inference", "files", "safety", "vectorIo"]), max_size=3
        ),
        "networking": st.fixed_dictionaries({"port": st.integers(1, 70000)}),
        "anything": _ANYTHING,
    },
)  # fmt: skip


@given(sections=_SECTIONS)
@settings(max_examples=250, deadline=None)
def test_any_spec_gives_a_config_or_errors_with_paths(sections: dict[str, Any]) -> None:
    text, error = None, None
    try:
        text = generate(**sections).config_yaml
    except InvalidResource:
        return  # the shape is judged elsewhere
    except ConfigError as raised:
        error = raised

    assert text is None or yaml_reader.load(text)["version"] == 2
    assert error is None or error.reason in _CONFIG_REASONS
    for problem in error.errors if error else ():
        assert problem.path.startswith("spec")
        assert problem.message
        assert "\n" not in str(problem)


_SCRIPT = """
import random, sys
from tests.support.config_specs import generate, secret

def shuffled(node):
    if isinstance(node, dict):
        keys = list(node)
        random.Random(sys.argv[1]).shuffle(keys)
        return {key: shuffled(node[key]) for key in keys}
    return [shuffled(item) for item in node] if isinstance(node, list) else node

print(generate(**shuffled(dict(
    providers={"inference": [
                   {"id": "v", "provider": "vllm", "endpoint": "http://v", "apiKey": secret(),
                    "settings": {"b": 1, "a": {"d": 1, "c": 2}, "unknown": 3}},
                   {"id": "b", "provider": "bedrock", "settings": {"region": 1, "region_name": 2}},
                   {"id": "a", "provider": "azure",
                    "settings": {"deploymentName": "x", "deployment_name": "y"}}],
               "vectorIo": {"provider": "pgvector", "endpoint": "postgresql://h/d",
                            "settings": {"z": 1, "y": 2},
                            "secretRefs": {"user": secret("u"), "password": secret("p")}},
               "telemetry": {"provider": "otel", "endpoint": "http://c:4318",
                             "settings": {"b": 1, "a": 2}}},
    resources={"models": ["m", {"name": "n", "contextLength": 1, "provider": "b"}]},
    disabled=["files", "safety"],
    storage={"kv": {"type": "redis", "endpoint": "r", "password": secret("r")},
             "sql": {"type": "postgres", "connectionString": secret("pg")}}))))
"""


def test_bytes_warnings_and_order_do_not_depend_on_the_hash_seed_or_the_order_of_keys() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", _SCRIPT, seed],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("0", "1", "2")
    }

    assert len(outputs) == 1
    assert "config_hash='" in outputs.pop()
