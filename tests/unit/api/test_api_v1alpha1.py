# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The models of v1alpha1: what they read, and what their schema admits and refuses.

The rules across fields are CEL, which an API server judges: tests/apiserver/test_crd_v1alpha1.py.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from api.crd import custom_resource_definition
from api.unknown import unknown_fields
from api.v1alpha1 import API_VERSION, SECTIONS, LlamaStackDistribution, Spec
from api.v1alpha1.added import added_paths
from api.v1alpha1.stored import StoredLlamaStackDistribution
from tests.support.structural import complaints
from tests.support.v1alpha1 import BROKEN_RULES, FULL, STORED_BY_GO, Json, old_resource

_SCHEMA = next(
    version["schema"]["openAPIV3Schema"]
    for version in custom_resource_definition()["spec"]["versions"]
    if version["name"] == "v1alpha1"
)


def _read(**server: Any) -> LlamaStackDistribution:
    return LlamaStackDistribution.model_validate(old_resource(**server))


def test_version_and_sections() -> None:
    assert API_VERSION == "llamastack.io/v1alpha1"
    assert len(SECTIONS) == 7


def test_every_field_is_read_and_written_back_the_same() -> None:
    spec = Spec.model_validate(FULL)

    # Written back is one form: a provider and a model may be written in two.
    expected = copy.deepcopy(FULL)
    providers = expected["server"]["providers"]
    providers["safety"] = [providers["safety"]]
    expected["server"]["resources"]["models"][0] = {"name": "llama3.2:1b"}
    assert spec.plain() == expected


def test_full_resource_has_every_field_of_the_schema() -> None:
    """So that no field is forgotten by a test that uses it."""

    def missing(schema: Any, value: Any, path: str) -> list[str]:
        if schema.get("type") == "array" and "properties" in schema["items"]:
            return missing(schema["items"], value[0], f"{path}[]")
        found = []
        for name, child in schema.get("properties", {}).items():
            if name not in value:
                found.append(f"{path}.{name}")
            else:
                found += missing(child, value[name], f"{path}.{name}")
        return found

    assert missing(_SCHEMA["properties"]["spec"], FULL, "spec") == []


def test_schema_admits_the_full_resource() -> None:
    assert list(complaints(_SCHEMA, old_resource() | {"spec": FULL})) == []


def test_no_field_of_the_full_resource_is_unknown() -> None:
    assert list(unknown_fields(Spec, FULL, "spec")) == []


@pytest.mark.parametrize("name", STORED_BY_GO)
def test_what_the_go_operator_takes_for_a_field_left_out_stays_admitted(name: str) -> None:
    obj = old_resource(**STORED_BY_GO[name])

    assert list(complaints(_SCHEMA, obj)) == []
    assert LlamaStackDistribution.model_validate(obj).spec.plain() == obj["spec"]


@pytest.mark.parametrize(
    ("server", "path"),
    [
        ({"distribution": {"name": ""}}, "distribution.name"),
        ({"containerSpec": {"port": -1}}, "containerSpec.port"),
        ({"containerSpec": {"port": 65536}}, "containerSpec.port"),
        ({"containerSpec": {"name": "Llama"}}, "containerSpec.name"),
        ({"containerSpec": {"env": [{"name": ""}]}}, "containerSpec.env[0].name"),
        ({"port": 0}, "port"),
        ({"workers": 0}, "workers"),
        ({"storage": {"size": "-1Gi"}}, "storage.size"),
        ({"storage": {"type": "redis"}}, "storage.type"),
        ({"userConfig": {}}, "userConfig.configMapName"),
        ({"userConfig": {"configMapName": "A"}}, "userConfig.configMapName"),
        ({"autoscaling": {"maxReplicas": 0}}, "autoscaling.maxReplicas"),
        ({"podOverrides": {"volumes": [{"name": ""}]}}, "podOverrides.volumes[0].name"),
        ({"disabled": ["nothing"]}, "disabled[0]"),
        ({"disabled": ["eval", "eval"]}, "disabled"),
        ({"tls": {"enabled": "true"}}, "tls.enabled"),
    ],
)
def test_schema_and_models_refuse_the_same(server: dict[str, Any], path: str) -> None:
    obj = old_resource(**server)

    (found,) = complaints(_SCHEMA, obj)
    with pytest.raises(ValidationError) as refused:
        LlamaStackDistribution.model_validate(obj)

    assert found.startswith(f".spec.server.{path}:")
    (error,) = refused.value.errors()
    steps = error["loc"][2:]
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    # The model checks a volume as a whole: it is open but for its name.
    assert place == f".{path.removesuffix('.name') if 'volumes' in path else path}"


def test_replicas_are_not_negative() -> None:
    obj = old_resource()
    obj["spec"]["replicas"] = -1

    assert list(complaints(_SCHEMA, obj)) == [".spec.replicas: out of bounds"]


def test_provider_section_is_one_object_or_a_list() -> None:
    one = _read(providers={"inference": {"provider": "vllm"}}).spec.server.providers
    several = _read(providers={"inference": [{"provider": "vllm"}]}).spec.server.providers

    assert one is not None
    assert several is not None
    assert one.inference == several.inference
    assert one.inference[0].provider == "vllm"
    with pytest.raises(ValidationError, match="must be an object or a list of objects, got string"):
        _read(providers={"inference": "vllm"})


def test_model_is_a_name_or_an_object() -> None:
    resources = _read(resources={"models": ["a", {"name": "a"}]}).spec.server.resources

    assert resources is not None
    assert resources.models[0] == resources.models[1]
    with pytest.raises(ValidationError, match="must be the name of a model"):
        _read(resources={"models": [4]})


def test_misspelt_field_of_a_provider_is_noticed() -> None:
    spec = {"server": {"providers": {"inference": {"provider": "a", "endpiont": "b"}}}}

    (warning,) = unknown_fields(Spec, spec, "spec")

    assert warning.path == "spec.server.providers.inference.endpiont"
    assert "endpoint" in warning.hint


def test_status_names_the_generated_config_map() -> None:
    obj = old_resource() | {"status": {"phase": "Ready", "generatedConfigMap": "demo-config-1"}}

    status = StoredLlamaStackDistribution.model_validate(obj).status

    assert (status.phase, status.generated_config_map) == ("Ready", "demo-config-1")


def test_every_rule_of_the_schema_has_a_case() -> None:
    def messages(node: Any) -> Iterator[str]:
        yield from (rule["message"] for rule in node.get("x-kubernetes-validations", ()))
        below = [
            *node.get("properties", {}).values(),
            *([node["items"]] if "items" in node else []),
        ]
        for child in below:
            yield from messages(child)

    cases = [message for _, _, message in BROKEN_RULES]

    untried = [
        text for text in messages(_SCHEMA) if not any(text.startswith(case) for case in cases)
    ]

    assert untried == []


@pytest.mark.parametrize("obj", [pytest.param(obj, id=name) for name, obj, _ in BROKEN_RULES])
def test_case_of_a_rule_breaks_nothing_else(obj: Json) -> None:
    assert list(complaints(_SCHEMA, obj)) == []


def test_what_the_go_operator_has_not_is_found_where_it_is() -> None:
    spec = {"server": {"port": 1, "storage": {"type": "sqlite", "size": "1Gi"}, "providers": None}}
    assert list(added_paths({"spec": spec})) == ["spec.server.storage.type", "spec.server.port"]
    assert list(added_paths({"spec": {"server": "text"}})) == []
