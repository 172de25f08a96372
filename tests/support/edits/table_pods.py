# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The rows of ``spec.workload``: how the server runs in the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tests.support.edits.row import MINIMAL, Json, Row, merged, row


def _workload() -> Iterator[Row]:
    yield row("workload", {"replicas": 2}, {"workers": 2, "autoscaling": {"maxReplicas": 2}})
    yield row("workload.replicas", 3, 0)
    yield row("workload.workers", 2, 4)
    yield row("workload.resources", {"requests": {"cpu": "2"}}, {"limits": {"memory": "2Gi"}})
    yield row(
        "workload.resources.requests",
        {"cpu": "1500m", "memory": "2Gi"},
        {"memory": "3Gi"},
        workload={"resources": {"limits": {"memory": "4Gi"}}},
    )
    yield row(
        "workload.resources.limits",
        {"cpu": "2", "nvidia.com/gpu": "1"},
        {"memory": "2Gi"},
        workload={"resources": {"requests": {"cpu": "1"}}},
    )
    yield row("workload.resources.claims", [{"name": "gpu"}], [{"name": "gpu", "request": "a"}])
    yield row(
        "workload.resources.claims",
        [{"name": "gpu", "request": "a"}],
        [{"name": "more", "request": "b"}],
        name="workload.resources.claims[].request",
    )
    yield row("workload.autoscaling", {"maxReplicas": 3}, {"maxReplicas": 5})
    yield row(
        "workload.autoscaling",
        {"maxReplicas": 3},
        {"maxReplicas": 5},
        name="workload.autoscaling of several",
        workload={"replicas": 2},
    )
    for field, (first, second) in {
        "minReplicas": (2, 3),
        "targetCPUUtilizationPercentage": (50, 60),
        "targetMemoryUtilizationPercentage": (70, 90),
    }.items():
        yield row(
            f"workload.autoscaling.{field}",
            first,
            second,
            workload={"autoscaling": {"maxReplicas": 4}},
        )
    yield row("workload.podDisruptionBudget", {"minAvailable": 1}, {"minAvailable": "50%"})
    yield row(
        "workload.podDisruptionBudget",
        {"maxUnavailable": 1},
        {"maxUnavailable": "25%"},
        name="workload.podDisruptionBudget.maxUnavailable",
    )
    yield row(
        "workload.podDisruptionBudget",
        {"minAvailable": 1},
        {"maxUnavailable": 2},
        name="workload.podDisruptionBudget of several",
        workload={"replicas": 3},
    )


def _volume() -> Iterator[Row]:
    yield row("workload.storage", {}, {"mountPath": "/data"})
    for field, (first, second) in {
        "size": ("10Gi", "20Gi"),
        "mountPath": ("/a", "/b"),
        "retainOnDelete": (True, False),
    }.items():
        yield row(f"workload.storage.{field}", first, second, workload={"storage": {}})
    for field, (first, second) in {
        "storageClassName": ("fast", "slow"),
        # The volume that is there keeps its modes, and pods are replaced as those demand: so
        # both values have to demand the same.
        "accessModes": (["ReadWriteOnce"], ["ReadWriteOnce", "ReadOnlyMany"]),
    }.items():
        yield Row(
            f"workload.storage.{field}",
            MINIMAL,
            merged(MINIMAL, {"workload": {"storage": {field: first}}}),
            merged(MINIMAL, {"workload": {"storage": {field: second}}}),
        )


