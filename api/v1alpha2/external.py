# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Providers that come as images and are installed when a pod starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_snake

from api.external_apis import (
    API_OF_SECTION,
    MAX_PROVIDER_ID,
    PROVIDER_ID,
    ExternalSection,
)
from api.model import ANYTHING, ApiModel, Json, KeyedBy, Matching, OpenObject, Quantity, rule, rules
from api.v1alpha2 import messages

MAX_PROVIDERS: Final = 10
"""External providers of one API; each is an init container that every pod start waits for."""

ProviderId: TypeAlias = Annotated[
    str,
    Field(max_length=MAX_PROVIDER_ID),
    Matching(
        f"^{PROVIDER_ID}$", "lower case letters, digits and '-', with a letter or digit at each end"
    ),
]
ImageReference: TypeAlias = Annotated[
    # No spaces, quotes or dollar signs: it ends up in scripts' environments and messages.
    str,
    Field(max_length=1024),
    Matching(r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$", "an image reference"),
]


_IN_IMAGE: Final = "the provider's image says it, in lls-provider-spec.yaml"
_INSTALL: Final = "did you mean externalProviders.install.{}?"


class ExternalProvider(ApiModel):
    """A provider that an image brings. Its type and module come from the image."""

    mistaken: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("api", "module", "packageName", "provider", "providerType"), _IN_IMAGE),
        "id": "did you mean providerId?",
        "resources": _INSTALL.format("resources"),
        "settings": "did you mean config?",
        "sizeLimit": _INSTALL.format("sizeLimit"),
        ANYTHING: "fields of the provider's own belong below config",
    }

    provider_id: ProviderId
    """Name of this instance, unique over all external providers of the resource."""

    image: ImageReference
    """Image with the provider's packages; a digest is better than a tag."""

    image_pull_policy: Literal["Always", "Never", "IfNotPresent"] = "IfNotPresent"
    """When the image is pulled; IfNotPresent if absent."""

    config: OpenObject | None = None
    """Configuration of the provider, passed on as it is."""


ExternalList: TypeAlias = Annotated[
    tuple[ExternalProvider, ...], Field(max_length=MAX_PROVIDERS), KeyedBy(("providerId",))
]


def unique_ids(path: str) -> list[Json]:
    """Ids are unique in a list by its key; these rules compare each list with those before it.

    Written out in pairs, because the API server bounds the cost of a rule by what it can see: it
    does not see how long a list is that a rule puts together.

    Args:
        path: of the external providers, for the messages.
    """
    sections = list(API_OF_SECTION)
    return [
        rule(
            f"!has(self.{section}) || ("
            + " && ".join(
                f"(!has(self.{earlier}) || !self.{section}.exists(p, "
                f"self.{earlier}.exists(q, q.providerId == p.providerId)))"
                for earlier in sections[:index]
            )
            + ")",
            f"{path}.{section}: {messages.EXTERNAL_ID_ELSEWHERE}",
            field_path=f".{section}",
        )
        for index, section in enumerate(sections)
        if index
    ]


class InstallResources(ApiModel):
    """Compute resources of the init containers that install providers and merge configurations."""

    requests: dict[str, Quantity] = Field(default_factory=dict)
    """What the scheduler reserves; cpu 100m and memory 256Mi if absent."""

    limits: dict[str, Quantity] = Field(default_factory=dict)
    """What one of them may not exceed; memory 512Mi, or what the operator was told, if absent."""


class ExternalInstall(ApiModel):
    """What the installation of external providers may take."""

    mistaken: ClassVar[Mapping[str, str]] = {
        "limits": "did you mean resources.limits?",
        "requests": "did you mean resources.requests?",
    }

    resources: InstallResources | None = None
    """Compute resources of each init container."""

    size_limit: Quantity | None = None
    """Most that the installed packages of a pod may take on its node's disk; a pod with more is
    evicted. 2Gi, or what the operator was told, if absent."""


class ExternalProviders(ApiModel):
    """Providers that come as images and are installed when a pod starts."""

    model_config = ConfigDict(json_schema_extra=rules(*unique_ids("spec.externalProviders")))

    mistaken: ClassVar[Mapping[str, str]] = {
        "resources": _INSTALL.format("resources"),
        "responses": "did you mean agents?",
        "sizeLimit": _INSTALL.format("sizeLimit"),
    }

    inference: ExternalList = ()
    """Providers of models."""

    safety: ExternalList = ()
    """Providers of shields."""

    agents: ExternalList = ()
    """Providers of agents."""

    vector_io: ExternalList = ()
    """Vector databases."""

    dataset_io: ExternalList = ()
    """Providers of datasets."""

    scoring: ExternalList = ()
    """Providers of scoring functions."""

    eval: ExternalList = ()
    """Providers of evaluations."""

    tool_runtime: ExternalList = ()
    """Providers of tools."""

    post_training: ExternalList = ()
    """Providers of fine-tuning."""

    install: ExternalInstall | None = None
    """What the installation may take."""

    def items(self) -> Iterator[tuple[ExternalSection, tuple[ExternalProvider, ...]]]:
        """The sections that have providers, in the order of :data:`API_OF_SECTION`."""
        for section in API_OF_SECTION:
            if found := self.section(section):
                yield section, found

    def section(self, name: str) -> tuple[ExternalProvider, ...]:
        """The providers of one section; none for an API that takes no external ones."""
        found: tuple[ExternalProvider, ...] = getattr(self, to_snake(name), ())
        return found
