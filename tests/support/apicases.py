# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Resources that break one rule each, and who has to notice.

The same table is given to ``api.validation`` and to a real API server with the CRD and the policy:
that is what keeps the three of one opinion and of the same words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from api.v1alpha2 import API_VERSION, SECTIONS

Json = dict[str, Any]

SECRET: Json = {"secretKeyRef": {"name": "creds", "key": "token"}}
VLLM: Json = {"provider": "vllm", "endpoint": "http://vllm:8000/v1"}


def resource(name: str = "demo", /, **spec: Any) -> Json:
    """A resource with the least it needs, and more sections of the spec by name."""
    return {
        "apiVersion": API_VERSION,
        "kind": "LlamaStackDistribution",
        "metadata": {"name": name},
        "spec": {"distribution": {"name": "starter"}, **spec},
    }


@dataclass(frozen=True)
class Case:
    """A resource that breaks a rule.

    Attributes:
        name: of the case.
        obj: the resource.
        errors: the lines of ``validate``, all of them.
        by: who refuses it on a cluster without our webhook. ``schema`` says it in Kubernetes'
            words, but at the same path; ``cel`` and ``policy`` in ours; ``python`` means nobody.
        answer: what the policy says, where it is not the lines of ``validate``.
    """

    name: str
    obj: Json
    errors: tuple[str, ...]
    by: Literal["schema", "cel", "policy", "python"]
    answer: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return self.name

    @property
    def answered(self) -> tuple[str, ...]:
        """What the API server must say."""
        return self.answer or self.errors


def _providers(**sections: Any) -> Json:
    return resource(providers=sections)


def _workload(**fields: Any) -> Json:
    return resource(workload=fields)


_OVERRIDDEN = "cannot be combined with spec.overrideConfig, which replaces the whole configuration"
_MADE_FROM_IT = "because the names of Deployment, Service and others are made from it"
_OVERRIDE = {"configMapName": "mine"}

