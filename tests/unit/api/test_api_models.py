# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reading a resource: one form for everybody, defaults in code, nothing shared with the object."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic.alias_generators import to_snake

from api.errors import FieldError, InvalidResource
from api.external_apis import API_OF_SECTION
from api.v1alpha2 import SECTIONS, LlamaStackDistribution, Providers, parse
from api.v1alpha2.external import ExternalProviders
from api.v1alpha2.parse import MAX_DEPTH, read
from api.v1alpha2.stored import StoredLlamaStackDistribution
from api.validation import validate
from tests.support.apicases import GOOD, SECRET, VLLM, resource


def _frozen(value: Any) -> Any:
    """The same data, as read-only views all the way down."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: _frozen(item) for key, item in value.items()})
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


# --- forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ({"provider": "vllm"}, "spec.providers.vectorIo"),
        ([{"provider": "vllm"}], "spec.providers.vectorIo[0]"),
    ],
)
def test_provider_has_the_path_where_it_was_written(written: Any, path: str) -> None:
    (provider,) = parse(resource(providers={"vectorIo": written})).spec.providers.vector_io

    assert provider.path == path


@pytest.mark.parametrize("nothing", [[], None])
def test_section_without_providers_is_empty(nothing: Any) -> None:
    providers = parse(resource(providers={"inference": nothing})).spec.providers

    assert providers.inference == ()
    assert list(providers.items()) == []


def test_items_are_the_sections_with_providers_in_documented_order() -> None:
    cr = parse(resource(providers={"batches": VLLM, "vectorIo": VLLM, "inference": [VLLM]}))

    assert [section for section, _ in cr.spec.providers.items()] == [
        "inference",
        "vectorIo",
        "batches",
    ]
    assert [provider.path for provider in cr.spec.providers.all()] == [
        "spec.providers.inference[0]",
        "spec.providers.vectorIo",
        "spec.providers.batches",
    ]


def test_sections_are_the_fields_of_the_models() -> None:
    assert [to_snake(section) for section in SECTIONS] == list(Providers.model_fields)
    external = [to_snake(section) for section in API_OF_SECTION]
    assert [*external, "install"] == list(ExternalProviders.model_fields)


def test_id_of_a_provider_is_its_type_unless_given() -> None:
    cr = parse(resource(providers={"inference": VLLM, "safety": {"id": "x", **VLLM}}))

    assert cr.spec.providers.inference[0].id == "vllm"
    assert cr.spec.providers.inference[0].given_id is None
    assert cr.spec.providers.safety[0].id == "x"


def test_secrets_of_a_provider_are_read_through_their_wrapper() -> None:
    inference = {**VLLM, "apiKey": SECRET, "secretRefs": {"host": SECRET}}

    (provider,) = parse(resource(providers={"inference": inference})).spec.providers.inference

    assert provider.api_key is not None
    assert (provider.api_key.name, provider.api_key.key) == ("creds", "token")
    assert provider.secret_refs == {"host": provider.api_key}


def test_model_is_the_same_as_a_name_and_as_an_object() -> None:
    models = parse(resource(resources={"models": ["a/b", {"name": "a/b"}]})).spec.resources.models

    assert [model.path for model in models] == [
        "spec.resources.models[0]",
        "spec.resources.models[1]",
    ]
    assert models[0].model_copy(update={"path": ""}) == models[1].model_copy(update={"path": ""})


@pytest.mark.parametrize(
    ("written", "enabled"),
    [
        (True, True),
        (False, False),
        ({}, True),
        ({"hostname": "a.example.com"}, True),
        ({"enabled": False, "hostname": "a.example.com"}, False),
    ],
)
def test_expose_is_enabled_unless_it_says_no(written: Any, enabled: bool) -> None:
    expose = parse(resource(networking={"expose": written})).spec.networking.expose

    assert expose is not None
    assert expose.enabled is enabled


@pytest.mark.parametrize("path", ["x", "spec.providers.safety"])
def test_user_cannot_set_what_is_filled_in(path: str) -> None:
    cr = parse(
        resource(
            providers={"inference": {**VLLM, "path": path}},
            resources={"models": [{"name": "a", "path": path}]},
        )
    )

    assert cr.spec.providers.inference[0].path == "spec.providers.inference"
    assert cr.spec.resources.models[0].path == "spec.resources.models[0]"


# --- defaults and absence ------------------------------------------------------------------------


def test_defaults_are_filled_in_while_reading() -> None:
    spec = parse(
        resource(
            storage={"kv": {}, "sql": {}},
            networking={"tls": {"caBundle": {"configMapName": "ca", "configMapKeys": []}}},
            externalProviders={"eval": [{"providerId": "a", "image": "b"}]},
        )
    ).spec

    assert spec.networking.port == 8321
    assert spec.workload.replicas == 1
    assert spec.storage is not None
    assert spec.storage.kv is not None
    assert spec.storage.kv.type == "sqlite"
    assert spec.networking.tls is not None
    assert spec.networking.tls.enabled is False
    assert spec.networking.tls.ca_bundle is not None
    assert spec.networking.tls.ca_bundle.config_map_keys == ("ca-bundle.crt",)
    assert spec.external_providers is not None
    assert spec.external_providers.eval[0].image_pull_policy == "IfNotPresent"


def test_explicit_nulls_are_absent() -> None:
    nulls = resource(
        providers=None,
        storage={"kv": None},
        networking={"port": None, "expose": None, "tls": None},
        workload={"replicas": None, "overrides": {"env": None, "affinity": None}},
    )

    assert parse(nulls).spec == parse(resource(storage={})).spec


def test_nulls_inside_settings_are_kept() -> None:
    cr = parse(resource(providers={"inference": {**VLLM, "settings": {"a": None, "b": [None]}}}))

    assert cr.spec.providers.inference[0].settings == {"a": None, "b": [None]}


@pytest.mark.parametrize(
    ("spec", "generates"),
    [
        ({}, False),
        ({"providers": {}}, False),
        ({"providers": {"inference": []}}, False),
        ({"resources": {"models": []}}, False),
        ({"storage": {}}, False),
        ({"workload": {"replicas": 2}, "networking": {"port": 1}}, False),
        ({"overrideConfig": {"configMapName": "mine"}}, False),
        ({"providers": {"inference": VLLM}}, True),
        ({"resources": {"models": ["a"]}}, True),
        ({"resources": {"tools": ["a"]}}, True),
        ({"resources": {"shields": ["a"]}}, True),
        ({"storage": {"kv": {}}}, True),
        ({"storage": {"sql": {}}}, True),
        ({"disabled": ["eval"]}, True),
    ],
)
def test_configuration_is_generated_only_if_something_asks_for_it(
    spec: dict[str, Any], generates: bool
) -> None:
    assert parse(resource(**spec)).spec.generates_config is generates


def test_plain_gives_back_what_was_written_without_defaults() -> None:
    overrides = {
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "tolerations": [{"key": "gpu", "tolerationSeconds": 5}],
    }

    read_back = parse(resource(workload={"overrides": overrides})).spec.workload.overrides.plain()

    assert read_back == overrides


@pytest.mark.parametrize("name", GOOD)
def test_spec_reads_the_same_from_its_own_plain_form(name: str) -> None:
    spec = parse(GOOD[name]).spec

    again = parse(resource() | {"spec": spec.plain()}).spec

    for section in type(spec).model_fields:
        if section not in ("providers", "resources"):  # their paths say how they were written
            assert getattr(again, section) == getattr(spec, section)


# --- metadata and status -------------------------------------------------------------------------


def test_metadata_is_read() -> None:
    obj = resource()
    obj["metadata"] |= {
        "namespace": "ns",
        "uid": "u",
        "generation": 7,
        "resourceVersion": "12",
        "deletionTimestamp": "2026-01-01T00:00:00Z",
        "finalizers": ["a/b"],
        "labels": {"a": "b"},
        "managedFields": [{"manager": "kubectl"}],
        "ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "x", "uid": "y"}],
    }

    metadata = parse(obj).metadata

    assert (metadata.name, metadata.namespace, metadata.uid) == ("demo", "ns", "u")
    assert (metadata.generation, metadata.resource_version) == (7, "12")
    assert metadata.deletion_timestamp == "2026-01-01T00:00:00Z"
    assert metadata.finalizers == ("a/b",)
    assert metadata.owner_references[0].controller is False


def test_status_has_the_spelling_of_the_definition() -> None:
    obj = resource() | {"status": {"phase": "Ready", "serviceURL": "http://x", "selector": "a=b"}}

    status = StoredLlamaStackDistribution.model_validate(obj).status

    assert (status.phase, status.service_url, status.selector) == ("Ready", "http://x", "a=b")


@pytest.mark.parametrize("status", [4, [], {"phase": "Dancing"}, {"conditions": [{"type": 4}]}])
def test_unreadable_status_never_hides_the_spec(status: Any) -> None:
    cr = parse(resource() | {"status": status})

    assert cr.spec.distribution.name == "starter"
    assert validate(resource() | {"status": status}).warnings == ()


# --- nothing is shared, nothing changes ----------------------------------------------------------


@pytest.mark.parametrize("name", GOOD)
def test_reading_neither_changes_nor_keeps_the_object(name: str) -> None:
    obj = copy.deepcopy(GOOD[name])

    cr = parse(obj)

    assert obj == GOOD[name]
    for provider in cr.spec.providers.all():
        provider.settings["changed"] = True
    assert obj == GOOD[name]


@pytest.mark.parametrize("name", GOOD)
def test_read_only_views_are_read(name: str) -> None:
    assert parse(_frozen(GOOD[name])) == parse(GOOD[name])


def test_models_are_frozen() -> None:
    cr = parse(resource())

    with pytest.raises(ValidationError, match="frozen"):
        cr.spec.networking.port = 1  # type: ignore[misc]  # that is the point


# --- errors --------------------------------------------------------------------------------------


def test_every_error_of_shape_is_reported_at_once() -> None:
    obj = resource(
        providers={"inference": {"provider": 4}, "safety": [VLLM, {"endpoint": 3}]},
        networking={"port": "80", "expose": 3},
    )

    with pytest.raises(InvalidResource) as caught:
        parse(obj)

    assert caught.value.errors == (
        FieldError("spec.providers.inference.provider", "must be a string, got integer"),
        FieldError("spec.providers.safety[1].provider", "is required"),
        FieldError("spec.providers.safety[1].endpoint", "must be a string, got integer"),
        FieldError("spec.networking.port", "must be an integer, got string"),
        FieldError("spec.networking.expose", "must be a boolean or an object, got integer"),
    )
    assert str(caught.value).splitlines() == [str(error) for error in caught.value.errors]


def test_sections_without_errors_are_read_although_others_have_some() -> None:
    obj = resource(providers={"inference": 4}, networking={"port": 9000})

    cr, errors = read(obj)

    assert isinstance(cr, LlamaStackDistribution)
    assert len(errors) == 1
    assert cr.spec.networking.port == 9000
    assert cr.spec.providers == Providers()


def test_key_that_is_no_identifier_is_bracketed() -> None:
    obj = resource(
        workload={"overrides": {"nodeSelector": {"example.com/zone": 4}, "labels": {"a b": "c"}}}
    )

    _, errors = read(obj)

    assert [str(error) for error in errors] == [
        "spec.workload.overrides.nodeSelector[example.com/zone]: must be a string, got integer",
        "spec.workload.overrides.labels[a b]: must be a label key such as team or"
        " example.com/team, without a value",
    ]


def test_text_that_is_no_unicode_is_refused() -> None:
    _, errors = read(resource(providers={"inference": {"provider": "\ud800"}}))

    assert [error.message for error in errors] == ["must be valid Unicode"]


def test_braces_in_a_value_do_not_reach_the_formatting_of_messages() -> None:
    obj = resource(workload={"storage": {"size": "{text}{}{0}%s"}})

    _, errors = read(obj)

    assert '"{text}{}{0}%s"' in errors[0].message


@pytest.mark.parametrize("depth", [MAX_DEPTH, 5_000])
def test_nesting_is_bounded(depth: int) -> None:
    deep: Any = 1
    for _ in range(depth):
        deep = {"x": deep}

    with pytest.raises(InvalidResource, match=f"nested deeper than {MAX_DEPTH} levels"):
        parse(resource(providers={"inference": {**VLLM, "settings": deep}}))


def test_nesting_within_the_bound_is_read() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH - 10):
        deep = [deep]

    cr = parse(resource(providers={"inference": {**VLLM, "settings": {"x": deep}}}))

    assert cr.spec.providers.inference[0].settings == {"x": deep}
