# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The server's pods: what is overridden, how many there are, and where."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from api.k8s import VolumeMount
from api.model import ApiModel, Int64, NamedOpenObject, rule, rules
from api.v1alpha1.fields import ObjectNameOrEmpty
from api.v1alpha2 import messages, workload


class PodOverrides(ApiModel):
    """What the operator would decide otherwise. These values always win."""

    service_account_name: ObjectNameOrEmpty | None = None
    """ServiceAccount of the pods; <name>-sa if absent or empty."""

    termination_grace_period_seconds: Annotated[Int64, Field(ge=0)] | None = None
    """Seconds that the server gets to stop; Kubernetes' 30 if absent."""

    volumes: tuple[NamedOpenObject, ...] = ()
    """Further volumes of the pods; any source of core/v1."""

    volume_mounts: tuple[VolumeMount, ...] = ()
    """Further mounts of the server container."""


class PodDisruptionBudget(workload.PodDisruptionBudget):
    """How many pods may be down at once when nodes are drained."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.minAvailable) || !has(self.maxUnavailable)",
                f"spec.server.podDisruptionBudget: {messages.ONE_BUDGET}",
            )
        )
    )


class Autoscaling(workload.Autoscaling):
    """A HorizontalPodAutoscaler for the server."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
                f"spec.server.autoscaling.minReplicas: {messages.MIN_ABOVE_MAX}",
                field_path=".minReplicas",
            )
        )
    )
