# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Shapes of core/v1 that users may write into ``workload`` and its overrides.

Typed or open? Typed where the shape is small and stable and a typo would otherwise surface only in
a pod that does not start: env, resources, mounts, tolerations, spread constraints, probes. Open
(kept whole, checked by the API server when it takes the Deployment) where upstream's type is huge
and grows with every release: volume sources (30 of them) and affinity. The Go operator's CRD spells
those out; they are nine tenths of its 180 KB, and go stale with every Kubernetes release.

List types are those of core/v1 itself, so server-side apply merges these lists here as it does
there.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from api.model import (
    ApiModel,
    AtomicModel,
    Bool,
    DataKey,
    Int32,
    Int64,
    IntOrString,
    KeyedBy,
    NamedOpenObject,
    NonEmpty,
    ObjectName,
    Quantity,
)


class LocalObjectReference(AtomicModel):
    """The name of an object in the same namespace."""

    name: ObjectName
    """Name of the object."""


class KeySelector(AtomicModel):
    """One key of a Secret or ConfigMap in the same namespace."""

    name: ObjectName
    """Name of the object."""

    key: DataKey
    """The key in it."""

    optional: Bool = False
    """Whether the container starts without it."""


class FieldSelector(AtomicModel):
    """A field of the pod."""

    field_path: NonEmpty
    """Path of the field, e.g. metadata.name."""

    api_version: str | None = None
    """Version of the schema that the path is written in; v1 if absent."""


class ResourceFieldSelector(AtomicModel):
    """A resource of a container."""

    resource: NonEmpty
    """Which one, e.g. limits.memory."""

    container_name: str | None = None
    """Which container; this one if absent."""

    divisor: Quantity | None = None
    """Unit of the value."""


class FileKeySelector(AtomicModel):
    """A key of an env file in a volume (Kubernetes 1.34 and later)."""

    volume_name: NonEmpty
    """Name of the volume."""

    path: NonEmpty
    """Path of the file in the volume."""

    key: NonEmpty
    """Key in the file."""

    optional: Bool = False
    """Whether the container starts without it."""


class EnvVarSource(ApiModel):
    """Where the value of a variable comes from; exactly one of the fields."""

    secret_key_ref: KeySelector | None = None
    """A key of a Secret."""

    config_map_key_ref: KeySelector | None = None
    """A key of a ConfigMap."""

    field_ref: FieldSelector | None = None
    """A field of the pod."""

    resource_field_ref: ResourceFieldSelector | None = None
    """A resource limit or request of a container."""

    file_key_ref: FileKeySelector | None = None
    """A key of an env file in a volume."""


class EnvVar(ApiModel):
    """An environment variable of the server."""

    name: NonEmpty
    """Name of the variable."""

    value: str | None = None
    """Its value; $(NAME) refers to other variables."""

    value_from: EnvVarSource | None = None
    """Where its value comes from instead."""


class VolumeMount(ApiModel):
    """A volume in the file system of the server."""

    name: NonEmpty
    """Name of the volume."""

    mount_path: NonEmpty
    """Where it appears in the container."""

    sub_path: str | None = None
    """Path in the volume; its root if absent."""

    sub_path_expr: str | None = None
    """Like subPath, with $(NAME) expanded."""

    read_only: Bool | None = None
    """Whether writing is refused."""

    recursive_read_only: Literal["Disabled", "IfPossible", "Enabled"] | None = None
    """Whether read-only holds for mounts below, too."""

    mount_propagation: Literal["None", "HostToContainer", "Bidirectional"] | None = None
    """Whether mounts appear across the boundary of the container."""


class ResourceClaim(ApiModel):
    """A claim of dynamic resource allocation that the container uses."""

    name: NonEmpty
    """Name of a ResourceClaim in the namespace."""

    request: str | None = None
    """One request of the claim; all of them if absent."""


class ResourceRequirements(ApiModel):
    """Compute resources of the server container."""

    requests: dict[str, Quantity] = Field(default_factory=dict)
    """What the scheduler reserves."""

    limits: dict[str, Quantity] = Field(default_factory=dict)
    """What the container may not exceed."""

    claims: Annotated[tuple[ResourceClaim, ...], KeyedBy(("name",))] = ()
    """Claims of dynamic resource allocation, e.g. for GPUs."""


