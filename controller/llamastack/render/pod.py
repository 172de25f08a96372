# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The pod: one container, the data volume, the configuration, a restricted security context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.v1alpha2.references import CONFIG_KEY
from configs.server import TLS_FOLDER
from controller.llamastack.render import ca_bundle, init_containers, names
from controller.llamastack.render.environment import (
    CONFIG_DIRECTORY,
    CONFIG_VOLUME,
    environment,
)
from controller.llamastack.render.images import pull_policy
from controller.llamastack.render.probes import probes
from controller.llamastack.render.scheduling import placement
from controller.llamastack.render.shutdown import grace_period, lifecycle
from controller.llamastack.render.user import plain, plain_list

if TYPE_CHECKING:
    from controller.llamastack.render.inputs import Inputs, Mounts

CONTAINER_NAME = "llama-stack"
DATA_VOLUME = "lls-storage"
TLS_VOLUME = "llama-stack-tls"
USER_ID = 1001  # the group that owns the data volume in every release of the Go operator
DEFAULT_MEMORY = "1Gi"


def pod_spec(inputs: Inputs, mounts: Mounts) -> dict[str, Any]:
    """The pod template's spec; runs where Pod Security ``restricted`` is enforced (R-D17)."""
    overrides = inputs.spec.workload.overrides
    account = overrides.service_account_name
    server = _container(inputs, mounts)
    spec: dict[str, Any] = {
        "serviceAccountName": account or names.service_account(inputs.name),
        "terminationGracePeriodSeconds": grace_period(overrides.termination_grace_period_seconds),
        "securityContext": _pod_security(inputs),
        # Else the kubelet makes variables of all Services of the namespace: one called "postgres"
        # sets POSTGRES_PORT to a URL, which distributions read as a number.
        "enableServiceLinks": False,
        "containers": [server],
        "volumes": _volumes(inputs, mounts),
    }
    if before := init_containers.init_containers(inputs, server):
        spec["initContainers"] = before
    if claims := _resource_claims(inputs):
        spec["resourceClaims"] = claims
    if overrides.image_pull_secrets:
        spec["imagePullSecrets"] = plain_list(overrides.image_pull_secrets)
    return spec | placement(inputs)


def _container(inputs: Inputs, mounts: Mounts) -> dict[str, Any]:
    overrides = inputs.spec.workload.overrides
    container: dict[str, Any] = {
        "name": overrides.container_name or CONTAINER_NAME,
        "image": inputs.generated.image,
        "imagePullPolicy": pull_policy(inputs.generated.image),
        "ports": [{"containerPort": inputs.port, "protocol": "TCP"}],
        "env": environment(inputs, mounts),
        "resources": _resources(inputs),
        "volumeMounts": _volume_mounts(inputs, mounts),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        # The end of a traceback is in the pod's status then, and from there in ours.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **probes(inputs),
        **lifecycle(overrides.termination_grace_period_seconds),
    }
    if overrides.command:
        container["command"] = list(overrides.command)
    if overrides.args:
        container["args"] = list(overrides.args)
    return container


def _resources(inputs: Inputs) -> dict[str, Any]:
    """The user's values win; requests are filled up, limits only when workers are set (P-A4)."""
    workload = inputs.spec.workload
    given = plain(workload.resources) if workload.resources else {}
    defaults = {"cpu": str(workload.workers or 1), "memory": DEFAULT_MEMORY}
    requests = {**defaults, **(given.get("requests") or {})}
    limits = dict(given.get("limits") or {})
    if workload.workers is not None:
        limits = {**requests, **limits}
    # A request above its limit is refused by the API server; the limit is what the user wrote.
    for name in defaults:
        if name in limits and name not in (given.get("requests") or {}):
            requests[name] = limits[name]
    return {**given, "requests": requests, **({"limits": limits} if limits else {})}


def _resource_claims(inputs: Inputs) -> list[dict[str, Any]]:
    """The ResourceClaims that the container names; a pod has to name what its containers use."""
    resources = inputs.spec.workload.resources
    claims = resources.claims if resources else ()
    return [{"name": claim.name, "resourceClaimName": claim.name} for claim in claims]


def _volumes(inputs: Inputs, mounts: Mounts) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [{"name": DATA_VOLUME, **_data(inputs)}]
    if inputs.ca_bundle:
        volumes.append(ca_bundle.volume(inputs))
    if mounts.config_map_name:
        volumes.append({"name": CONFIG_VOLUME, **_config(mounts)})
    if inputs.tls_secret:
        volumes.append({"name": TLS_VOLUME, "secret": {"secretName": inputs.tls_secret}})
    volumes += init_containers.volumes(inputs, mounts)
    overrides = inputs.spec.workload.overrides
    return volumes + plain_list(overrides.volumes)


def _config(mounts: Mounts) -> dict[str, Any]:
    """The source of the configuration: always ``config.yaml``, and what users put beside it."""
    whole = {"name": mounts.config_map_name}
    if mounts.users_key == CONFIG_KEY:
        return {"configMap": whole}
    one = {**whole, "items": [{"key": mounts.users_key or CONFIG_KEY, "path": CONFIG_KEY}]}
    if not mounts.users_key:
        return {"configMap": one}
    return {"projected": {"sources": [{"configMap": whole}, {"configMap": one}]}}


def _data(inputs: Inputs) -> dict[str, Any]:
    if inputs.spec.workload.storage is None:
        return {"emptyDir": {}}
    return {"persistentVolumeClaim": {"claimName": names.claim(inputs.name)}}


def _volume_mounts(inputs: Inputs, mounts: Mounts) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"name": DATA_VOLUME, "mountPath": inputs.mount_path}]
    if inputs.ca_bundle:
        found.append(ca_bundle.mount(inputs))
    if mounts.config_map_name:
        found.append({"name": CONFIG_VOLUME, "mountPath": CONFIG_DIRECTORY, "readOnly": True})
    if inputs.tls_secret:
        found.append({"name": TLS_VOLUME, "mountPath": TLS_FOLDER, "readOnly": True})
    found += init_containers.server_mounts(inputs)
    overrides = inputs.spec.workload.overrides
    return found + plain_list(overrides.volume_mounts)


def _pod_security(inputs: Inputs) -> dict[str, Any]:
    context: dict[str, Any] = {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if inputs.options.fixed_uids:
        context |= {"runAsUser": USER_ID, "runAsGroup": USER_ID, "fsGroup": USER_ID}
    return context
