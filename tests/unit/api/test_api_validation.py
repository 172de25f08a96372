# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Rules and warnings: the exact words, at the path where the user wrote it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from api.errors import FieldError, FieldWarning
from api.v1alpha2.rules import RULES
from api.v1alpha2.types import Spec
from api.validation import validate
from tests.support.apicases import BAD, GOOD, SECRET, VLLM, Case, resource


def _errors(obj: Any) -> list[str]:
    return [str(error) for error in validate(obj).errors]


def _warnings(obj: Any) -> list[str]:
    return [str(warning) for warning in validate(obj).warnings]


@pytest.mark.parametrize("case", BAD, ids=str)
def test_broken_rule_is_reported_in_exact_words(case: Case) -> None:
    assert tuple(_errors(case.obj)) == case.errors


@pytest.mark.parametrize("name", GOOD)
def test_good_resource_has_no_errors(name: str) -> None:
    assert _errors(GOOD[name]) == []


def test_errors_of_all_sections_come_at_once() -> None:
    obj = resource(
        "Bad_Name",
        providers={"inference": {"provider": 4}},
        storage={"kv": {"type": "redis"}},
        networking={"tls": {"enabled": True}},
        workload={"autoscaling": {"minReplicas": 2, "maxReplicas": 1}},
    )
    del obj["spec"]["distribution"]

    assert _errors(obj) == [
        "spec.distribution: is required",
        "spec.providers.inference.provider: must be a string, got integer",
        "metadata.name: must be lower case letters, digits and '-', with a letter or digit at each"
        " end",
        "spec.storage.kv.endpoint: is required when the type is redis",
        "spec.networking.tls.secretName: is required when TLS is enabled",
        "spec.workload.autoscaling.minReplicas: must not be greater than maxReplicas",
    ]


def test_rules_say_nothing_about_a_section_that_could_not_be_read() -> None:
    """Half a list of providers would give errors that are not there."""
    obj = resource(
        disabled=["inference"],
        providers={"inference": [{"provider": "bedrock"}, {"provider": 4}]},
    )

    assert _errors(obj) == ["spec.providers.inference[1].provider: must be a string, got integer"]


def test_every_rule_reads_sections_that_exist() -> None:
    known = {field.alias for field in Spec.model_fields.values()} | {"metadata"}

    assert [rule for rule in RULES if not rule.reads <= known] == []


@pytest.mark.parametrize(
    ("obj", "errors"),
    [
        ({}, ["metadata: is required", "spec: is required"]),
        (resource() | {"spec": None}, ["spec: is required"]),
        (resource() | {"spec": []}, ["spec: must be an object, got list"]),
        (resource() | {"metadata": 4}, ["metadata: must be an object, got integer"]),
        (resource() | {"metadata": {}}, ["metadata.name: is required"]),
        (resource() | {"metadata": {"name": 4}}, ["metadata.name: must be a string, got integer"]),
        (resource() | {"apiVersion": "v1"}, ["apiVersion: must be llamastack.io/v1alpha2"]),
        (resource() | {"kind": "Pod"}, ["kind: must be LlamaStackDistribution"]),
        (resource() | {"kind": 4}, ["kind: must be a string, got integer"]),
        (4, ["(object): must be an object, got integer"]),
        (None, ["(object): must be an object, got null"]),
        ([], ["(object): must be an object, got list"]),
    ],
)
def test_what_is_no_resource_at_all_gets_errors(obj: Any, errors: list[str]) -> None:
    assert _errors(obj) == errors


@pytest.mark.parametrize(
    ("metadata", "errors"),
    [
        ({"name": "a" * 48}, []),
        ({"generateName": "a" * 42 + "-"}, []),
        (
            {"generateName": "a" * 43 + "-"},
            [
                "metadata.generateName: must have at most 48 characters, because the names of"
                " Deployment, Service and others are made from it"
            ],
        ),
        (
            {"generateName": "A-"},
            [
                "metadata.generateName: must be lower case letters, digits and '-', with a letter"
                " or digit at each end"
            ],
        ),
    ],
)
def test_name_leaves_room_for_what_is_added_to_it(
    metadata: dict[str, str], errors: list[str]
) -> None:
    assert _errors(resource() | {"metadata": metadata}) == errors


def test_one_reference_for_one_variable_is_no_clash() -> None:
    inference = [
        {"id": "a", **VLLM, "apiKey": SECRET},
        {"id": "b", **VLLM, "apiKey": SECRET},
    ]

    assert _errors(resource(providers={"inference": inference})) == []


