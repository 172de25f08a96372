# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The container's environment: ours, then the provider credentials, then the user's.

A user's variable replaces ours of the same name, in place, so that no name is sent twice: a
duplicate list key makes server-side apply fail with a 500 (G6). Only the path to the packages of
external providers stays in front of whatever the user puts there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.v1alpha2.references import CONFIG_KEY
from configs.external import paths
from configs.secrets import EnvFromSecret
from controller.llamastack.render import ca_bundle
from controller.llamastack.render.user import plain

if TYPE_CHECKING:
    from controller.llamastack.render.inputs import Inputs, Mounts

CONFIG_VOLUME = "llama-stack-config"
CONFIG_DIRECTORY = "/etc/llama-stack"
CONFIG_PATH = f"{CONFIG_DIRECTORY}/{CONFIG_KEY}"
PYTHONPATH = "PYTHONPATH"

_USERS_PATH = "LLS_USER_PYTHONPATH"


def environment(inputs: Inputs, mounts: Mounts) -> list[dict[str, Any]]:
    """The ``env`` list, each name once."""
    merged = {entry["name"]: entry for entry in (*_ours(inputs, mounts), *_generated(inputs))}
    overrides = inputs.spec.workload.overrides
    for variable in overrides.env:
        merged[variable.name] = plain(variable)
    return list((_packages_first(merged) if inputs.installs else merged).values())


def _packages_first(merged: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """External providers first, then what the user has there, in its place: others may refer to it.

    A value that comes from elsewhere is not known here; the kubelet puts it in, from a variable
    that stands before.
    """
    given, path = merged.get(PYTHONPATH, {}), paths.PACKAGES
    users: dict[str, dict[str, Any]] = {}
    if "valueFrom" in given:
        users[_USERS_PATH] = {**given, "name": _USERS_PATH}
        path = f"{path}:$({_USERS_PATH})"
    elif given.get("value"):
        path = f"{path}:{given['value']}"
    found: dict[str, dict[str, Any]] = {}
    for name, entry in merged.items():
        if name == PYTHONPATH:
            found |= users
        found[name] = entry
    return {**found, **users, PYTHONPATH: {"name": PYTHONPATH, "value": path}}


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
        path = paths.MERGED_CONFIG if inputs.installs else CONFIG_PATH
        # The image's entrypoint reads the first, the uvicorn factory the second.
        values["RUN_CONFIG_PATH"] = path
        values["LLAMA_STACK_CONFIG"] = path
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
