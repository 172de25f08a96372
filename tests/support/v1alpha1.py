# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Resources of v1alpha1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.external_apis import API_OF_SECTION
from api.v1alpha1 import API_VERSION

Json = dict[str, Any]

_PROVIDER: Final[Json] = {
    "providerId": "mine",
    "image": "example.com/provider:1",
    "imagePullPolicy": "Always",
    "config": {"a": {"b": 1}},
}


def old_resource(name: str = "demo", **server: Any) -> Json:
    """A resource with a distribution and the sections of the server that are given."""
    return {
        "apiVersion": API_VERSION,
        "kind": "LlamaStackDistribution",
        "metadata": {"name": name},
        "spec": {"server": {"distribution": {"name": "starter"}, **server}},
    }


def _secret(name: str) -> Json:
    return {"secretKeyRef": {"name": name, "key": "value"}}


FULL: Final[Json] = {
    "replicas": 2,
    "network": {
        "exposeRoute": True,
        "allowedFrom": {"namespaces": ["nsA", "*"], "labels": ["example.com/team"]},
    },
    "server": {
        "distribution": {"name": "starter", "image": "example.com/starter:1"},
        "containerSpec": {
            "name": "server",
            "port": 9000,
            "resources": {
                "requests": {"cpu": 1, "memory": "1Gi"},
                "limits": {"cpu": "2"},
                "claims": [{"name": "gpu", "request": "one"}],
            },
            "env": [
                {
                    "name": "A",
                    "value": "",
                    "valueFrom": {
                        "secretKeyRef": {"name": "s", "key": "k", "optional": True},
                        "configMapKeyRef": {"name": "c", "key": "k", "optional": True},
                        "fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"},
                        "resourceFieldRef": {
                            "resource": "limits.cpu",
                            "containerName": "server",
                            "divisor": "1m",
                        },
                        "fileKeyRef": {
                            "volumeName": "v",
                            "path": "p",
                            "key": "k",
                            "optional": True,
                        },
                    },
                },
                # The Go operator took the last one of a name.
                {"name": "A", "value": "b"},
            ],
            "command": ["sh"],
            "args": ["-c", "true"],
        },
        "workers": 2,
        "podOverrides": {
            "serviceAccountName": "mine",
            "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "v", "configMap": {"name": "c", "items": [{"key": "k"}]}}],
            "volumeMounts": [
                {
                    "name": "v",
                    "mountPath": "/v",
                    "subPath": "a",
                    "subPathExpr": "b",
                    "readOnly": True,
                    "recursiveReadOnly": "IfPossible",
                    "mountPropagation": "None",
                }
            ],
        },
        "podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": "50%"},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {
                    "matchLabels": {"a": "b"},
                    "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}],
                },
                "matchLabelKeys": ["pod-template-hash"],
                "minDomains": 1,
                "nodeAffinityPolicy": "Honor",
                "nodeTaintsPolicy": "Ignore",
            }
        ],
        "autoscaling": {
            "minReplicas": 1,
            "maxReplicas": 3,
            "targetCPUUtilizationPercentage": 70,
            "targetMemoryUtilizationPercentage": 60,
        },
        "storage": {
            "size": "20Gi",
            "mountPath": "/data",
            "type": "postgres",
            "connectionString": _secret("postgres"),
        },
        "userConfig": {"configMapName": "mine", "configMapNamespace": "other"},
        "tlsConfig": {
            "caBundle": {
                "configMapName": "ca",
                "configMapNamespace": "other",
                "configMapKeys": ["a.crt", "a.crt"],
            }
        },
        "providers": {
            "inference": [
                {
                    "id": "one",
                    "provider": "vllm",
                    "endpoint": "http://vllm:8000/v1",
                    "apiKey": _secret("vllm"),
                    "config": {"max_tokens": 4096},
                    "host": _secret("host"),
                    "region": "eu-west-1",
                    "deploymentName": "gpt",
                }
            ],
            "safety": {"provider": "llama-guard"},
            "vectorIo": [],
            "agents": [],
            "memory": [],
            "toolRuntime": [],
            "telemetry": [],
        },
        "disabled": ["eval"],
        "resources": {
            "models": [
                "llama3.2:1b",
                {
                    "name": "b",
                    "provider": "one",
                    "metadata": {"contextLength": 4096, "embeddingDimension": 768},
                },
            ],
            "tools": ["builtin::websearch"],
            "shields": ["llama-guard"],
        },
        "port": 8321,
        "tls": {"enabled": True, "secretName": "tls"},
        "externalProviders": {section: [_PROVIDER] for section in API_OF_SECTION}
        | {
            "install": {
                "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
                "sizeLimit": "4Gi",
            }
        },
    },
}
"""A spec with every field, each rule across fields aside."""

