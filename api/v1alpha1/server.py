# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The server: which one runs, with what configuration, and how."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from api.k8s import TopologySpreadConstraint
from api.model import ApiModel, Int32, Port, UniqueItems, rule, rules
from api.v1alpha1.container import ContainerSpec
from api.v1alpha1.distribution import Distribution, UserConfig
from api.v1alpha1.external import ExternalProviders
from api.v1alpha1.pod import Autoscaling, PodDisruptionBudget, PodOverrides
from api.v1alpha1.providers import Providers
from api.v1alpha1.resources import Resources
from api.v1alpha1.storage import Storage
from api.v1alpha1.tls import ServerTls, TlsConfig
from api.v1alpha2 import messages
from api.v1alpha2.providers import Section

_WITH_USER_CONFIG: Final = messages.WITH_OVERRIDE.replace(
    "spec.overrideConfig", "spec.server.userConfig"
)
_NO_USER_CONFIG: Final = "!has(self.userConfig) || self.userConfig.configMapName == ''"

_GENERATED: Final = {
    "providers": "!has(self.providers)",
    "resources": "!has(self.resources)",
    # Its other fields are the volume.
    "storage": "!has(self.storage)"
    " || (!has(self.storage.type) && !has(self.storage.connectionString))",
    "disabled": "!has(self.disabled)",
}
"""Section that a configuration is generated from → condition that nothing is there."""


class Server(ApiModel):
    """The server. Only distribution is required."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *(
                rule(
                    f"{_NO_USER_CONFIG} || {absent}",
                    f"spec.server.{section}: {_WITH_USER_CONFIG}",
                )
                for section, absent in _GENERATED.items()
            )
        )
    )

    distribution: Distribution
    """Which server runs."""

    container_spec: ContainerSpec | None = None
    """The server's container."""

    workers: Annotated[Int32, Field(ge=1)] | None = None
    """Processes of the server in each pod; each asks for one CPU."""

    pod_overrides: PodOverrides | None = None
    """What the operator would decide otherwise."""

    pod_disruption_budget: PodDisruptionBudget | None = None
    """How many pods may be down at once when nodes are drained."""

    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = ()
    """How the pods are spread over zones and nodes, instead of the operator's way."""

    autoscaling: Autoscaling | None = None
    """Number of pods by load."""

    storage: Storage | None = None
    """A volume for the server's files, and where the server keeps its state."""

    user_config: UserConfig | None = None
    """A complete config.yaml that is used instead of a generated one. Excludes providers,
    resources, disabled, and the type and connectionString of storage."""

    tls_config: TlsConfig | None = None
    """Certificates that the server trusts."""

    providers: Providers | None = None
    """Who serves each API of the server: one object or a list of objects each."""

    disabled: Annotated[tuple[Section, ...], UniqueItems()] = ()
    """APIs of the distribution that are switched off."""

    resources: Resources | None = None
    """What is registered when the server starts: models, tools, shields."""

    port: Port | None = None
    """Port of the server and of its Service; 8321 if absent. That of containerSpec wins."""

    tls: ServerTls | None = None
    """Encryption of the server's own port."""

    external_providers: ExternalProviders | None = None
    """Providers that come as images and are installed when a pod starts."""
