# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which APIs take providers that come as images, and what each is called where.

Apart from the models, because the merge in a pod needs the table and no pydantic.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

ExternalSection: TypeAlias = Literal[
    "inference",
    "safety",
    "agents",
    "vectorIo",
    "datasetIo",
    "scoring",
    "eval",
    "toolRuntime",
    "postTraining",
]

PROVIDER_ID: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
"""An external provider's id; it is part of the name of its init container, and of a path."""

MAX_PROVIDER_ID: Final = 63
"""Characters of it."""

API_OF_SECTION: Final[Mapping[ExternalSection, str]] = MappingProxyType(
    {
        "inference": "inference",
        "safety": "safety",
        "agents": "agents",
        "vectorIo": "vector_io",
        "datasetIo": "datasetio",
        "scoring": "scoring",
        "eval": "eval",
        "toolRuntime": "tool_runtime",
        "postTraining": "post_training",
    }
)
"""Section → name of the API in provider images and in config.yaml. The only such table: its order
is the order of init containers, of the merge and of the status; note ``datasetio``."""
