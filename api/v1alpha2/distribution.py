# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which server runs, and the way round the generated configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from api.model import ApiModel, NamespaceName, ObjectName, rule, rules
from api.v1alpha2 import messages


class Distribution(ApiModel):
    """The server image: a name that the operator knows, or an image reference."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.name) != has(self.image)", f"spec.distribution: {messages.ONE_SOURCE}")
        )
    )

    name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """Name of a distribution that the operator brings a base configuration for, e.g. starter."""

    image: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Image of a distribution, used verbatim. Its base configuration comes from labels of the
    image, or overrideConfig gives a whole one."""


class OverrideConfig(ApiModel):
    """A complete config.yaml that is used instead of a generated one."""

    config_map_name: ObjectName
    """Name of the ConfigMap with the key config.yaml."""

    config_map_namespace: NamespaceName | None = None
    """Namespace of the ConfigMap; that of the resource if absent. Another namespace works only if
    the operator runs with --allow-cross-namespace-config."""