def test_hint_is_told_in_brackets() -> None:
    assert str(FieldError("spec.a", "is wrong", "do b")) == "spec.a: is wrong (do b)"
    assert str(FieldWarning("spec.a", "is odd")) == "spec.a: is odd"


# --- warnings ------------------------------------------------------------------------------------

_SHARED = (
    "sqlite cannot be shared: each pod has its own state, and workers lock each other out; use"
    " redis or postgres in spec.storage"
)
_DEFAULT = (
    "the distribution's own storage is sqlite unless it says otherwise, and sqlite cannot be"
    " shared; set redis or postgres in spec.storage"
)
_REDIS = {"type": "redis", "endpoint": "redis://r"}
_ONE_NODE = (
    "a volume with ReadWriteOnce serves pods on one node only, and further pods wait for it; use"
    " ReadWriteMany, if the class offers that, or one replica"
)
_POSTGRES = {"type": "postgres", "connectionString": SECRET}
_SHARABLE = {"storage": {"kv": _REDIS, "sql": _POSTGRES}}


@pytest.mark.parametrize(
    ("spec", "warnings"),
    [
        pytest.param(
            {"storage": {"kv": {"endpoint": "redis://r", "password": SECRET}}},
            [
                "spec.storage.kv.endpoint: has no effect when the type is sqlite",
                "spec.storage.kv.password: has no effect when the type is sqlite",
            ],
            id="redis fields on sqlite",
        ),
        pytest.param(
            {"storage": {"kv": {**_REDIS, "connectionString": SECRET}}},
            ["spec.storage.kv.connectionString: has no effect when the type is redis"],
            id="connection of postgres on redis",
        ),
        pytest.param(
            {"storage": {"sql": {"connectionString": SECRET}}},
            ["spec.storage.sql.connectionString: has no effect when the type is sqlite"],
            id="connection of postgres on sqlite",
        ),
        pytest.param(
            {"storage": {"kv": {**_REDIS, "password": SECRET}, "sql": _POSTGRES}},
            [
                "spec.storage.kv.password: becomes part of the address of redis, because no"
                " release of the server has a field for it; the server prints it when it starts"
            ],
            id="password of redis",
        ),
        pytest.param(
            {"workload": {"replicas": 2}},
            [f"spec.workload.replicas: {_DEFAULT}"],
            id="replicas on the distribution's storage",
        ),
        pytest.param(
            {"workload": {"replicas": 2}, "storage": {"kv": _REDIS}},
            [f"spec.workload.replicas: {_DEFAULT}"],
            id="replicas, one store shared, the other the distribution's",
        ),
        *(
            pytest.param({"workload": scale | {"storage": volume}, **_SHARABLE}, found, id=name)
            for name, scale, volume, found in (
                ("one on a volume for one node", {"replicas": 1}, {}, []),
                ("two", {"replicas": 2}, {}, [f"spec.workload.replicas: {_ONE_NODE}"]),
                (
                    "an autoscaler decides",
                    {"replicas": 1, "autoscaling": {"maxReplicas": 2}},
                    {"accessModes": ["ReadOnlyMany", "ReadWriteOnce"]},
                    [f"spec.workload.autoscaling.maxReplicas: {_ONE_NODE}"],
                ),
                ("many nodes", {"replicas": 2}, {"accessModes": ["ReadWriteMany"]}, []),
                (
                    "one pod",
                    {"replicas": 2},
                    {"accessModes": ["ReadWriteOncePod"]},
                    [
                        "spec.workload.replicas: a volume with ReadWriteOncePod serves one pod"
                        " only, and further pods wait for it"
                    ],
                ),
                (
                    "read only",
                    {"replicas": 2},
                    {"accessModes": ["ReadOnlyMany"]},
                    [
                        "spec.workload.storage.accessModes: lets no pod write, but the server"
                        " writes files"
                    ],
                ),
            )
        ),
        pytest.param(
            {"workload": {"workers": 2}, "storage": {"kv": _REDIS, "sql": {}}},
            [f"spec.workload.workers: {_SHARED}"],
            id="workers on sqlite",
        ),
        pytest.param(
            {
                "workload": {"replicas": 5, "autoscaling": {"maxReplicas": 2}},
                "storage": {"kv": {}, "sql": _POSTGRES},
            },
            [f"spec.workload.autoscaling.maxReplicas: {_SHARED}"],
            id="autoscaling on sqlite, replicas are its business",
        ),
        pytest.param(
            {"workload": {"replicas": 2}, "storage": {"kv": _REDIS, "sql": _POSTGRES}},
            [],
            id="replicas on shared stores",
        ),
        pytest.param(
            {"workload": {"replicas": 1, "workers": 1, "autoscaling": {"maxReplicas": 1}}},
            [],
            id="one pod, one worker",
        ),
        pytest.param(
            {"workload": {"replicas": 2}, "overrideConfig": {"configMapName": "mine"}},
            [],
            id="a configuration of one's own is not judged",
        ),
        pytest.param(
            {"networking": {"tls": {"secretName": "cert"}}},
            [
                "spec.networking.tls.secretName: has no effect, because"
                " spec.networking.tls.enabled is not true"
            ],
            id="certificate without TLS",
        ),
        pytest.param(
            {
                "providers": {"inference": {"id": "a", "provider": "vllm"}},
                "externalProviders": {
                    "inference": [{"providerId": "a", "image": "x"}],
                    "safety": [{"providerId": "b", "image": "x"}],
                },
            },
            [
                "spec.externalProviders.inference[0].providerId: overrides the provider of the"
                " same id in spec.providers.inference"
            ],
            id="external provider wins",
        ),
        pytest.param(
            {
                "providers": {"safety": {"id": "a", "provider": "vllm"}},
                "externalProviders": {"inference": [{"providerId": "a", "image": "x"}]},
            },
            [],
            id="external provider of another API is no rival",
        ),
    ],
)
def test_warning(spec: dict[str, Any], warnings: list[str]) -> None:
    obj = resource(**spec)

    assert _warnings(obj) == warnings
    assert _errors(obj) == []


