# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Labels and selectors of children. Binding, and selectors are immutable (D10)."""

from __future__ import annotations

from controller.llamastack.kinds import MANAGED_BY, MANAGED_BY_VALUE


def of_objects() -> dict[str, str]:
    """Labels on the metadata of every child."""
    return {
        MANAGED_BY: MANAGED_BY_VALUE,
        "app.kubernetes.io/part-of": "llama-stack",
        "llamastack.io/watch": "true",
    }


def of_config_map(cr: str) -> dict[str, str]:
    """Labels of a generated ConfigMap; the last two are how pruning finds its own."""
    return {
        **of_objects(),
        "app.kubernetes.io/instance": cr,
        "app.kubernetes.io/component": "config",
    }


def selector(cr: str) -> dict[str, str]:
    """Labels of the pods, and what Deployment and Service select."""
    return {"app": "llama-stack", "app.kubernetes.io/instance": cr}
