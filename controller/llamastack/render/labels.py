# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Labels and selectors of children. Binding, and selectors are immutable (R-D10)."""

from __future__ import annotations

from controller.llamastack.objects.kinds import MANAGED_BY, MANAGED_BY_VALUE

COMPONENT = "app.kubernetes.io/component"
INSTANCE = "app.kubernetes.io/instance"
CONFIG = "config"


def of_objects() -> dict[str, str]:
    """Labels on the metadata of every child."""
    return {
        MANAGED_BY: MANAGED_BY_VALUE,
        "app.kubernetes.io/part-of": "llama-stack",
        "llamastack.io/watch": "true",
    }


def of_config_map(cr: str) -> dict[str, str]:
    """Labels of a generated ConfigMap; the last two are how pruning finds its own."""
    return _of_component(cr, CONFIG)


def of_ca_bundle(cr: str) -> dict[str, str]:
    """Labels of the ConfigMap of trusted certificates."""
    return _of_component(cr, "ca-bundle")


def _of_component(cr: str, component: str) -> dict[str, str]:
    return {**of_objects(), INSTANCE: cr, COMPONENT: component}


def selector(cr: str) -> dict[str, str]:
    """Labels of the pods, and what Deployment and Service select."""
    return {"app": "llama-stack", INSTANCE: cr}