@pytest.mark.parametrize(
    ("namespace", "expected"),
    [
        ("mine", []),
        ("", []),
        (
            "other",
            [
                'spec.networking.tls.caBundle.configMapNamespace: names the namespace "mine",'
                " which works only if the operator runs with --allow-cross-namespace-config",
                'spec.overrideConfig.configMapNamespace: names the namespace "mine",'
                " which works only if the operator runs with --allow-cross-namespace-config",
            ],
        ),
    ],
)
def test_reference_to_another_namespace_is_a_warning(namespace: str, expected: list[str]) -> None:
    reference = {"configMapName": "cm", "configMapNamespace": "mine"}
    obj = resource(
        overrideConfig=reference,
        networking={"tls": {"caBundle": {**reference, "configMapKeys": ["a", "b"]}}},
    )
    obj["metadata"]["namespace"] = namespace

    assert sorted(_warnings(obj)) == expected


# --- unknown fields ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("obj", "warnings"),
    [
        pytest.param(
            resource(providers={"inference": {**VLLM, "endpiont": "http://x"}}),
            [
                "spec.providers.inference.endpiont: is not known and has no effect (did you mean"
                " endpoint?)"
            ],
            id="in a provider written as an object",
        ),
        pytest.param(
            resource(providers={"inference": [VLLM | {"xyz": 1}], "memmory": VLLM}),
            [
                "spec.providers.inference[0].xyz: is not known and has no effect",
                "spec.providers.memmory: is not known and has no effect (did you mean memory?)",
            ],
            id="in a provider of a list, and a section",
        ),
        pytest.param(
            resource(providers={"inference": {**VLLM, "path": "x", "settings": {"any": 1}}}),
            ["spec.providers.inference.path: is not known and has no effect"],
            id="what is filled in while reading; settings are free",
        ),
        pytest.param(
            resource(
                providers={
                    "inference": {
                        **VLLM,
                        "secretRefs": {"a": {"secretKeyRef": SECRET["secretKeyRef"], "b": 1}},
                    }
                }
            ),
            ["spec.providers.inference.secretRefs.a.b: is not known and has no effect"],
            id="in a map",
        ),
        pytest.param(
            resource(
                resources={"models": ["a", {"name": "b", "context_length": 4}]},
                networking={"expose": {"host": "a"}},
            ),
            [
                "spec.resources.models[1].context_length: is not known and has no effect (did you"
                " mean contextLength?)",
                "spec.networking.expose.host: is not known and has no effect (did you mean"
                " hostname?)",
            ],
            id="in models and expose",
        ),
        pytest.param(
            resource() | {"sepc": {}},
            ["sepc: is not known and has no effect (did you mean spec?)"],
            id="beside the spec",
        ),
        pytest.param(
            resource() | {"metadata": {"name": "a", "managedFields": []}, "status": {"new": 1}},
            [],
            id="metadata and status are not the user's",
        ),
    ],
)
def test_unknown_field_is_a_warning(obj: Any, warnings: list[str]) -> None:
    assert _warnings(obj) == warnings


