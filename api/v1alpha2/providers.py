# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Providers: who serves each API of the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Final, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Field
from pydantic.alias_generators import to_snake

from api.model import ApiModel, Internal, Matching, OpenObject, Polymorphic
from api.v1alpha2 import messages, normalize
from api.v1alpha2.secrets import SecretKeySelector, SecretSource

Section: TypeAlias = Literal[
    "inference",
    "safety",
    "vectorIo",
    "toolRuntime",
    "telemetry",
    "agents",
    "memory",
    "datasetIo",
    "scoring",
    "eval",
    "postTraining",
    "files",
    "batches",
]
"""A section of ``spec.providers``, which is also how ``spec.disabled`` names an API."""

SECTIONS: Final[tuple[Section, ...]] = get_args(Section)
"""All sections, in the order of the documentation."""

_FIELDS: Final = {section: to_snake(section) for section in SECTIONS}

IDENTIFIER: Final = r"^[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9])?$"
"""Ids and types of providers: no slash (clients write ``<id>/<model>``), no space, no ``${``."""

ENDPOINT: Final = r"^([A-Za-z][A-Za-z0-9+.-]*://|\$\{env\.)\S+$"
"""A URL, or an environment reference that the server expands to one."""

FIELD_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_.-]*$"
"""Name of a configuration field that is kept in a Secret."""


Identifier: TypeAlias = Annotated[
    str,
    Field(max_length=128),
    Matching(IDENTIFIER, "letters, digits and . _ : - with a letter or digit at each end"),
]
Endpoint: TypeAlias = Annotated[str, Field(max_length=2048), Matching(ENDPOINT, messages.A_URL)]
SecretField: TypeAlias = Annotated[
    str,
    Field(max_length=128),
    Matching(FIELD_NAME, "the name of a configuration field, e.g. host"),
]


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

    secret_sources: Annotated[dict[SecretField, SecretSource], Field(alias="secretRefs")] = Field(
        default_factory=dict
    )
    """Further configuration fields that are kept in Secrets, e.g. {host: {secretKeyRef: {name,
    key}}}."""

    settings: OpenObject = Field(default_factory=dict)
    """Further configuration, passed on as it is. Never put a secret here."""

    path: Annotated[str, Internal()] = ""
    """Where the user wrote it, e.g. ``spec.providers.inference[1]``; filled in when reading."""

    @property
    def id(self) -> str:
        """The id that was given, else the type."""
        return self.given_id or self.provider

    @property
    def api_key(self) -> SecretKeySelector | None:
        """Where the key of the service is kept."""
        return self.api_key_source.secret_key_ref if self.api_key_source else None

    @property
    def secret_refs(self) -> dict[str, SecretKeySelector]:
        """Field → where its value is kept, in the order of the object."""
        return {field: source.secret_key_ref for field, source in self.secret_sources.items()}

    def configures(self, *names: str) -> bool:
        """Whether one of these configuration fields has a value, plain or from a Secret."""
        return any(self.settings.get(name) or name in self.secret_sources for name in names)


ProviderList: TypeAlias = Annotated[
    tuple[Annotated[Provider, Polymorphic("")], ...],
    BeforeValidator(normalize.provider_list),
    Polymorphic("One object or a list of objects"),
]


class Providers(ApiModel):
    """The providers of each API.

    A section replaces the whole section of the distribution (R-D7).
    """

    mistaken: ClassVar[Mapping[str, str]] = {
        "externalProviders": "did you mean spec.externalProviders?",
    }

    inference: ProviderList = ()
    """Providers of models: chat, completions, embeddings, reranking."""

    safety: ProviderList = ()
    """Providers of shields, which moderate content."""

    vector_io: ProviderList = ()
    """Vector databases."""

    tool_runtime: ProviderList = ()
    """Providers of tools: search, file search, MCP servers."""

    telemetry: ProviderList = ()
    """Where traces and metrics go; becomes OTEL_* variables of the server."""

    agents: ProviderList = ()
    """Providers of agents, called responses in newer servers."""

    memory: ProviderList = ()
    """Providers of conversation memory; only old servers have this API."""

    dataset_io: ProviderList = ()
    """Providers of datasets."""

    scoring: ProviderList = ()
    """Providers of scoring functions."""

    eval: ProviderList = ()
    """Providers of evaluations."""

    post_training: ProviderList = ()
    """Providers of fine-tuning; servers from 0.7 on lack this API."""

    files: ProviderList = ()
    """Stores of uploaded files."""

    batches: ProviderList = ()
    """Providers of batch processing."""

    def items(self) -> Iterator[tuple[Section, tuple[Provider, ...]]]:
        """The sections that have providers, in the order of :data:`SECTIONS`."""
        for section in SECTIONS:
            if found := self.section(section):
                yield section, found

    def section(self, name: Section) -> tuple[Provider, ...]:
        """The providers of one section."""
        found: tuple[Provider, ...] = getattr(self, _FIELDS[name])
        return found

    def all(self) -> Iterator[Provider]:
        """Every provider of every section."""
        for section in SECTIONS:
            yield from self.section(section)
