# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The custom resource as it is read: metadata, spec, and the rules that span sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict

from api import GROUP, KIND, VERSION
from api.meta import ObjectMeta
from api.model import ApiModel, UniqueItems, rule, rules
from api.v1alpha2 import messages
from api.v1alpha2.distribution import Distribution, OverrideConfig
from api.v1alpha2.external import ExternalProviders
from api.v1alpha2.networking import Networking
from api.v1alpha2.providers import Providers, Section
from api.v1alpha2.resources import Resources
from api.v1alpha2.storage import Storage
from api.v1alpha2.workload import Workload

API_VERSION: Final = f"{GROUP}/{VERSION}"

GENERATED_SECTIONS: Final = ("providers", "resources", "storage", "disabled")
"""The sections that a configuration is generated from; overrideConfig excludes them (FR-013)."""

MAX_NAME: Final = 48
"""Longest name: the longest child is ``<name>-network-policy``, a DNS label of 63 characters."""


NAME_RULES: Final = (
    # Only on creation: a name cannot change, and an object that is there already must still be
    # able to lose its finalizer.
    rule(
        f"oldSelf.hasValue() || self.metadata.name.size() <= {MAX_NAME}",
        f"metadata.name: {messages.NAME_TOO_LONG}",
        optional_old_self=True,
    ),
    rule(
        "oldSelf.hasValue() || !self.metadata.name.contains('.')",
        f"metadata.name: {messages.NAME_WITH_DOTS}",
        optional_old_self=True,
    ),
)
"""What the names of children ask of a name, in CEL."""


class Spec(ApiModel):
    """What the user wants. Only distribution is required."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *(
                rule(
                    f"!has(self.overrideConfig) || !has(self.{section})",
                    f"spec.{section}: {messages.WITH_OVERRIDE}",
                )
                for section in GENERATED_SECTIONS
            )
        )
    )

    mistaken: ClassVar[Mapping[str, str]] = {
        "server": "it belongs to v1alpha1; the command convert writes a resource in v1alpha2",
    }

    distribution: Distribution
    """Which server runs."""

    # Defaults are constructed: a call would build a validator where there is nothing to check.
    providers: Providers = Providers.model_construct()
    """Who serves each API of the server: one object or a list of objects each."""

    resources: Resources = Resources.model_construct()
    """What is registered when the server starts: models, tools, shields."""

    storage: Storage | None = None
    """Where the server keeps its state. The disk for files is workload.storage."""

    disabled: Annotated[tuple[Section, ...], UniqueItems()] = ()
    """APIs of the distribution that are switched off."""

    networking: Networking = Networking.model_construct()
    """How the server is reached, and by whom."""

    workload: Workload = Workload.model_construct()
    """How the server runs in the cluster."""

    external_providers: ExternalProviders | None = None
    """Providers that come as images and are installed when a pod starts."""

    override_config: OverrideConfig | None = None
    """A complete config.yaml that is used instead of a generated one. Excludes providers,
    resources, storage and disabled."""

    @property
    def installs_providers(self) -> bool:
        """Whether there are external providers."""
        return self.external_providers is not None and any(self.external_providers.items())

    @property
    def generates_config(self) -> bool:
        """Whether a configuration must be generated; otherwise the image's own one runs (R-D13)."""
        resources = self.resources
        return bool(
            any(self.providers.items())
            or resources.models
            or resources.tools
            or resources.shields
            or (self.storage and (self.storage.kv or self.storage.sql))
            or self.disabled
        )


class LlamaStackDistribution(ApiModel):
    """A Llama Stack server.

    Without its status: that is ours, possibly of another version, and never keeps a spec from being
    read. What it may hold is :mod:`api.v1alpha2.stored`'s to say.
    """

    model_config = ConfigDict(json_schema_extra=rules(*NAME_RULES))

    api_version: str = API_VERSION
    """Group and version: llamastack.io/v1alpha2."""

    kind: str = KIND
    """LlamaStackDistribution."""

    metadata: ObjectMeta
    """Name, namespace, labels, annotations."""

    spec: Spec
    """What the user wants."""