EXTERNAL = {"providerId": "a", "image": "registry.example/a:1"}
IN_IMAGE = "the provider's image says it, in lls-provider-spec.yaml"


@pytest.mark.parametrize(
    ("spec", "path", "hint"),
    [
        (
            {"externalProviders": {"safety": [EXTERNAL | {"providerType": "remote::a"}]}},
            "spec.externalProviders.safety[0].providerType", IN_IMAGE,
        ),
        (
            {"externalProviders": {"safety": [EXTERNAL | {"module": "a"}]}},
            "spec.externalProviders.safety[0].module", IN_IMAGE,
        ),
        (
            {"externalProviders": {"safety": [EXTERNAL | {"resources": {}}]}},
            "spec.externalProviders.safety[0].resources",
            "did you mean externalProviders.install.resources?",
        ),
        (
            {"externalProviders": {"safety": [EXTERNAL | {"config": None, "loud": True}]}},
            "spec.externalProviders.safety[0].loud",
            "fields of the provider's own belong below config",
        ),
        (
            {"externalProviders": {"safety": [EXTERNAL | {"configs": {}}]}},
            "spec.externalProviders.safety[0].configs", "did you mean config?",
        ),
        (
            {"externalProviders": {"responses": [EXTERNAL]}},
            "spec.externalProviders.responses", "did you mean agents?",
        ),
        (
            {"externalProviders": {"install": {"limits": {}}}},
            "spec.externalProviders.install.limits", "did you mean resources.limits?",
        ),
        (
            {"providers": {"externalProviders": {}}},
            "spec.providers.externalProviders", "did you mean spec.externalProviders?",
        ),
        (
            {"server": {"externalProviders": {}}},
            "spec.server", "it belongs to v1alpha1; the command convert writes a resource in"
            " v1alpha2",
        ),
    ],
)  # fmt: skip
def test_what_beginners_write_is_told_what_to_do(spec: Any, path: str, hint: str) -> None:
    found = validate(resource(**spec))

    assert [(each.path, each.hint) for each in found.warnings] == [(path, hint)]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"externalProviders": {}}, "spec.externalProviders"),
        ({"server": {"providers": {"externalProviders": {}}}},
         "spec.server.providers.externalProviders"),
    ],
)  # fmt: skip
def test_place_of_external_providers_in_v1alpha1_is_told(spec: Any, path: str) -> None:
    server = {"distribution": {"name": "starter"}, **spec.pop("server", {})}
    old = resource() | {"apiVersion": "llamastack.io/v1alpha1", "spec": {"server": server, **spec}}

    found = validate(old)

    assert [(each.path, each.hint) for each in found.warnings] == [
        (path, "did you mean spec.server.externalProviders?")
    ]


def test_unknown_field_is_told_beside_the_error_that_it_causes() -> None:
    found = validate(resource(providers={"inference": {"privider": "vllm"}}))

    assert [str(error) for error in found.errors] == [
        "spec.providers.inference.provider: is required"
    ]
    assert [warning.hint for warning in found.warnings] == ["did you mean provider?"]


def test_mistake_in_a_short_form_is_told_at_the_text_itself() -> None:
    (error,) = validate(resource(resources={"models": ["a", ""]})).errors

    assert str(error) == "spec.resources.models[1]: must not be empty"


def test_the_time_for_many_wrong_values_grows_with_their_number() -> None:
    """It took minutes, on the event loop of the webhook; the bound leaves room."""
    spec = {"server": {"distribution": {"name": "starter"}, "disabled": ["x"] * 9_000}}
    obj = {
        "apiVersion": "llamastack.io/v1alpha1",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "a", "namespace": "b"},
        "spec": spec,
    }
    began = time.process_time()
    paths = [error.path for error in validate(obj).errors]
    assert paths == [f"spec.server.disabled[{i}]" for i in range(9_000)]
    assert time.process_time() - began < 10
