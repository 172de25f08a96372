# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Resources that break no rule; together they use every section."""

from __future__ import annotations

from tests.support.apicase import SECRET, VLLM, Json, resource, with_providers, with_workload

GOOD: dict[str, Json] = {
    "the least": resource(),
    "an image": {**resource(), "spec": {"distribution": {"image": "quay.io/me/mine:1"}}},
    "a name of 48 characters": resource("a" * 48),
    "one provider as an object": with_providers(inference={**VLLM, "apiKey": SECRET}),
    "one provider as a list": with_providers(inference=[VLLM]),
    "no provider as a list": with_providers(inference=[]),
    "two providers with ids": with_providers(
        inference=[{"id": "a", **VLLM}, {"id": "b", **VLLM}], safety={"provider": "llama-guard"}
    ),
    "endpoint from the environment": with_providers(
        inference={"provider": "vllm", "endpoint": "${env.VLLM_URL}"}
    ),
    "secrets and settings": with_providers(
        vectorIo={
            "provider": "pgvector",
            "secretRefs": {"host": SECRET, "password": SECRET},
            "settings": {"db": "x", "nested": {"list": [1, {"deep": None}]}},
        }
    ),
    "the same secret twice": with_providers(
        inference={"provider": "vllm", "apiKey": SECRET, "secretRefs": {"api_key": SECRET}}
    ),
    "bedrock with a region": with_providers(
        inference={"provider": "bedrock", "settings": {"region": "eu-central-1"}}
    ),
    "azure with a deployment": with_providers(
        inference={"provider": "azure", "settings": {"deploymentName": "gpt"}}
    ),
    "models in both forms": resource(
        resources={
            "models": [
                "meta-llama/Llama-3.2-3B-Instruct",
                {
                    "name": "nomic",
                    "provider": "vllm",
                    "modelType": "embedding",
                    "embeddingDimension": 768,
                    "contextLength": 8192,
                    "quantization": "fp8",
                },
            ],
            "tools": ["builtin::websearch"],
            "shields": ["llama-guard"],
        }
    ),
    "stores that are shared": resource(
        storage={
            "kv": {"type": "redis", "endpoint": "redis://redis:6379", "password": SECRET},
            "sql": {"type": "postgres", "connectionString": SECRET},
        }
    ),
    "keys in postgres": resource(storage={"kv": {"type": "postgres", "connectionString": SECRET}}),
    "exposed by a boolean": resource(networking={"expose": True}),
    "not exposed": resource(networking={"expose": False}),
    "exposed by an empty object": resource(networking={"expose": {}}),
    "networking with everything": resource(
        networking={
            "port": 9000,
            "tls": {
                "enabled": True,
                "secretName": "cert",
                "caBundle": {"configMapName": "ca", "configMapKeys": ["a.crt", "b.crt"]},
            },
            "expose": {
                "enabled": True,
                "hostname": "llama.example.com",
                "ingressClassName": "nginx",
                "annotations": {"a/b": "c"},
                "tlsSecretName": "public-cert",
            },
            "allowedFrom": {"namespaces": ["*", "team-a"], "labels": ["team", "example.com/t"]},
        }
    ),
    "workload with everything": with_workload(
        replicas=2,
        workers=2,
        resources={"requests": {"cpu": 2, "memory": "4Gi"}, "limits": {"nvidia.com/gpu": "1"}},
        autoscaling={
            "minReplicas": 1,
            "maxReplicas": 1,
            "targetCPUUtilizationPercentage": 70,
            "targetMemoryUtilizationPercentage": 60,
        },
        storage={
            "size": "20Gi",
            "mountPath": "/data",
            "storageClassName": "fast",
            "accessModes": ["ReadWriteMany"],
            "retainOnDelete": True,
        },
        podDisruptionBudget={"maxUnavailable": "25%"},
        topologySpreadConstraints=[
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": "llama-stack"}},
            }
        ],
        overrides={
            "serviceAccountName": "mine",
            "env": [
                {"name": "A", "value": ""},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {
                    "name": "C",
                    "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}},
                },
            ],
            "command": ["sh"],
            "args": ["-c", "true"],
            "volumes": [{"name": "v", "csi": {"driver": "d", "volumeAttributes": {"x": "y"}}}],
            "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": True}],
            "imagePullSecrets": [{"name": "pull"}],
            "nodeSelector": {"kubernetes.io/arch": "amd64"},
            "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}
                        ]
                    }
                }
            },
            "labels": {"team": "a"},
            "annotations": {"example.com/note": "x"},
            "terminationGracePeriodSeconds": 0,
            "containerName": "server",
            "readinessProbe": {"httpGet": {"port": "http", "path": "/v1/health"}},
            "livenessProbe": {"failureThreshold": 10},
        },
    ),
    "external providers": resource(
        externalProviders={
            "inference": [
                {
                    "providerId": "custom-vllm",
                    "image": "registry.example.com/my/vllm@sha256:" + "0" * 64,
                    "imagePullPolicy": "Always",
                    "config": {"url": "http://vllm", "nested": {"a": [1]}},
                }
            ],
            "safety": [{"providerId": "shield", "image": "quay.io/v/shield:v1"}],
        }
    ),
    "a whole configuration of one's own": resource(overrideConfig={"configMapName": "mine"}),
    "APIs switched off": resource(disabled=["eval", "postTraining"]),
}
