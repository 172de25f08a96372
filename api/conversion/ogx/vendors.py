# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The typed vendors of an OGXServer: what they are called here, and which fields are special."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from api.v1alpha2.providers import Section


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor.

    Attributes:
        provider: what it is called here: a short name, or a full type where a short name could
            mean another type, or asks for more than the type does.
        suffix: what an id that is not given ends in, after ``remote-`` or ``inline-``.
        endpoint: the field with its address; empty if it has none, or several.
        key: the field with the reference to its credential.
        secrets: further references: field → configuration field.
        renamed: field → setting, where it is not the same name in another spelling.
    """

    provider: str
    suffix: str = ""
    endpoint: str = ""
    key: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)


SECTIONS: Final[Mapping[str, Section]] = MappingProxyType(
    {
        "inference": "inference",
        "vectorIo": "vectorIo",
        "toolRuntime": "toolRuntime",
        "files": "files",
        "batches": "batches",
        "responses": "agents",
    }
)
"""Field of ``spec.providers`` there → here."""

APIS: Final[Mapping[str, Section]] = MappingProxyType(
    {
        "inference": "inference",
        "vector_io": "vectorIo",
        "tool_runtime": "toolRuntime",
        "files": "files",
        "batches": "batches",
        "responses": "agents",
    }
)
"""Value in ``spec.disabledAPIs`` there → in ``spec.disabled`` here."""

_AWS_KEYS: Final = MappingProxyType(
    {
        "awsAccessKeyId": "aws_access_key_id",
        "awsSecretAccessKey": "aws_secret_access_key",
    }
)

VENDORS: Final[Mapping[tuple[str, str, str], Vendor]] = MappingProxyType(
    {
        ("inference", "remote", "vllm"): Vendor("vllm", endpoint="endpoint", key="apiToken"),
        ("inference", "remote", "openai"): Vendor("openai", endpoint="endpoint", key="apiKey"),
        # The short name asks for the name of a deployment, for which there is no field there.
        ("inference", "remote", "azure"): Vendor(
            "remote::azure", "azure", endpoint="endpoint", key="apiKey"
        ),
        ("inference", "remote", "bedrock"): Vendor(
            "bedrock",
            key="apiKey",
            secrets={**_AWS_KEYS, "awsSessionToken": "aws_session_token"},
            renamed={"region": "region_name"},
        ),
        ("inference", "remote", "vertexai"): Vendor("vertexai"),
        ("inference", "remote", "watsonx"): Vendor("watsonx", endpoint="endpoint", key="apiKey"),
        ("vectorIo", "remote", "pgvector"): Vendor("pgvector", secrets={"password": "password"}),
        # These two are also types that run inside the server.
        ("vectorIo", "remote", "milvus"): Vendor(
            "remote::milvus", "milvus", endpoint="uri", key="token"
        ),
        ("vectorIo", "remote", "qdrant"): Vendor(
            "remote::qdrant", "qdrant", endpoint="url", key="apiKey"
        ),
        ("toolRuntime", "remote", "braveSearch"): Vendor("brave-search", key="apiKey"),
        ("toolRuntime", "remote", "tavilySearch"): Vendor("tavily-search", key="apiKey"),
        ("toolRuntime", "remote", "modelContextProtocol"): Vendor("model-context-protocol"),
        ("toolRuntime", "inline", "fileSearch"): Vendor("file-search"),
        ("files", "remote", "s3"): Vendor("s3", endpoint="endpointUrl", secrets=_AWS_KEYS),
        ("files", "inline", "localfs"): Vendor("localfs"),
        ("batches", "inline", "reference"): Vendor("reference"),
        ("responses", "inline", "builtin"): Vendor("builtin"),
    }
)
"""(API, remote or inline, vendor) → what it is here, in the order in which they are written."""

CUSTOM: Final = "custom"
"""The vendor whose entries name their type themselves."""


def unknown(kind: str, name: str) -> Vendor:
    """A vendor that came later: its type is what all others are made like."""
    suffix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
    return Vendor(f"{kind}::{suffix}", suffix, endpoint="endpoint", key="apiKey")
