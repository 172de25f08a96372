# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Providers: who serves each API of the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Field

from api.model import ApiModel, NonEmpty, OpenObject, Polymorphic
from api.v1alpha2.normalize import one_or_list
from api.v1alpha2.providers import Endpoint, Identifier
from api.v1alpha2.secrets import SecretSource

Section: TypeAlias = Literal[
    "inference",
    "safety",
    "vectorIo",
    "agents",
    "memory",
    "toolRuntime",
    "telemetry",
]
"""A section of ``spec.server.providers``."""

SECTIONS: Final[tuple[Section, ...]] = get_args(Section)
"""All sections, in the order of the documentation."""


class Provider(ApiModel):
    """One provider of an API."""

    given_id: Annotated[Identifier | None, Field(alias="id")] = None
    """How models and the server refer to this provider. Required on each provider of a list with
    more than one; otherwise it is the provider's type."""

    provider: Identifier
    """Type of the provider: a short name such as vllm or openai, or a full type such as
    remote::vllm, which is passed on verbatim."""

    endpoint: Endpoint | None = None
    """URL of the service behind the provider."""

    api_key_source: Annotated[SecretSource | None, Field(alias="apiKey")] = None
    """Key of the service, kept in a Secret: {secretKeyRef: {name, key}}."""

    config: OpenObject = Field(default_factory=dict)
    """Further configuration, passed on as it is. Never put a secret here."""

    host_source: Annotated[SecretSource | None, Field(alias="host")] = None
    """Host of the service or database, kept in a Secret: {secretKeyRef: {name, key}}."""

    region: NonEmpty | None = None
    """Region of a cloud provider; required for bedrock."""

    deployment_name: NonEmpty | None = None
    """Name of the deployment; required for azure."""


ProviderList: TypeAlias = Annotated[
    tuple[Annotated[Provider, Polymorphic("")], ...],
    BeforeValidator(one_or_list),
    Polymorphic("One object or a list of objects"),
]


class Providers(ApiModel):
    """The providers of each API.

    A section replaces the whole section of the distribution (R-D7).
    """

    mistaken: ClassVar[Mapping[str, str]] = {
        "externalProviders": "did you mean spec.server.externalProviders?",
    }

    inference: ProviderList = ()
    """Providers of models: chat, completions, embeddings, reranking."""

    safety: ProviderList = ()
    """Providers of shields, which moderate content."""

    vector_io: ProviderList = ()
    """Vector databases."""

    agents: ProviderList = ()
    """Providers of agents, called responses in newer servers."""

    memory: ProviderList = ()
    """Providers of conversation memory; only old servers have this API."""

    tool_runtime: ProviderList = ()
    """Providers of tools: search, file search, MCP servers."""

    telemetry: ProviderList = ()
    """Where traces and metrics go; becomes OTEL_* variables of the server."""
