# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What this v1alpha1 has and the Go operator's has not, which drops it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

GENERATED: Final = (
    "spec.server.providers",
    "spec.server.resources",
    "spec.server.disabled",
    "spec.server.storage.type",
    "spec.server.storage.connectionString",
    "spec.server.externalProviders",
)
"""The operator generates the server's configuration."""

SERVED: Final = ("spec.server.port", "spec.server.tls")
"""The server's own port and certificate."""


def added_paths(obj: Mapping[str, Any]) -> Iterator[str]:
    """Those of the fields that an object has.

    Args:
        obj: of v1alpha1, as decoded from JSON; may be anything at all.
    """
    for path in (*GENERATED, *SERVED):
        node: Any = obj
        for part in path.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        if node is not None:
            yield path
