# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The status: what the operator saw and did.

Nothing in it is required but the keys of lists: a status is written with server-side apply by
several reconciles, and one server that leaves out a field must not make the API server refuse the
whole (the Go operator's CRD requires ``config`` of every provider, and froze on the first null).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.meta import Condition
from api.model import AnyValue, ApiModel, Int32, Int64, KeyedBy, Timestamp
from api.v1alpha2.reasons import ConditionType, ConfigSource, InstallPhase, Phase, Reason

__all__ = [
    "ConditionType",
    "ConfigGenerationStatus",
    "ConfigSource",
    "DistributionConfig",
    "ExternalProviderStatus",
    "InstallPhase",
    "Phase",
    "ProviderHealth",
    "ProviderInfo",
    "Reason",
    "ResolvedDistribution",
    "Status",
    "VersionInfo",
]


class VersionInfo(ApiModel):
    """Versions."""

    operator_version: str | None = None
    """Version of the operator that wrote this status."""

    llama_stack_server_version: str | None = None
    """Version that the server reports."""

    last_updated: Timestamp | None = None
    """When one of the versions last changed."""


class ProviderHealth(ApiModel):
    """What the server says about a provider's health; "Not Implemented" on all current ones."""

    status: str | None = None
    """The server's word."""

    message: str | None = None
    """The server's explanation."""


class ProviderInfo(ApiModel):
    """A provider as the running server lists it."""

    api: str
    """Name of the API."""

    provider_id: Annotated[str, Field(alias="provider_id")]
    """Id of the provider."""

    provider_type: Annotated[str, Field(alias="provider_type")]
    """Type of the provider."""

    config: AnyValue = None
    """Configuration, as far as the server shows it."""

    health: ProviderHealth | None = None
    """What the server says about its health."""


class DistributionConfig(ApiModel):
    """What the running server is."""

    active_distribution: str | None = None
    """Name of the distribution, or custom for an image."""

    providers: tuple[ProviderInfo, ...] = ()
    """Providers as the running server lists them."""

    pod_template: str | None = None
    """Names the pod template whose server was asked: with another one, nothing of it holds."""

    available_distributions: dict[str, str] = Field(default_factory=dict)
    """Distributions that this operator knows, with their images."""


class ResolvedDistribution(ApiModel):
    """What the distribution of the spec came to."""

    image: str | None = None
    """The image that runs."""

    config_source: ConfigSource | None = None
    """Where the base configuration comes from."""

    config_hash: str | None = None
    """Hash of the base configuration."""


class ConfigGenerationStatus(ApiModel):
    """The configuration that was generated last."""

    config_map_name: str | None = None
    """Name of the ConfigMap that holds it."""

    generated_at: Timestamp | None = None
    """When its content last changed."""

    provider_count: Int32 | None = None
    """Number of providers in it."""

    resource_count: Int32 | None = None
    """Number of registered models, tools and shields in it."""

    config_version: Int32 | None = None
    """Its schema version, as written in it."""

    era: str | None = None
    """Its schema generation: the version field has been 2 in all of them."""

    models: tuple[str, ...] = ()
    """Names that clients use for the registered models: <provider id>/<model>."""


class ExternalProviderStatus(ApiModel):
    """How far an external provider is."""

    provider_id: str
    """Id of the provider, as in the spec."""

    image: str
    """Image of the provider, as in the spec."""

    phase: InstallPhase
    """How far it is, over all pods: the worst one counts."""

    message: str | None = None
    """What happened, and what to do about it."""

    init_container_name: str | None = None
    """Name of the init container that installs it."""

    last_transition_time: Timestamp | None = None
    """When phase last changed."""


class Status(ApiModel):
    """What the operator saw and did."""

    phase: Phase | None = None
    """The state in one word. Programs should read conditions."""

    observed_generation: Int64 | None = None
    """Generation of the spec that this status is about."""

    conditions: Annotated[tuple[Condition, ...], KeyedBy(("type",))] = ()
    """The state in detail."""

    available_replicas: Int32 | None = None
    """Pods that serve."""

    selector: str | None = None
    """Label selector of the pods, for autoscalers."""

    service_url: Annotated[str | None, Field(alias="serviceURL")] = None
    """URL of the server inside the cluster."""

    route_url: Annotated[str | None, Field(alias="routeURL")] = None
    """URL of the server outside the cluster."""

    version: VersionInfo | None = None
    """Versions."""

    distribution_config: DistributionConfig | None = None
    """What the running server is."""

    resolved_distribution: ResolvedDistribution | None = None
    """What the distribution of the spec came to."""

    config_generation: ConfigGenerationStatus | None = None
    """The configuration that was generated last."""

    external_providers: Annotated[tuple[ExternalProviderStatus, ...], KeyedBy(("providerId",))] = ()
    """How far external providers are, in the order of their init containers."""
