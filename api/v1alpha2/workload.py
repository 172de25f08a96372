# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How the server runs in the cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.k8s import (
    Env,
    Probe,
    PullSecrets,
    ResourceRequirements,
    SpreadConstraints,
    Toleration,
    VolumeMounts,
    Volumes,
)
from api.model import (
    ApiModel,
    Bool,
    Int32,
    Int64,
    IntOrString,
    LabelKey,
    LabelValue,
    Matching,
    NonEmpty,
    ObjectName,
    OpenObject,
    Percentage,
    Quantity,
    UniqueItems,
    rule,
    rules,
)
from api.v1alpha2 import messages


class Autoscaling(ApiModel):
    """A HorizontalPodAutoscaler for the server."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
                f"spec.workload.autoscaling.minReplicas: {messages.MIN_ABOVE_MAX}",
                field_path=".minReplicas",
            )
        )
    )

    max_replicas: Annotated[Int32, Field(ge=1)]
    """Most replicas."""

    min_replicas: Annotated[Int32, Field(ge=1)] | None = None
    """Fewest replicas; 1 if absent."""

    target_cpu_utilization_percentage: Annotated[
        Percentage | None, Field(alias="targetCPUUtilizationPercentage")
    ] = None
    """Average CPU use to aim at, in percent of the request; 80 if no target is given."""

    target_memory_utilization_percentage: Percentage | None = None
    """Average memory use to aim at, in percent of the request."""


class VolumeStorage(ApiModel):
    """A PersistentVolumeClaim for the server's files. An empty object asks for the defaults."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.accessModes) || self.accessModes.size() < 2"
                " || !self.accessModes.exists(mode, mode == 'ReadWriteOncePod')",
                f"spec.workload.storage.accessModes: {messages.ONE_POD_ONLY}",
                field_path=".accessModes",
            )
        )
    )

    size: Quantity | None = None
    """Size of the volume; 10Gi if absent. Can grow, never shrink."""

    mount_path: NonEmpty | None = None
    """Where the volume appears in the container; /.llama if absent."""

    storage_class_name: ObjectName | None = None
    """Class of the volume; the cluster's default if absent."""

    access_modes: Annotated[
        tuple[Literal["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"], ...],
        Field(max_length=4),
        UniqueItems(),
    ] = ("ReadWriteOnce",)
    """How nodes may mount the volume; ReadWriteOnce if absent."""

    retain_on_delete: Bool = False
    """Whether the claim stays when the resource is deleted; false if absent."""


class PodDisruptionBudget(ApiModel):
    """How many pods may be down at once when nodes are drained."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.minAvailable) != has(self.maxUnavailable)",
                f"spec.workload.podDisruptionBudget: {messages.ONE_BUDGET}",
            )
        )
    )

    min_available: IntOrString | None = None
    """Pods that must stay: a number or a percentage."""

    max_unavailable: IntOrString | None = None
    """Pods that may be down: a number or a percentage."""


class Overrides(ApiModel):
    """What the operator would decide otherwise. These values always win."""

    service_account_name: ObjectName | None = None
    """ServiceAccount of the pods; <name>-sa if absent."""

    env: Annotated[
        Env,
        Field(
            json_schema_extra=rules(
                rule(
                    "self.all(entry, !(has(entry.value) && has(entry.valueFrom)))",
                    f"spec.workload.overrides.env: {messages.ENV_VALUE}",
                )
            ),
        ),
    ] = ()
    """Environment variables of the server, in addition to or instead of the operator's."""

    command: tuple[str, ...] = ()
    """Command instead of the image's entrypoint."""

    args: tuple[str, ...] = ()
    """Arguments of the command."""

    volumes: Volumes = ()
    """Further volumes of the pods; any source of core/v1."""

    volume_mounts: VolumeMounts = ()
    """Further mounts of the server container."""

    image_pull_secrets: PullSecrets = ()
    """Secrets with credentials of registries."""

    node_selector: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Labels that a node must have."""

    tolerations: tuple[Toleration, ...] = ()
    """Taints that the pods accept."""

    affinity: OpenObject | None = None
    """Affinity of the pods, as in core/v1."""

    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Further labels of the pods."""

    annotations: dict[LabelKey, str] = Field(default_factory=dict)
    """Further annotations of the pods."""

    termination_grace_period_seconds: Annotated[Int64, Field(ge=0)] | None = None
    """Seconds that the server gets to stop; Kubernetes' 30 if absent."""

    container_name: (
        Annotated[
            str,
            Field(max_length=63),
            Matching(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "lower case letters, digits and '-'"),
        ]
        | None
    ) = None
    """Name of the server container; llama-stack if absent."""

    startup_probe: Probe | None = None
    """When the server counts as started."""

    readiness_probe: Probe | None = None
    """When the server gets traffic."""

    liveness_probe: Probe | None = None
    """When the server is restarted."""


class Workload(ApiModel):
    """How the server runs in the cluster."""

    replicas: Annotated[Int32, Field(ge=0)] = 1
    """Number of pods; 1 if absent. With autoscaling it is the autoscaler's business."""

    workers: Annotated[Int32, Field(ge=1)] | None = None
    """Processes of the server in each pod; each asks for one CPU."""

    resources: ResourceRequirements | None = None
    """Compute resources of the server."""

    autoscaling: Autoscaling | None = None
    """Number of pods by load."""

    storage: VolumeStorage | None = None
    """A volume for the server's files; without it they are gone with the pod."""

    pod_disruption_budget: PodDisruptionBudget | None = None
    """How many pods may be down at once when nodes are drained."""

    topology_spread_constraints: SpreadConstraints = ()
    """How the pods are spread over zones and nodes, instead of the operator's way."""

    overrides: Overrides = Overrides.model_construct()
    """What the operator would decide otherwise."""
