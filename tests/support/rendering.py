# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Resources in short, and the children that are rendered for them."""

from __future__ import annotations

from typing import Any

from controller.llamastack.planning.plan import make_plan
from controller.llamastack.preview import preview
from tests.support.config_specs import DISTRIBUTIONS

VLLM = {
    "inference": {
        "provider": "vllm",
        "endpoint": "http://vllm:8000/v1",
        "apiKey": {"secretKeyRef": {"name": "creds", "key": "token"}},
    }
}


def resource(**spec: Any) -> dict[str, Any]:
    """A resource of the distribution starter, unless the spec says otherwise."""
    return {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "demo", "namespace": "prod", "uid": "u", "generation": 1},
        "spec": {"distribution": {"name": "starter"}, **spec},
    }


def children(**spec: Any) -> dict[str, dict[str, Any]]:
    """What is rendered for a resource with that spec, by kind."""
    obj = resource(**spec)
    plan = make_plan(obj, DISTRIBUTIONS)
    assert plan.problem is None, plan.problem
    return {manifest["kind"]: manifest for manifest in preview(obj, plan)}


def pod(**spec: Any) -> dict[str, Any]:
    """The spec of its pods."""
    result: dict[str, Any] = children(**spec)["Deployment"]["spec"]["template"]["spec"]
    return result