def _spread() -> Iterator[Row]:
    plain: Json = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    strict: Json = {"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}
    path = "workload.topologySpreadConstraints"
    yield row(path, [plain], [strict, plain])
    yield row(path, [plain], [strict], name=f"{path}[]")

    def in_the_first(field: str, first: Any, second: Any) -> Row:
        specs = [
            merged(MINIMAL, {"workload": {"topologySpreadConstraints": [{**strict, **more}]}})
            for more in ({}, {field: first}, {field: second})
        ]
        return Row(f"{path}[].{field}", *specs)

    selectors: tuple[Json, Json] = (
        {
            "matchLabels": {"a": "1"},
            "matchExpressions": [{"key": "b", "operator": "In", "values": ["1"]}],
        },
        {
            "matchLabels": {"a": "2"},
            "matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["2"]}],
        },
    )
    yield in_the_first("labelSelector", *selectors)
    yield in_the_first("minDomains", 2, 3)
    yield in_the_first("nodeAffinityPolicy", "Ignore", "Honor")
    yield in_the_first("nodeTaintsPolicy", "Honor", "Ignore")
    counted = {**strict, "labelSelector": {"matchLabels": {"a": "1"}}}
    specs = [
        merged(MINIMAL, {"workload": {"topologySpreadConstraints": [{**counted, **more}]}})
        for more in ({}, {"matchLabelKeys": ["b"]}, {"matchLabelKeys": ["b", "c"]})
    ]
    yield Row(f"{path}[].matchLabelKeys", *specs)


def _environment() -> Iterator[Row]:
    path = "workload.overrides.env"
    yield row(path, [{"name": "A", "value": "1"}], [{"name": "B", "value": "2"}])
    yield row(
        path,
        [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}],
        [{"name": "B", "value": "$(A)"}, {"name": "A", "value": "1"}],
        name=f"{path} in another order",
    )
    yield row(
        path,
        [{"name": name, "value": "mine"} for name in ("LLS_PORT", "HF_HOME", "RUN_CONFIG_PATH")],
        [{"name": "LLS_PORT", "value": "theirs"}],
        name=f"{path} instead of the operator's",
    )
    plain = {"name": "A", "value": "1"}
    for source, (first, second) in _SOURCES.items():
        yield Row(
            f"{path}[].valueFrom.{source}",
            _env(plain),
            _env({"name": "A", "valueFrom": {source: first}}),
            _env({"name": "A", "valueFrom": {source: second}}),
        )
    yield Row(
        f"{path}[].valueFrom of another kind",
        _env({"name": "A"}),
        _env({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
        _env({"name": "A", "valueFrom": {"secretKeyRef": {"name": "creds", "key": "token"}}}),
    )


_SOURCES: Final[dict[str, tuple[Json, Json]]] = {
    "secretKeyRef": (
        {"name": "creds", "key": "token", "optional": True},
        {"name": "more-creds", "key": "other", "optional": False},
    ),
    "configMapKeyRef": (
        {"name": "words", "key": "a", "optional": True},
        {"name": "more-words", "key": "b", "optional": False},
    ),
    "fieldRef": (
        {"fieldPath": "metadata.name", "apiVersion": "v1"},
        {"fieldPath": "spec.nodeName"},
    ),
    "resourceFieldRef": (
        {"resource": "limits.cpu", "containerName": "llama-stack", "divisor": "1m"},
        {"resource": "requests.memory", "divisor": "1Mi"},
    ),
    "fileKeyRef": (
        {"volumeName": "files", "path": "env", "key": "A", "optional": True},
        {"volumeName": "files-too", "path": "env-too", "key": "B", "optional": False},
    ),
}


def _env(*entries: Json) -> Json:
    files = {"name": "files", "emptyDir": {}}
    more = {"name": "files-too", "emptyDir": {}}
    overrides = {"env": list(entries), "volumes": [files, more]}
    return merged(MINIMAL, {"workload": {"overrides": overrides}})


def _overrides() -> Iterator[Row]:
    yield row("workload.overrides", {"args": ["a"]}, {"command": ["b"]})
    for field, (first, second) in _PLAIN.items():
        yield row(f"workload.overrides.{field}", first, second)
    volumes = [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}]
    mounts: tuple[list[Json], list[Json]] = (
        [
            {
                "name": "v",
                "mountPath": "/v",
                "subPath": "a",
                "readOnly": True,
                "recursiveReadOnly": "IfPossible",
                "mountPropagation": "None",
            },
            {"name": "w", "mountPath": "/w", "subPathExpr": "$(A)"},
        ],
        [
            {
                "name": "w",
                "mountPath": "/x",
                "subPath": "b",
                "readOnly": True,
                "recursiveReadOnly": "Disabled",
                "mountPropagation": "HostToContainer",
            },
            {"name": "v", "mountPath": "/w", "subPathExpr": "$(B)"},
        ],
    )
    yield row(
        "workload.overrides.volumeMounts", *mounts, workload={"overrides": {"volumes": volumes}}
    )
    yield row(
        "workload.overrides.volumeMounts",
        [{"name": "v", "mountPath": "/v", "readOnly": True}],
        [{"name": "v", "mountPath": "/v", "readOnly": False}],
        name="workload.overrides.volumeMounts[].readOnly",
        workload={"overrides": {"volumes": volumes}},
    )
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        yield from _probes(f"workload.overrides.{probe}")


_PLAIN: Final[dict[str, tuple[Any, Any]]] = {
    "serviceAccountName": ("mine", "theirs"),
    "command": (["a", "b"], ["c"]),
    "args": (["a", "b"], ["b", "a"]),
    "volumes": (
        [{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "words"}}],
        # Of the same name, and of another kind.
        [{"name": "v", "secret": {"secretName": "creds"}}, {"name": "x", "emptyDir": {}}],
    ),
    "imagePullSecrets": ([{"name": "pull"}], [{"name": "pull-too"}, {"name": "pull"}]),
    "nodeSelector": ({"a": "1", "b": "1"}, {"a": "2"}),
    "tolerations": (
        [
            {"key": "a", "operator": "Equal", "value": "1", "effect": "NoExecute",
             "tolerationSeconds": 5},
        ],
        [
            {"key": "b", "operator": "Equal", "value": "2", "effect": "NoSchedule"},
            {"key": "c", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 6},
        ],
    ),
    "affinity": (
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]}}},
        {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "1"}}}]}},
    ),
    "labels": ({"team": "a", "more": "x"}, {"team": "b"}),
    "annotations": ({"a.example/x": "1", "a.example/y": "1"}, {"a.example/x": "2"}),
    "terminationGracePeriodSeconds": (0, 60),
    "containerName": ("server", "stack"),
}  # fmt: skip


