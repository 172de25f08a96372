# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""OGXServers for tests, and whether a conversion accounts for everything in one."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from api.conversion.ogx import LAST_APPLIED, OF_THE_CLUSTER, from_ogx, policy, providers
from api.conversion.ogx.spec import OTHER_SERVER

Place: TypeAlias = tuple[str | int, ...]

SECRET: Final = {"name": "secrets", "key": "one"}

EVERYTHING: Final[dict[str, Any]] = {
    "apiVersion": "ogx.io/v1beta1",
    "kind": "OGXServer",
    "metadata": {
        "name": "all",
        "namespace": "team",
        "labels": {"team": "a"},
        "annotations": {"note": "b", "ogx.io/adopt-storage": "old"},
        "uid": "1",
    },
    "spec": {
        "distribution": {"name": "starter"},
        "providers": {
            "inference": {
                "remote": {
                    "vllm": [{"id": "z", "endpoint": "http://b:8000/v1", "apiToken": SECRET}],
                    "openai": [{"apiKey": SECRET, "network": {"headers": {"X-Team": "a"}}}],
                    "bedrock": [{"region": "eu-1", "awsSessionToken": SECRET}],
                },
                "inline": {"custom": [{"type": "inline::mine", "settings": {"depth": [1, {}]}}]},
            },
            "vectorIo": {
                "remote": {
                    "pgvector": [
                        {"host": "db", "password": SECRET, "vectorIndex": {"hnsw": {"m": 4}}}
                    ],
                    "custom": [{"type": "remote::other", "secretRefs": {"host": SECRET}}],
                }
            },
            "responses": {"inline": {"builtin": {"compactionConfig": {"summaryPrefix": "a"}}}},
            "files": {"remote": {"later": [{"apiKey": SECRET, "bucket": "c"}]}},
            "fileProcessors": {"inline": {"auto": {"cleanText": True}}},
        },
        "resources": {"models": [{"name": "m", "modelType": "l"}, {"name": "n", "provider": "z"}]},
        "storage": {
            "kv": {"type": "redis", "endpoint": "redis://r", "password": SECRET},
            "sql": {"type": "postgres", "connectionString": SECRET},
        },
        "disabledAPIs": ["batches", "file_processors"],
        "registryRefreshIntervalSeconds": 60,
        "network": {
            "port": 9000,
            "tls": {"secretName": "certificate"},
            "externalAccess": {"enabled": True, "hostname": "a.example"},
            "policy": {
                "enabled": True,
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [
                    {
                        "from": [
                            {"namespaceSelector": {"matchLabels": {policy.NAMESPACE_NAME: "x"}}},
                            {"ipBlock": {"cidr": "10.0.0.0/8"}},
                        ],
                        "ports": [{"protocol": "TCP", "port": 9000}],
                    }
                ],
                "egress": [{"to": []}],
            },
        },
        "tls": {
            "trust": {"caCertificates": [{"name": "ca", "key": "a"}, {"name": "more", "key": "b"}]},
            "identity": {"cert": {"name": "c", "key": "d"}, "key": SECRET},
        },
        "workload": {
            "replicas": 2,
            "workers": 3,
            "resources": {"limits": {"cpu": "1"}, "claims": [{"name": "gpu", "request": "r"}]},
            "resourceClaims": [{"name": "gpu", "resourceClaimName": "team-gpu"}, {"name": "nic"}],
            "autoscaling": {"maxReplicas": 4},
            "storage": {"size": "1Gi", "mountPath": "/.ogx"},
            "podDisruptionBudget": {"minAvailable": 1},
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone"}],
            "overrides": {
                "serviceAccountName": "sa",
                "env": [{"name": "A", "value": "b"}],
                "command": ["run"],
                "args": ["-v"],
                "volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}],
                "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            },
        },
        "monitoring": {"enabled": True, "metricsPort": 9464},
        "baseConfig": {"name": "base", "key": "config.yaml"},
    },
    "status": {"phase": "Ready"},
}  # fmt: skip
"""Most of what can be said. It is not valid: some of it excludes other parts."""

_KEPT: Final = (OTHER_SERVER, policy.NOT_OUTSIDE, providers.UNKNOWN_VENDOR.partition("{")[0])
"""How warnings begin that are about what comes along."""

_DEFAULTS: Final = (
    (r"apiVersion|kind|status\b.*", None),
    (rf"metadata\.({'|'.join(OF_THE_CLUSTER)})\b.*", None),
    (rf"metadata\.annotations\[{re.escape(LAST_APPLIED)}\].*", None),
    (r"spec\.monitoring\.enabled", False),
    (r"spec\.network\.policy\.enabled", True),
    (r"spec\.network\.externalAccess\.enabled", False),
    (r"spec\.network\.policy\.policyTypes.*", "Ingress"),
    (r"spec\.network\.policy\.ingress(\[\d+\])?\.ports.*", None),  # those of the server
    (r"spec\.(overrideConfig|baseConfig)\.key", "config.yaml"),
    (r"spec\.providers\..*\.id", ""),
    (r"spec\.resources\.models(\[\d+\])?\.provider", ""),
)
"""Places, and the value that means there what is so here without it; ``None`` for any value."""

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def unaccounted(obj: dict[str, Any]) -> list[str]:
    """Values that a conversion drops without a word.

    A value is accounted for if the outcome is another one without it, if a warning names it or
    something that it is in, or if it says what is so anyhow.
    """
    conversion = from_ogx(obj)
    named = {w.path for w in conversion.warnings if not w.message.startswith(_KEPT)}
    return [
        path
        for place, value in leaves(obj)
        if not _is_default(path := path_of(place), value)
        and not any(path == other or path.startswith((f"{other}.", f"{other}[")) for other in named)
        and from_ogx(_without(obj, place)) == conversion
    ]


def leaves(node: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every value in some JSON that is no object, no list and not null."""
    if isinstance(node, Mapping | list):
        items = node.items() if isinstance(node, Mapping) else enumerate(node)
        for step, child in items:
            yield from leaves(child, (*place, step))
    elif node is not None:
        yield place, node


def path_of(place: Place) -> str:
    """A place in the words of warnings."""
    path = ""
    for step in place:
        if isinstance(step, int) or _IDENTIFIER.fullmatch(step) is None:
            path += f"[{step}]"
        else:
            path += f".{step}" if path else step
    return path


def _is_default(path: str, value: Any) -> bool:
    return any(
        re.fullmatch(pattern, path, re.DOTALL) and (default is None or value == default)
        for pattern, default in _DEFAULTS
    )


def _without(node: Any, place: Place) -> Any:
    """The data without what is at a place; the rest of it is shared."""
    changed = copy.copy(node)
    if len(place) == 1:
        del changed[place[0]]
    else:
        changed[place[0]] = _without(node[place[0]], place[1:])
    return changed