STORED_BY_GO: Final[Mapping[str, Json]] = {
    "empty container": {"containerSpec": {"name": "", "port": 0}},
    "empty service account": {"podOverrides": {"serviceAccountName": ""}},
    "empty user config": {"userConfig": {"configMapName": "", "configMapNamespace": ""}},
    "empty CA bundle": {"tlsConfig": {"caBundle": {"configMapName": "", "configMapNamespace": ""}}},
    "empty mount path": {"storage": {"mountPath": ""}},
    "empty storage": {"storage": {}},
    "empty budget": {"podDisruptionBudget": {}},
    "variable twice": {
        "containerSpec": {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}
    },
    "value and source, one of them empty": {
        "containerSpec": {
            "env": [
                {
                    "name": "A",
                    "value": "",
                    "valueFrom": {"secretKeyRef": {"name": "", "key": "k"}},
                }
            ]
        }
    },
}
"""Sections of the server that the Go operator takes, and that say less than they seem to."""

_REPLACED: Final = "cannot be combined with spec.server.userConfig, which replaces the whole"
_MADE_FROM_IT: Final = "because the names of Deployment, Service and others are made from it"
_OVERRIDDEN: Final[Json] = {"userConfig": {"configMapName": "mine"}}


def _elsewhere(section: str, earlier: str) -> tuple[str, Json, str]:
    providers = {earlier: [_PROVIDER], section: [_PROVIDER]}
    path = f"spec.server.externalProviders.{section}"
    return (
        f"id of {section} is one of {earlier}",
        old_resource(externalProviders=providers),
        f"{path}: a providerId is used in another section, too",
    )


BROKEN_RULES: Final[tuple[tuple[str, Json, str], ...]] = (
    (
        "long name",
        old_resource("a" * 49),
        f"metadata.name: must have at most 48 characters, {_MADE_FROM_IT}",
    ),
    ("dots", old_resource("a.b"), f"metadata.name: must not contain dots, {_MADE_FROM_IT}"),
    (
        "no distribution",
        old_resource(distribution={}),
        "spec.server.distribution: exactly one of name and image must be set",
    ),
    (
        "two distributions",
        old_resource(distribution={"name": "a", "image": "b"}),
        "spec.server.distribution: exactly one of name and image must be set",
    ),
    (
        "providers beside userConfig",
        old_resource(providers={"inference": {"provider": "vllm"}}, **_OVERRIDDEN),
        f"spec.server.providers: {_REPLACED}",
    ),
    (
        "resources beside userConfig",
        old_resource(resources={"tools": ["a"]}, **_OVERRIDDEN),
        f"spec.server.resources: {_REPLACED}",
    ),
    (
        "store beside userConfig",
        old_resource(storage={"size": "1Gi", "type": "sqlite"}, **_OVERRIDDEN),
        f"spec.server.storage: {_REPLACED}",
    ),
    (
        "disabled beside userConfig",
        old_resource(disabled=["eval"], **_OVERRIDDEN),
        f"spec.server.disabled: {_REPLACED}",
    ),
    (
        "postgres without a connection",
        old_resource(storage={"type": "postgres"}),
        "spec.server.storage.connectionString: is required when the type is postgres",
    ),
    (
        "TLS without a certificate",
        old_resource(tls={"enabled": True}),
        "spec.server.tls.secretName: is required when TLS is enabled",
    ),
    (
        "fewest above most",
        old_resource(autoscaling={"minReplicas": 3, "maxReplicas": 2}),
        "spec.server.autoscaling.minReplicas: must not be greater than maxReplicas",
    ),
    (
        "two budgets",
        old_resource(podDisruptionBudget={"minAvailable": 1, "maxUnavailable": 1}),
        "spec.server.podDisruptionBudget: exactly one of minAvailable and maxUnavailable must be",
    ),
    (
        "variable with two sources",
        old_resource(
            containerSpec={
                "env": [
                    {"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "spec"}}}
                ]
            }
        ),
        "spec.server.containerSpec.env: value and valueFrom cannot be combined",
    ),
    _elsewhere("safety", "inference"),
    _elsewhere("agents", "inference"),
    _elsewhere("vectorIo", "safety"),
    _elsewhere("datasetIo", "inference"),
    _elsewhere("scoring", "datasetIo"),
    _elsewhere("eval", "inference"),
    _elsewhere("toolRuntime", "eval"),
    _elsewhere("postTraining", "toolRuntime"),
)
"""Name, resource, how the API server's message goes on after the path of the rule's node."""
