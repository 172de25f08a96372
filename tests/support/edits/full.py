# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A spec that asks for a child of every kind, and what the operator makes of it."""

from __future__ import annotations

from typing import Any, Final

from controller.llamastack.children import table
from controller.llamastack.objects.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    FEATURE_FLAGS,
    LLAMA_STACK,
    NETWORK_POLICY_FLAG,
    OPERATOR_CONFIG_NAME,
)
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.render import deployment, names, role_binding
from controller.llamastack.render.inputs import NO_MOUNTS, Inputs, Mounts, Options
from controller.llamastack.render.manifest import Child
from tests.support.config_specs import DISTRIBUTIONS
from tests.support.edits.row import MINIMAL, Json, merged
from tests.support.world import SYSTEM

FULL: Final = merged(
    MINIMAL,
    {
        "networking": {"expose": {"hostname": "a.example"}},
        "workload": {
            "autoscaling": {"maxReplicas": 3},
            "podDisruptionBudget": {"maxUnavailable": 1},
            "storage": {"accessModes": ["ReadWriteMany"]},
        },
    },
)
"""A child of every kind, if network policies are on."""

OPTIONS: Final = Options(network_policies=True, merge_image="registry.example/operator:1")
"""What an operator does that is told to do everything, on a plain Kubernetes."""

KINDS: Final = (
    *(kind.resource for kind in table.KINDS if kind.available(OPTIONS)),
    DEPLOYMENT,
    CONFIG_MAP,
)
"""Every kind that a child can be of."""

EVERY_FEATURE: Final[Json] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": OPERATOR_CONFIG_NAME, "namespace": SYSTEM},
    "data": {FEATURE_FLAGS: f"{NETWORK_POLICY_FLAG}: {{enabled: true}}"},
}
"""The operator's ConfigMap that turns everything on."""

MOUNTS: Final = Mounts("config", installs_name="installs")
"""What pods of a server with external providers mount; the rest is the image's own without."""

IN_SYSTEM: Final = {"OPERATOR_NAMESPACE": SYSTEM}
"""The environment of an operator that finds its ConfigMap."""


def resource(name: str, namespace: str, spec: Json = FULL) -> Json:
    """A resource with a spec."""
    return {
        "apiVersion": LLAMA_STACK.api_version,
        "kind": LLAMA_STACK.kind,
        "metadata": {"name": name, "namespace": namespace, "uid": "u", "generation": 1},
        "spec": spec,
    }


def children_of(name: str, namespace: str, spec: Json = FULL) -> list[Child]:
    """The children of a resource with a spec, but for the generated ConfigMap."""
    inputs = _inputs(name, namespace, spec)
    return [
        *table.before_deployment(inputs),
        *table.after_deployment(inputs),
        deployment.render(inputs, MOUNTS if inputs.installs else NO_MOUNTS),
    ]


def role_binding_of(name: str, namespace: str) -> Child:
    """What it has besides where an administrator allowed that."""
    child = role_binding.render(_inputs(name, namespace))
    assert child is not None
    return child


def config_map_names_of(name: str, namespace: str) -> list[str]:
    """Every name that its generated ConfigMap may have."""
    config_hash = _inputs(name, namespace).generated.config_hash
    return [names.config_map(name, config_hash, length) for length in names.CONFIG_HASH_LENGTHS]


def _inputs(name: str, namespace: str, spec: Json = FULL) -> Inputs:
    obj: Any = resource(name, namespace, spec)
    plan = make_plan(obj, DISTRIBUTIONS)
    assert plan.cr is not None
    assert plan.generated is not None
    return Inputs(obj, plan.cr.spec, plan.generated, options=OPTIONS)