class Toleration(ApiModel):
    """A taint that the pods accept."""

    key: str | None = None
    """Key of the taint; every key if absent, with operator Exists."""

    operator: Literal["Exists", "Equal", "Lt", "Gt"] | None = None
    """How key and value are compared; Equal if absent."""

    value: str | None = None
    """Value of the taint."""

    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; every effect if absent."""

    toleration_seconds: Int64 | None = None
    """How long a NoExecute taint is tolerated; for ever if absent."""


class LabelSelectorRequirement(ApiModel):
    """One condition on a label."""

    key: NonEmpty
    """Key of the label."""

    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How key and values are compared."""

    values: tuple[str, ...] = ()
    """The values of In and NotIn."""


class LabelSelector(AtomicModel):
    """A selection by labels."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    """Labels that must have these values."""

    match_expressions: tuple[LabelSelectorRequirement, ...] = ()
    """Conditions that must all hold."""


class TopologySpreadConstraint(ApiModel):
    """How the pods are spread over zones or nodes."""

    max_skew: Annotated[Int32, Field(ge=1)]
    """By how many pods two domains may differ."""

    topology_key: NonEmpty
    """Label of the nodes that tells the domains apart."""

    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    """Whether a pod waits or goes where it makes the skew least bad."""

    label_selector: LabelSelector | None = None
    """Which pods are counted."""

    match_label_keys: tuple[str, ...] = ()
    """Labels of the pod whose values are added to the selector."""

    min_domains: Annotated[Int32, Field(ge=1)] | None = None
    """How many domains there must be."""

    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    """Whether nodes that the pod cannot use count."""

    node_taints_policy: Literal["Honor", "Ignore"] | None = None
    """Whether tainted nodes count."""


class HttpHeader(ApiModel):
    """A header of a probe's request."""

    name: NonEmpty
    """Name of the header."""

    value: str
    """Value of the header."""


class HttpGetAction(ApiModel):
    """A probe by HTTP."""

    port: IntOrString
    """Number or name of the port."""

    path: str | None = None
    """Path of the request."""

    host: str | None = None
    """Host to connect to; the pod's address if absent."""

    scheme: Literal["HTTP", "HTTPS"] | None = None
    """HTTP if absent."""

    http_headers: tuple[HttpHeader, ...] = ()
    """Further headers."""


class ExecAction(ApiModel):
    """A probe by a command in the container."""

    command: tuple[str, ...] = ()
    """The command and its arguments, without a shell."""


class TcpSocketAction(ApiModel):
    """A probe by a connection."""

    port: IntOrString
    """Number or name of the port."""

    host: str | None = None
    """Host to connect to; the pod's address if absent."""


class GrpcAction(ApiModel):
    """A probe by the gRPC health service."""

    port: Int32
    """Number of the port."""

    service: str | None = None
    """Name of the service that is asked about."""


class Probe(ApiModel):
    """A check by the kubelet. Fields that are left out keep the operator's values.

    Naming another way to probe (exec, httpGet, tcpSocket, grpc) replaces the operator's way.
    """

    http_get: HttpGetAction | None = None
    """Ask by HTTP."""

    exec: ExecAction | None = None
    """Run a command."""

    tcp_socket: TcpSocketAction | None = None
    """Open a connection."""

    grpc: GrpcAction | None = None
    """Ask the gRPC health service."""

    initial_delay_seconds: Annotated[Int32, Field(ge=0)] | None = None
    """Seconds before the first probe."""

    period_seconds: Annotated[Int32, Field(ge=1)] | None = None
    """Seconds between probes."""

    timeout_seconds: Annotated[Int32, Field(ge=1)] | None = None
    """Seconds until a probe counts as failed."""

    success_threshold: Annotated[Int32, Field(ge=1)] | None = None
    """Successes in a row that count as success."""

    failure_threshold: Annotated[Int32, Field(ge=1)] | None = None
    """Failures in a row that count as failure."""

    termination_grace_period_seconds: Annotated[Int64, Field(ge=1)] | None = None
    """Seconds to stop after a failed liveness or startup probe."""


Env: TypeAlias = Annotated[tuple[EnvVar, ...], Field(max_length=1024), KeyedBy(("name",))]
Volumes: TypeAlias = Annotated[tuple[NamedOpenObject, ...], KeyedBy(("name",))]
VolumeMounts: TypeAlias = Annotated[tuple[VolumeMount, ...], KeyedBy(("mountPath",))]
PullSecrets: TypeAlias = Annotated[tuple[LocalObjectReference, ...], KeyedBy(("name",))]
SpreadConstraints: TypeAlias = Annotated[
    tuple[TopologySpreadConstraint, ...], KeyedBy(("topologyKey", "whenUnsatisfiable"))
]