SCHEMA = (
    Case(
        "distribution is missing",
        {**resource(), "spec": {}},
        ("spec.distribution: is required",),
        "schema",
    ),
    Case(
        "port is zero",
        resource(networking={"port": 0}),
        ("spec.networking.port: must be at least 1",),
        "schema",
    ),
    Case(
        "port is too great",
        resource(networking={"port": 65536}),
        ("spec.networking.port: must be at most 65535",),
        "schema",
    ),
    Case(
        "replicas are negative",
        _workload(replicas=-1),
        ("spec.workload.replicas: must be at least 0",),
        "schema",
    ),
    Case(
        "replicas are text",
        _workload(replicas="2"),
        ("spec.workload.replicas: must be an integer, got string",),
        "schema",
    ),
    Case(
        "no worker",
        _workload(workers=0),
        ("spec.workload.workers: must be at least 1",),
        "schema",
    ),
    Case(
        "maxReplicas is missing",
        _workload(autoscaling={"minReplicas": 1}),
        ("spec.workload.autoscaling.maxReplicas: is required",),
        "schema",
    ),
    Case(
        "maxReplicas is zero",
        _workload(autoscaling={"maxReplicas": 0}),
        ("spec.workload.autoscaling.maxReplicas: must be at least 1",),
        "schema",
    ),
    Case(
        "label with a value where a key belongs",
        resource(networking={"allowedFrom": {"labels": ["team=frontend"]}}),
        (
            "spec.networking.allowedFrom.labels[0]: must be a label key such as team or"
            " example.com/team, without a value",
        ),
        "schema",
    ),
    Case(
        "unknown API is disabled",
        resource(disabled=["vector_io"]),
        (f"spec.disabled[0]: must be one of {', '.join(SECTIONS)}",),
        "schema",
    ),
    Case(
        "API is disabled twice",
        resource(disabled=["eval", "eval"]),
        ("spec.disabled: has duplicates: eval",),
        "schema",
    ),
    Case(
        "unknown kind of store",
        resource(storage={"kv": {"type": "etcd"}}),
        ("spec.storage.kv.type: must be one of sqlite, redis, postgres",),
        "schema",
    ),
    Case(
        "redis is no SQL store",
        resource(storage={"sql": {"type": "redis"}}),
        ("spec.storage.sql.type: must be one of sqlite, postgres",),
        "schema",
    ),
    Case(
        "key of a CA bundle leads out of the directory",
        resource(
            networking={"tls": {"caBundle": {"configMapName": "ca", "configMapKeys": ["../x"]}}}
        ),
        ("spec.networking.tls.caBundle.configMapKeys[0]: must be a key such as ca-bundle.crt",),
        "schema",
    ),
    Case(
        "variable is set twice",
        _workload(overrides={"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}),
        ("spec.workload.overrides.env: has duplicates by name: A",),
        "schema",
    ),
    Case(
        "volume without a name",
        _workload(overrides={"volumes": [{"emptyDir": {}}]}),
        ("spec.workload.overrides.volumes[0]: needs a name",),
        "schema",
    ),
    Case(
        "quantity is nonsense",
        _workload(storage={"size": "ten"}),
        ('spec.workload.storage.size: must be a quantity such as 500m, 2 or 10Gi, got "ten"',),
        "schema",
    ),
    Case(
        "quantity is a fraction without quotes",
        _workload(resources={"requests": {"cpu": 0.5}}),
        (
            "spec.workload.resources.requests.cpu: must be an integer or a string, got number;"
            " write it in quotes",
        ),
        "schema",
    ),
    Case(
        "external provider with a bad id",
        resource(externalProviders={"inference": [{"providerId": "my_vllm", "image": "a/b"}]}),
        (
            "spec.externalProviders.inference[0].providerId: must be lower case letters, digits"
            " and '-', with a letter or digit at each end",
        ),
        "schema",
    ),
    Case(
        "external provider with a shell in its image",
        resource(externalProviders={"inference": [{"providerId": "a", "image": "a$(id)"}]}),
        ("spec.externalProviders.inference[0].image: must be an image reference",),
        "schema",
    ),
)

CEL = (
    Case(
        "no distribution",
        {**resource(), "spec": {"distribution": {}}},
        ("spec.distribution: exactly one of name and image must be set",),
        "cel",
    ),
    Case(
        "two distributions",
        {**resource(), "spec": {"distribution": {"name": "starter", "image": "a/b:1"}}},
        ("spec.distribution: exactly one of name and image must be set",),
        "cel",
    ),
    *(
        Case(
            f"{section} beside overrideConfig",
            resource(overrideConfig=_OVERRIDE, **{section: value}),
            (f"spec.{section}: {_OVERRIDDEN}",),
            "cel",
        )
        for section, value in {
            "providers": {"inference": VLLM},
            "resources": {"tools": ["a"]},
            "storage": {},
            "disabled": ["eval"],
        }.items()
    ),
    Case(
        "redis without an endpoint",
        resource(storage={"kv": {"type": "redis"}}),
        ("spec.storage.kv.endpoint: is required when the type is redis",),
        "cel",
    ),
    Case(
        "postgres for keys without a connection",
        resource(storage={"kv": {"type": "postgres"}}),
        ("spec.storage.kv.connectionString: is required when the type is postgres",),
        "cel",
    ),
    Case(
        "postgres for SQL without a connection",
        resource(storage={"sql": {"type": "postgres"}}),
        ("spec.storage.sql.connectionString: is required when the type is postgres",),
        "cel",
    ),
    Case(
        "TLS without a certificate",
        resource(networking={"tls": {"enabled": True}}),
        ("spec.networking.tls.secretName: is required when TLS is enabled",),
        "cel",
    ),
    Case(
        "minReplicas above maxReplicas",
        _workload(autoscaling={"minReplicas": 3, "maxReplicas": 2}),
        ("spec.workload.autoscaling.minReplicas: must not be greater than maxReplicas",),
        "cel",
    ),
    Case(
        "both fields of the disruption budget",
        _workload(podDisruptionBudget={"minAvailable": 1, "maxUnavailable": "50%"}),
        (
            "spec.workload.podDisruptionBudget: exactly one of minAvailable and maxUnavailable"
            " must be set",
        ),
        "cel",
    ),
    Case(
        "no field of the disruption budget",
        _workload(podDisruptionBudget={}),
        (
            "spec.workload.podDisruptionBudget: exactly one of minAvailable and maxUnavailable"
            " must be set",
        ),
        "cel",
    ),
    Case(
        "variable with two sources",
        _workload(
            overrides={
                "env": [
                    {
                        "name": "A",
                        "value": "1",
                        "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
                    }
                ]
            }
        ),
        ("spec.workload.overrides.env[0]: value and valueFrom cannot be combined",),
        "cel",
        ("spec.workload.overrides.env: value and valueFrom cannot be combined",),
    ),
    Case(
        "external id in two sections",
        resource(
            externalProviders={
                "inference": [{"providerId": "a", "image": "x:1"}],
                "postTraining": [{"providerId": "a", "image": "y:2"}],
            }
        ),
        (
            'spec.externalProviders.postTraining[0].providerId: duplicate providerId "a": found in'
            " inference[0] (image x:1) and postTraining[0] (image y:2)"
            " (give each external provider a unique providerId)",
        ),
        "cel",
        ("spec.externalProviders.postTraining: a providerId is used in another section, too",),
    ),
    Case(
        "name is too long",
        resource("a" * 49),
        (f"metadata.name: must have at most 48 characters, {_MADE_FROM_IT}",),
        "cel",
    ),
    Case(
        "name has dots",
        resource("a.b"),
        (f"metadata.name: must not contain dots, {_MADE_FROM_IT}",),
        "cel",
    ),
)

POLICY = (
    Case(
        "provider is a string",
        _providers(inference="vllm"),
        ("spec.providers.inference: must be an object or a list of objects, got string",),
        "policy",
        ("spec.providers.inference: must be an object or a list of objects",),
    ),
    Case(
        "one provider of a list is a string",
        _providers(vectorIo=[{"id": "a", "provider": "faiss"}, "b"]),
        ("spec.providers.vectorIo[1]: must be an object, got string",),
        "policy",
        ("spec.providers.vectorIo[1]: must be an object",),
    ),
    Case(
        "provider has no type",
        _providers(inference={"endpoint": "http://vllm"}),
        ("spec.providers.inference.provider: is required",),
        "policy",
    ),
    Case(
        "type of a provider is a number",
        _providers(inference={"provider": 4}),
        ("spec.providers.inference.provider: must be a string, got integer",),
        "policy",
        ("spec.providers.inference.provider: must be a string",),
    ),
    Case(
        "endpoint is no URL",
        _providers(inference={"provider": "vllm", "endpoint": "vllm:8000"}),
        ("spec.providers.inference.endpoint: must be a URL such as http://vllm:8000/v1",),
        "policy",
    ),
    Case(
        "settings are a list",
        _providers(inference={**VLLM, "settings": []}),
        ("spec.providers.inference.settings: must be an object, got list",),
        "policy",
        ("spec.providers.inference.settings: must be an object",),
    ),
    Case(
        "API key in the clear",
        _providers(inference={**VLLM, "apiKey": "sk-123"}),
        ("spec.providers.inference.apiKey: must be an object, got string",),
        "policy",
        ("spec.providers.inference.apiKey: must be {secretKeyRef: {name, key}}",),
    ),
    Case(
        "API key without a key of the Secret",
        _providers(inference=[{**VLLM, "apiKey": {"secretKeyRef": {"name": "creds"}}}]),
        ("spec.providers.inference[0].apiKey.secretKeyRef.key: is required",),
        "policy",
        ("spec.providers.inference[0].apiKey: must be {secretKeyRef: {name, key}}",),
    ),
    Case(
        "further secret in the clear",
        _providers(vectorIo={"provider": "pgvector", "secretRefs": {"host": SECRET, "db": "x"}}),
        ("spec.providers.vectorIo.secretRefs.db: must be an object, got string",),
        "policy",
        ("spec.providers.vectorIo.secretRefs: each field must be {secretKeyRef: {name, key}}",),
    ),
    Case(
        "two providers without ids",
        _providers(inference=[VLLM, {"id": "b", "provider": "openai"}, {"provider": "groq"}]),
        (
            "spec.providers.inference[0].id: is required on every provider of a list with more"
            " than one",
            "spec.providers.inference[2].id: is required on every provider of a list with more"
            " than one",
        ),
        "policy",
    ),
    Case(
        "one id in two APIs",
        _providers(
            inference=[VLLM, {"id": "b", "provider": "openai"}],
            safety={"id": "b", "provider": "llama-guard"},
            eval={"id": "b", "provider": "x"},
        ),
        (
            "spec.providers.inference[0].id: is required on every provider of a list with more"
            " than one",
            'spec.providers.eval.id: provider id "b" is used more than once:'
            " spec.providers.inference[1], spec.providers.safety, spec.providers.eval",
        ),
        "policy",
    ),
    Case(
        "one type in two APIs gives one id",
        _providers(inference={"provider": "nvidia"}, safety={"provider": "nvidia"}),
        (
            'spec.providers.safety.id: provider id "nvidia" is used more than once:'
            " spec.providers.inference, spec.providers.safety",
        ),
        "policy",
    ),
    Case(
        "API is configured and disabled",
        resource(disabled=["eval", "inference"], providers={"inference": [VLLM]}),
        (
            'spec.disabled[1]: "inference" is configured and disabled at the same time:'
            " spec.providers.inference",
        ),
        "policy",
    ),
    Case(
        "API is disabled and has an external provider",
        resource(
            disabled=["safety"],
            externalProviders={"safety": [{"providerId": "a", "image": "a/b:1"}]},
        ),
        (
            'spec.disabled[0]: "safety" is configured and disabled at the same time:'
            " spec.externalProviders.safety",
        ),
        "policy",
    ),
    Case(
        "model is a number",
        resource(resources={"models": ["a", 4]}),
        (
            "spec.resources.models[1]: must be the name of a model or an object with a name,"
            " got integer",
        ),
        "policy",
        ("spec.resources.models[1]: must be the name of a model or an object with a name",),
    ),
    Case(
        "model without a name",
        resource(resources={"models": [{"provider": "vllm"}]}),
        ("spec.resources.models[0].name: is required",),
        "policy",
        ("spec.resources.models[0]: must be the name of a model or an object with a name",),
    ),
    Case(
        "expose is a string",
        resource(networking={"expose": "yes"}),
        ("spec.networking.expose: must be a boolean or an object, got string",),
        "policy",
        ("spec.networking.expose: must be a boolean or an object",),
    ),
    Case(
        "expose is enabled by a string",
        resource(networking={"expose": {"enabled": "yes"}}),
        ("spec.networking.expose.enabled: must be a boolean, got string",),
        "policy",
        ("spec.networking.expose.enabled: must be a boolean",),
    ),
    Case(
        "host name is a number",
        resource(networking={"expose": {"hostname": 4}}),
        ("spec.networking.expose.hostname: must be a string, got integer",),
        "policy",
        ("spec.networking.expose.hostname: must be a string",),
    ),
    Case(
        "bedrock without a region",
        _providers(inference={"provider": "bedrock"}),
        ('spec.providers.inference.settings.region: is required for provider "bedrock"',),
        "policy",
    ),
    Case(
        "azure without a deployment",
        _providers(inference={"provider": "azure", "settings": {"region": "x"}}),
        ('spec.providers.inference.settings.deploymentName: is required for provider "azure"',),
        "policy",
    ),
)

PYTHON = (
    Case(
        "two references for one variable",
        _providers(
            inference={
                "provider": "vllm",
                "apiKey": SECRET,
                "secretRefs": {"api_key": {"secretKeyRef": {"name": "other", "key": "k"}}},
            }
        ),
        (
            "spec.providers.inference.secretRefs.api_key.secretKeyRef: needs the environment"
            " variable LLSD_VLLM_API_KEY, which spec.providers.inference.apiKey.secretKeyRef needs"
            " for another value (rename the provider or the field)",
        ),
        "python",
    ),
    Case(
        "two ids that differ in punctuation only",
        _providers(
            inference={"id": "a-b", "provider": "vllm", "apiKey": SECRET},
            safety={
                "id": "a.b",
                "provider": "x",
                "apiKey": {"secretKeyRef": {"name": "creds", "key": "other"}},
            },
        ),
        (
            "spec.providers.safety.apiKey.secretKeyRef: needs the environment variable"
            " LLSD_A_B_API_KEY, which spec.providers.inference.apiKey.secretKeyRef needs for"
            " another value (rename the provider or the field)",
        ),
        "python",
    ),
    Case(
        "context of a model is text",
        resource(resources={"models": [{"name": "a", "contextLength": "8k"}]}),
        ("spec.resources.models[0].contextLength: must be an integer, got string",),
        "python",
    ),
)

BAD = (*SCHEMA, *CEL, *POLICY, *PYTHON)

GOOD: dict[str, Json] = {
    "the least": resource(),
    "an image": {**resource(), "spec": {"distribution": {"image": "quay.io/me/mine:1"}}},
    "a name of 48 characters": resource("a" * 48),
    "one provider as an object": _providers(inference={**VLLM, "apiKey": SECRET}),
    "one provider as a list": _providers(inference=[VLLM]),
    "no provider as a list": _providers(inference=[]),
    "two providers with ids": _providers(
        inference=[{"id": "a", **VLLM}, {"id": "b", **VLLM}], safety={"provider": "llama-guard"}
    ),
    "endpoint from the environment": _providers(
        inference={"provider": "vllm", "endpoint": "${env.VLLM_URL}"}
    ),
    "secrets and settings": _providers(
        vectorIo={
            "provider": "pgvector",
            "secretRefs": {"host": SECRET, "password": SECRET},
            "settings": {"db": "x", "nested": {"list": [1, {"deep": None}]}},
        }
    ),
    "the same secret twice": _providers(
        inference={"provider": "vllm", "apiKey": SECRET, "secretRefs": {"api_key": SECRET}}
    ),
    "bedrock with a region": _providers(
        inference={"provider": "bedrock", "settings": {"region": "eu-central-1"}}
    ),
    "azure with a deployment": _providers(
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
    "workload with everything": _workload(
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
    "a whole configuration of one's own": resource(overrideConfig=_OVERRIDE),
    "APIs switched off": resource(disabled=["eval", "postTraining"]),
}