def _probes(path: str) -> Iterator[Row]:
    yield row(path, {"failureThreshold": 7}, {"periodSeconds": 7})
    handlers: dict[str, tuple[Json, Json]] = {
        "httpGet": (
            {"port": 1, "path": "/a", "host": "a", "scheme": "HTTPS",
             "httpHeaders": [{"name": "A", "value": "1"}]},
            {"port": "http", "path": "/b", "host": "b", "scheme": "HTTP",
             "httpHeaders": [{"name": "B", "value": "2"}]},
        ),
        "exec": ({"command": ["a"]}, {"command": ["b", "c"]}),
        "tcpSocket": ({"port": 1, "host": "a"}, {"port": 2, "host": "b"}),
        "grpc": ({"port": 1, "service": "a"}, {"port": 2, "service": "b"}),
    }  # fmt: skip
    for handler, (first, second) in handlers.items():
        yield row(f"{path}.{handler}", first, second)
    yield row(path, {"exec": {"command": ["a"]}}, {"grpc": {"port": 2}}, name=f"{path} of kinds")
    yield row(
        path,
        {"httpGet": {"port": 1}},
        {"httpGet": {"port": 1, "path": "/a"}},
        name=f"{path}.httpGet of the least",
    )
    readiness = path.endswith("readinessProbe")
    fields: dict[str, tuple[int, int]] = {
        "initialDelaySeconds": (3, 4),
        "periodSeconds": (3, 4),
        "timeoutSeconds": (3, 4),
        "failureThreshold": (3, 4),
        "successThreshold": (2, 4) if readiness else (1, 1),
    }
    if not readiness:
        fields["terminationGracePeriodSeconds"] = (3, 4)
    for field, (one, two) in fields.items():
        yield row(f"{path}.{field}", one, two)


POD_ROWS: Final = (
    *_workload(), *_volume(), *_spread(), *_environment(), *_overrides(),
)  # fmt: skip
"""All of them."""
