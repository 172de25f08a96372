# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the server is to run with: where plan and references meet. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from informers.ports import ObjectKey

if TYPE_CHECKING:
    from api.v1alpha2 import Spec
    from configs.engine import Generated
    from controller.llamastack.objects.problem import Problem


@dataclass(frozen=True, slots=True)
class OverrideLocation:
    """Where the user's configuration is.

    Attributes:
        key: of the ConfigMap.
        elsewhere: whether that is not the resource's namespace.
    """

    key: ObjectKey
    elsewhere: bool


def override_location_of(spec: Spec, namespace: str) -> OverrideLocation | None:
    """The ConfigMap that a spec names; None for another source of configuration."""
    if spec.override_config is None:
        return None
    home = spec.override_config.config_map_namespace or namespace
    return OverrideLocation(
        ObjectKey(home, spec.override_config.config_map_name), home != namespace
    )


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration in its last form, or why there is none.

    Attributes:
        generated: image, configuration and environment, unless there is a problem.
        problem: why there is no configuration.
        config_map_name: of a ConfigMap that holds it already: the user's own, or a copy of it.
        users_key: of it in the user's own ConfigMap, all of which is mounted; empty if it is not.
        text: what is to be said of the user's own configuration; empty if there is none, or if
            nothing changed since something was said of it.
    """

    generated: Generated | None = None
    problem: Problem | None = None
    config_map_name: str = ""
    users_key: str = ""
    text: str = ""
