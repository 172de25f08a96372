# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The server's container."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api import k8s
from api.model import ApiModel, Bool, rule, rules
from api.v1alpha1.fields import LabelOrEmpty, ObjectNameOrEmpty, PortOrZero, SchemaDefault
from api.v1alpha2 import messages


class KeySelector(k8s.KeySelector):
    """One key of a Secret or ConfigMap in the same namespace."""

    name: Annotated[ObjectNameOrEmpty, SchemaDefault("")] = ""
    """Name of the object."""


class FileKeySelector(k8s.FileKeySelector):
    """A key of an env file in a volume (Kubernetes 1.34 and later)."""

    optional: Annotated[Bool, SchemaDefault(value=False)] = False
    """Whether the container starts without it."""


class EnvVarSource(k8s.EnvVarSource):
    """Where the value of a variable comes from; exactly one of the fields."""

    secret_key_ref: KeySelector | None = None
    """A key of a Secret."""

    config_map_key_ref: KeySelector | None = None
    """A key of a ConfigMap."""

    file_key_ref: FileKeySelector | None = None
    """A key of an env file in a volume."""


class EnvVar(k8s.EnvVar):
    """An environment variable of the server."""

    value_from: EnvVarSource | None = None
    """Where its value comes from instead."""


class ContainerSpec(ApiModel):
    """The server's container."""

    name: Annotated[LabelOrEmpty, SchemaDefault("llama-stack")] = "llama-stack"
    """Name of the container; llama-stack if absent or empty."""

    port: PortOrZero | None = None
    """Port of the server and of its Service; server.port, else 8321, if absent or 0."""

    resources: k8s.ResourceRequirements | None = None
    """Compute resources of the server."""

    env: Annotated[
        tuple[EnvVar, ...],
        Field(
            max_length=1024,
            json_schema_extra=rules(
                rule(
                    "self.all(entry, !has(entry.valueFrom) || !has(entry.value)"
                    " || entry.value == '')",
                    f"spec.server.containerSpec.env: {messages.ENV_VALUE}",
                )
            ),
        ),
    ] = ()
    """Environment variables of the server, in addition to or instead of the operator's."""

    command: tuple[str, ...] = ()
    """Command instead of the image's entrypoint."""

    args: tuple[str, ...] = ()
    """Arguments of the command."""
