# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the schema of the CRD refuses, in Kubernetes' words."""

from __future__ import annotations

from api.v1alpha2 import SECTIONS
from tests.support.apicase import Case, resource, with_workload

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
        with_workload(replicas=-1),
        ("spec.workload.replicas: must be at least 0",),
        "schema",
    ),
    Case(
        "replicas are text",
        with_workload(replicas="2"),
        ("spec.workload.replicas: must be an integer, got string",),
        "schema",
    ),
    Case(
        "no worker",
        with_workload(workers=0),
        ("spec.workload.workers: must be at least 1",),
        "schema",
    ),
    Case(
        "maxReplicas is missing",
        with_workload(autoscaling={"minReplicas": 1}),
        ("spec.workload.autoscaling.maxReplicas: is required",),
        "schema",
    ),
    Case(
        "maxReplicas is zero",
        with_workload(autoscaling={"maxReplicas": 0}),
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
        with_workload(
            overrides={"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}
        ),
        ("spec.workload.overrides.env: has duplicates by name: A",),
        "schema",
    ),
    Case(
        "volume without a name",
        with_workload(overrides={"volumes": [{"emptyDir": {}}]}),
        ("spec.workload.overrides.volumes[0]: needs a name",),
        "schema",
    ),
    Case(
        "quantity is nonsense",
        with_workload(storage={"size": "ten"}),
        ('spec.workload.storage.size: must be a quantity such as 500m, 2 or 10Gi, got "ten"',),
        "schema",
    ),
    Case(
        "quantity is a fraction without quotes",
        with_workload(resources={"requests": {"cpu": 0.5}}),
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
