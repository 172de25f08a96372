# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Resources with external providers that several of fit on a machine with two processors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

REQUESTS: Final = {"requests": {"cpu": "50m", "memory": "64Mi"}}
"""Of each container."""


def with_external(
    external: Mapping[str, Any], *, name: str = "demo", **spec: Any
) -> dict[str, Any]:
    """A resource.

    Args:
        external: ``spec.externalProviders``; without ``install`` its containers ask for little.
        name: of the resource.
        spec: the rest, beside a distribution and a small workload.
    """
    small = {"resources": REQUESTS}
    return {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": name},
        "spec": {
            "distribution": {"name": "starter"},
            "workload": small,
            "externalProviders": {"install": small, **external},
            **spec,
        },
    }
