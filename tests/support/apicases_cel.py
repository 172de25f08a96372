# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the rules of the CRD refuse, in our words."""

from __future__ import annotations

from tests.support.apicase import VLLM, Case, resource, with_workload

_OVERRIDDEN = "cannot be combined with spec.overrideConfig, which replaces the whole configuration"
_MADE_FROM_IT = "because the names of Deployment, Service and others are made from it"
_OVERRIDE = {"configMapName": "mine"}

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
        with_workload(autoscaling={"minReplicas": 3, "maxReplicas": 2}),
        ("spec.workload.autoscaling.minReplicas: must not be greater than maxReplicas",),
        "cel",
    ),
    Case(
        "both fields of the disruption budget",
        with_workload(podDisruptionBudget={"minAvailable": 1, "maxUnavailable": "50%"}),
        (
            "spec.workload.podDisruptionBudget: exactly one of minAvailable and maxUnavailable"
            " must be set",
        ),
        "cel",
    ),
    Case(
        "no field of the disruption budget",
        with_workload(podDisruptionBudget={}),
        (
            "spec.workload.podDisruptionBudget: exactly one of minAvailable and maxUnavailable"
            " must be set",
        ),
        "cel",
    ),
    Case(
        "volume for one pod and for one node",
        with_workload(storage={"accessModes": ["ReadWriteOnce", "ReadWriteOncePod"]}),
        (
            "spec.workload.storage.accessModes: ReadWriteOncePod cannot be combined with other"
            " modes",
        ),
        "cel",
    ),
    Case(
        "volume without a size",
        with_workload(storage={"size": "0.0Gi"}),
        ("spec.workload.storage.size: must be more than 0",),
        "python",
    ),
    Case(
        "variable with two sources",
        with_workload(
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
