# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the API server says of a Deployment, at the fields that its author wrote."""

from __future__ import annotations

from typing import Any

import pytest

from configs.distributions import Distributions
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.render import deployment
from controller.llamastack.render.inputs import NO_MOUNTS, Inputs
from controller.llamastack.render.origins import origin_of
from tests.support.apicase import resource

OVERRIDES: dict[str, Any] = {
    "env": [{"name": "A", "value": "1"}],
    "volumes": [{"name": "mine", "emptyDir": {"sizeLimit": "1Gi"}}],
    "volumeMounts": [{"name": "other", "mountPath": "/m"}],
    "affinity": {"podAffinity": 1},
    "labels": {"a": "b"},
    "annotations": {"k": "v"},
}
WORKLOAD: dict[str, Any] = {"overrides": OVERRIDES, "resources": {"requests": {"cpu": "2"}}}


def told(message: str) -> str:
    obj = resource(workload=WORKLOAD)
    obj["metadata"] |= {"uid": "u", "namespace": "n"}
    plan = make_plan(obj, Distributions.load())
    assert plan.cr is not None
    assert plan.generated is not None
    inputs = Inputs(owner=obj, spec=plan.cr.spec, generated=plan.generated)
    return origin_of(message, deployment.render(inputs, NO_MOUNTS).manifest, plan.cr.spec)


_TYPED = "failed to create typed patch object (n/demo; apps/v1, Kind=Deployment): "
_INVALID = 'Deployment.apps "demo" is invalid: '
_CONTAINER = "spec.template.spec.containers[0]"


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (
            f'{_TYPED}.spec.template.spec.volumes[name="mine"].emptyDir: expected map',
            "spec.workload.overrides.volumes[0].emptyDir",
        ),
        (
            f"{_INVALID}spec.template.spec.volumes[1].emptyDir.sizeLimit: Invalid value",
            "spec.workload.overrides.volumes[0].emptyDir.sizeLimit",
        ),
        (
            f'{_INVALID}{_CONTAINER}.volumeMounts[1].name: Not found: "other"',
            "spec.workload.overrides.volumeMounts[0].name",
        ),
        (
            f'{_TYPED}{_CONTAINER.replace("[0]", "")}[name="llama-stack"].env[name="A"].x: no',
            "spec.workload.overrides.env[0].x",
        ),
        (
            f"{_TYPED}.spec.template.spec.affinity.podAffinity: expected map, got &{{1}}",
            "spec.workload.overrides.affinity.podAffinity",
        ),
        (
            f"{_INVALID}{_CONTAINER}.resources.requests: must be less",
            "spec.workload.resources.requests",
        ),
        (
            f"{_INVALID}spec.template.metadata.labels: Invalid value",
            "spec.workload.overrides.labels",
        ),
        (f"{_INVALID}{_CONTAINER}.env[99].name: Invalid value", ""),
        (f"{_INVALID}{_CONTAINER}.volumeMounts: too many", "spec.workload.overrides.volumeMounts"),
        (f"{_INVALID}spec.template.spec.volumes[1]: Invalid", "spec.workload.overrides.volumes[0]"),
        (
            f"{_INVALID}spec.template.spec.affinity.podAffinity.x.y: Invalid value",
            "spec.workload.overrides.affinity.podAffinity",
        ),
        (
            f'{_TYPED}.spec.template.spec.affinity.podAffinity[name="a"]: no',
            "spec.workload.overrides.affinity.podAffinity",
        ),
        (f"{_INVALID}spec.template.spec: Invalid value", ""),
        (f"{_INVALID}spec.template.metadata: Invalid value", ""),
        (f"{_INVALID}{_CONTAINER}: Invalid value", ""),
        # Ours, and what the resource does not have.
        (f"{_INVALID}spec.template.spec.volumes[0].emptyDir: Invalid value", ""),
        (f"{_INVALID}spec.template.spec.tolerations[0].key: Invalid value", ""),
        (f"{_INVALID}{_CONTAINER}.securityContext: Forbidden", ""),
        ('deployments.apps "demo" is forbidden: exceeded quota', ""),
    ],
)
def test_refusal_of_a_deployment_leads_to_the_field_of_its_author(message: str, path: str) -> None:
    assert told(message) == path
