# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which Secrets and ConfigMaps a spec names, and where."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from api.v1alpha2 import parse
from api.v1alpha2.references import (
    ConfigMapReference,
    SecretReference,
    config_map_refs,
    environment_name,
    provider_variables,
    secret_refs,
)
from tests.support.apicases import VLLM, resource


def _secret(name: str, key: str = "k") -> dict[str, Any]:
    return {"secretKeyRef": {"name": name, "key": key}}


def _spec(**sections: Any) -> Any:
    return parse(resource(**sections)).spec


def test_spec_without_references_has_none() -> None:
    assert secret_refs(_spec()) == ()
    assert config_map_refs(_spec()) == ()


def test_secrets_of_providers_are_listed_with_their_paths() -> None:
    spec = _spec(
        providers={
            "vectorIo": {
                "provider": "pgvector",
                "secretRefs": {"password": _secret("pg", "pw"), "host": _secret("pg", "host")},
            },
            "inference": [
                {"id": "a", **VLLM, "apiKey": _secret("vllm")},
                {"id": "b", "provider": "openai"},
            ],
        }
    )

    assert secret_refs(spec) == (
        SecretReference("vllm", "k", "spec.providers.inference[0].apiKey.secretKeyRef"),
        SecretReference("pg", "host", "spec.providers.vectorIo.secretRefs.host.secretKeyRef"),
        SecretReference("pg", "pw", "spec.providers.vectorIo.secretRefs.password.secretKeyRef"),
    )


def test_secrets_of_storage_are_listed() -> None:
    spec = _spec(
        storage={
            "kv": {
                "type": "redis",
                "endpoint": "redis://r",
                "password": _secret("redis"),
                "connectionString": _secret("unused"),
            },
            "sql": {"type": "postgres", "connectionString": _secret("pg")},
        }
    )

    assert secret_refs(spec) == (
        SecretReference("redis", "k", "spec.storage.kv.password.secretKeyRef"),
        SecretReference("unused", "k", "spec.storage.kv.connectionString.secretKeyRef"),
        SecretReference("pg", "k", "spec.storage.sql.connectionString.secretKeyRef"),
    )


def test_certificate_of_the_server_needs_both_keys() -> None:
    spec = _spec(networking={"tls": {"enabled": True, "secretName": "cert"}})

    assert secret_refs(spec) == (
        SecretReference("cert", "tls.crt", "spec.networking.tls.secretName"),
        SecretReference("cert", "tls.key", "spec.networking.tls.secretName"),
    )


def test_certificate_of_the_ingress_does_not_concern_the_pod() -> None:
    spec = _spec(networking={"expose": {"tlsSecretName": "public"}})

    assert secret_refs(spec) == (
        SecretReference("public", "", "spec.networking.expose.tlsSecretName", in_pod=False),
    )


@pytest.mark.parametrize(
    "networking",
    [
        {"tls": {"enabled": False, "secretName": "cert"}},
        {"expose": {"enabled": False, "tlsSecretName": "public"}},
    ],
)
def test_certificate_that_is_not_used_is_not_needed(networking: dict[str, Any]) -> None:
    assert secret_refs(_spec(networking=networking)) == ()


def test_environment_and_volumes_of_overrides_are_looked_through() -> None:
    env = [
        {"name": "A", "value": "x"},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}},
        {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
    ]
    volumes = [
        {"name": "a", "secret": {"secretName": "whole", "optional": True}},
        {"name": "b", "configMap": {"name": "part", "items": [{"key": "x"}, {"key": "y"}]}},
        {
            "name": "c",
            "projected": {
                "sources": [
                    {"secret": {"name": "p", "items": [{"key": "z", "path": "z"}]}},
                    {"configMap": {"name": "q"}},
                ]
            },
        },
    ]
    at = "spec.workload.overrides"

    spec = _spec(workload={"overrides": {"env": env, "volumes": volumes}})

    users_own = partial(SecretReference, may_be_empty=True)
    assert secret_refs(spec) == (
        users_own("s", "k", f"{at}.env[1].valueFrom.secretKeyRef", optional=True),
        users_own("whole", "", f"{at}.volumes[0].secret.secretName", optional=True),
        users_own("p", "z", f"{at}.volumes[2].projected.sources[0].secret.name"),
    )
    assert config_map_refs(spec) == (
        ConfigMapReference("c", "k", f"{at}.env[2].valueFrom.configMapKeyRef"),
        ConfigMapReference("part", "x", f"{at}.volumes[1].configMap.name"),
        ConfigMapReference("part", "y", f"{at}.volumes[1].configMap.name"),
        ConfigMapReference("q", "", f"{at}.volumes[2].projected.sources[1].configMap.name"),
    )


@pytest.mark.parametrize(
    "source",
    [
        4,
        None,
        [],
        {"secretName": 4},
        {"secretName": ""},
        {"secretName": "s", "items": 4},
        {"secretName": "s", "items": [4, {"key": 4}]},
    ],
)
def test_volume_that_the_api_server_will_refuse_is_no_traceback(source: Any) -> None:
    volumes = [
        {"name": "a", "secret": source},
        {"name": "b", "projected": source},
        {"name": "c", "projected": {"sources": [source]}},
    ]

    found = secret_refs(_spec(workload={"overrides": {"volumes": volumes}}))

    assert {reference.name for reference in found} <= {"s"}


def test_config_maps_are_listed_with_keys_and_namespaces() -> None:
    spec = _spec(
        overrideConfig={"configMapName": "mine", "configMapNamespace": "other"},
        networking={"tls": {"caBundle": {"configMapName": "ca", "configMapKeys": ["a", "b"]}}},
    )

    assert config_map_refs(spec) == (
        ConfigMapReference(
            "mine",
            "config.yaml",
            "spec.overrideConfig.configMapName",
            "other",
            or_key="run.yaml",
            whole=True,
        ),
        ConfigMapReference("ca", "a", "spec.networking.tls.caBundle.configMapName", in_pod=False),
        ConfigMapReference("ca", "b", "spec.networking.tls.caBundle.configMapName", in_pod=False),
    )


def test_pull_secrets_are_not_listed() -> None:
    spec = _spec(workload={"overrides": {"imagePullSecrets": [{"name": "pull"}]}})

    assert secret_refs(spec) == ()


@pytest.mark.parametrize(
    ("provider", "field", "name"),
    [
        ("vllm", "api_key", "LLSD_VLLM_API_KEY"),
        ("my-vllm.2", "host", "LLSD_MY_VLLM_2_HOST"),
        ("remote::pgvector", "apiToken", "LLSD_REMOTE__PGVECTOR_APITOKEN"),
        ("ünïcode", "x", "LLSD__N_CODE_X"),
    ],
)
def test_name_of_a_variable_is_what_the_server_substitutes(
    provider: str, field: str, name: str
) -> None:
    assert environment_name(provider, field) == name


def test_variables_of_a_provider_start_with_its_key_and_are_sorted() -> None:
    inference = {
        **VLLM,
        "apiKey": _secret("a"),
        "secretRefs": {"z": _secret("z"), "host": _secret("h")},
    }

    (provider,) = _spec(providers={"inference": inference}).providers.inference

    assert [(item.name, item.field, item.secret.name) for item in provider_variables(provider)] == [
        ("LLSD_VLLM_API_KEY", "api_key", "a"),
        ("LLSD_VLLM_HOST", "host", "h"),
        ("LLSD_VLLM_Z", "z", "z"),
    ]
