# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which server runs, and the way round the generated configuration."""

from __future__ import annotations

from pydantic import ConfigDict

from api.model import rule, rules
from api.v1alpha1.fields import LabelOrEmpty, ObjectNameOrEmpty
from api.v1alpha2 import distribution, messages


class Distribution(distribution.Distribution):
    """The server image: a name that the operator knows, or an image reference."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.name) != has(self.image)",
                f"spec.server.distribution: {messages.ONE_SOURCE}",
            )
        )
    )


class UserConfig(distribution.OverrideConfig):
    """A complete config.yaml that is used instead of a generated one."""

    config_map_name: ObjectNameOrEmpty
    """Name of the ConfigMap with the key config.yaml; empty is as if userConfig were absent."""

    config_map_namespace: LabelOrEmpty | None = None
    """Namespace of the ConfigMap; that of the resource if absent or empty. Another namespace works
    only if the operator runs with --allow-cross-namespace-config."""
