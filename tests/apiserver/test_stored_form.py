# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the API server makes of what we send, defaults and all, is no difference to it.

Otherwise each reconcile would write again what is there: for every field of the spec, by dry runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from controller.llamastack.objects.compare import in_place, stamped
from controller.llamastack.objects.differences import differences
from controller.llamastack.planning.plan import make_plan
from hack.cluster.plane import ControlPlane
from tests.support.config_specs import DISTRIBUTIONS
from tests.support.edits.full import children_of, resource
from tests.support.edits.row import Json, merged
from tests.support.edits.table import ROWS

pytestmark = pytest.mark.apiserver


def specs() -> Iterator[tuple[str, Json]]:
    for row in ROWS:
        for step, spec in zip(("set", "changed"), row.steps, strict=False):
            plan = make_plan(resource("demo", "default", spec), DISTRIBUTIONS)
            if plan.cr is not None and plan.generated is not None:
                yield f"{row}, {step}", spec


ALL = list(specs())
CPU: Json = {"containerName": "llama-stack", "resource": "limits.cpu"}
FIELD: Json = {"fieldPath": "metadata.name"}
CLAIM: Json = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "1024Mi"}},
}
SCALE_IO: Json = {
    "gateway": "https://x",
    "system": "y",
    "secretRef": {"name": "z"},
    "volumeName": "v",
}
SOURCES: list[Json] = [
    {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    {"projected": {"sources": [{"configMap": {"name": "x"}}, {"secret": {"name": "y"}}]}},
    {
        "projected": {
            "sources": [{"downwardAPI": {"items": [{"path": "x", "resourceFieldRef": CPU}]}}]
        }
    },
    {"downwardAPI": {"items": [{"path": "x", "fieldRef": FIELD}]}},
    {"ephemeral": {"volumeClaimTemplate": {"spec": CLAIM}}},
    {"hostPath": {"path": "/x"}},
    {"csi": {"driver": "d.example", "nodePublishSecretRef": {"name": "x"}}},
    {"iscsi": {"targetPortal": "1.2.3.4", "iqn": "iqn.2001-04.com.example:x", "lun": 0}},
    {"rbd": {"monitors": ["x"], "image": "y"}},
    {"azureDisk": {"diskName": "x", "diskURI": "https://blob.example/x"}},
    {"scaleIO": SCALE_IO},
    {"image": {"reference": "registry.example/x:1"}},
]
"""Volumes of users in which the API server fills in something."""
OVERRIDES: Json = {
    "volumes": [{"name": f"v{number}", **source} for number, source in enumerate(SOURCES)],
    "env": [
        {"name": "A", "valueFrom": {"fieldRef": FIELD}},
        {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "C", "value": ""},
        {"name": "D"},
    ],
    "readinessProbe": {"httpGet": {"port": 1}},
    "livenessProbe": {"grpc": {"port": 1}},
    "tolerations": [{"key": "x", "value": "y", "effect": "NoSchedule"}],
}
MORE = merged(ALL[0][1], {"workload": {"overrides": OVERRIDES}})


def test_most_rows_are_looked_at() -> None:
    assert len(ALL) > len(ROWS)


@pytest.mark.parametrize(
    "spec", [*(spec for _, spec in ALL), MORE], ids=[*(name for name, _ in ALL), "volumes of users"]
)
def test_answer_is_what_was_sent(control_plane: ControlPlane, spec: Json) -> None:
    for child in children_of("demo", "default", spec):
        wanted = stamped(child.manifest)
        path = f"{child.resource.path(namespace='default')}?dryRun=All"
        status, answer = control_plane.client.raw("POST", path, wanted)
        assert status == 201, answer

        live = json.loads(answer)

        assert differences(wanted, live) == []
        assert in_place(wanted, live)
