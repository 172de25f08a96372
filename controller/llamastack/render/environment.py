# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The container's environment: ours, then the provider credentials, then the user's.

A user's variable replaces ours of the same name, in place, so that no name is sent twice: a
duplicate list key makes server-side apply fail with a 500 (G6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.v1alpha2.references import CONFIG_KEY
from configs.secrets import EnvFromSecret
from controller.llamastack.render import ca_bundle
from controller.llamastack.render.user import plain

if TYPE_CHECKING:
    from controller.llamastack.render.inputs import Inputs, Mounts

CONFIG_DIRECTORY = "/etc/llama-stack"
CONFIG_PATH = f"{CONFIG_DIRECTORY}/{CONFIG_KEY}"


def environment(inputs: Inputs, mounts: Mounts) -> list[dict[str, Any]]:
    """The ``env`` list, each name once."""
    merged = {entry["name"]: entry for entry in (*_ours(inputs, mounts), *_generated(inputs))}
    overrides = inputs.spec.workload.overrides
    for variable in overrides.env:
        merged[variable.name] = plain(variable)
    return list(merged.values())


def _ours(inputs: Inputs, mounts: Mounts) -> list[dict[str, Any]]:
    values = {
        "HF_HOME": inputs.mount_path,
        **(ca_bundle.environment() if inputs.ca_bundle else {}),
        # The image runs as a user without a home of its own; everything else is read-only to it.
        "HOME": inputs.mount_path,
        "LLS_WORKERS": str(inputs.spec.workload.workers or 1),
        "LLS_PORT": str(inputs.port),
        # `llama stack run` ignores server.port of the configuration (R-D14).
        "LLAMA_STACK_PORT": str(inputs.port),
    }
    if mounts.config_map_name:
        # The image's entrypoint reads the first, the uvicorn factory the second.
        values["RUN_CONFIG_PATH"] = CONFIG_PATH
        values["LLAMA_STACK_CONFIG"] = CONFIG_PATH
    return [{"name": name, "value": value} for name, value in values.items()]


def _generated(inputs: Inputs) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for variable in inputs.generated.env:
        if isinstance(variable, EnvFromSecret):
            reference = {"name": variable.secret_name, "key": variable.key}
            entries.append({"name": variable.name, "valueFrom": {"secretKeyRef": reference}})
        else:
            entries.append({"name": variable.name, "value": variable.value})
    return entries
