# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Resources of v1alpha1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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
        "externalProviders": {
            section: [_PROVIDER]
            for section in (
                "inference",
                "safety",
                "agents",
                "vectorIo",
                "datasetIo",
                "scoring",
                "eval",
                "toolRuntime",
                "postTraining",
            )
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
