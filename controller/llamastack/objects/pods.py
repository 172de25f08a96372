# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Why pods do not become ready, in our words. Pure.

The pods of our servers are watched by label, but only those in trouble are kept, and of them only
the trouble: the transform hides a healthy pod, so ten thousand of them cost no memory, and a
handler gets no event while pods start as they should (docs/decisions/0014-pods-in-trouble.md).
One that installs external providers is kept, too, with how far it is, and one that was deleted,
until it is gone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from api.conditions import condition, message_of
from api.v1alpha2.reasons import Reason
from configs.external.containers import is_ours
from controller.llamastack.objects.installs import (
    CONFIG_REASONS,
    INSTALLS,
    PULL_REASONS,
    failure,
    progress,
)
from controller.llamastack.objects.leaving import LEAVING, leaving
from controller.llamastack.objects.redaction import shown, without_torn_line
from controller.llamastack.objects.termination import cause, hint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from informers.ports import Object

POD_INDEX = "instance"
"""Index of pods in trouble: ``namespace/name`` of the resource whose Deployment made them."""

INSTANCE = "app.kubernetes.io/instance"
TEMPLATE_HASH = "pod-template-hash"
TROUBLE = "trouble"
"""Key of what is kept of a pod in trouble: ``reason`` and ``message``."""

_KILLED = 137

_VOLUME = re.compile(r"(?i)persistent ?volume|storageclass|\bpvc|volume node affinity|free storage")
"""Words of the scheduler's plug-in VolumeBinding, and of no other."""


def keep_trouble(pod: dict[str, Any]) -> Object | None:
    """Transform of the informer: what is wrong with a pod, and how far it is with installing.

    Also that it was deleted. ``None`` for a pod that is well, installs nothing and stays.
    """
    installs = pod.get(INSTALLS) or progress(pod)
    found = pod.get(TROUBLE) or _trouble(pod, installs)
    going = pod.get(LEAVING) or leaving(pod)
    kept = {TROUBLE: found, INSTALLS: installs, LEAVING: going}
    present = {key: value for key, value in kept.items() if value is not None}
    if not present:
        return None
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    slim: dict[str, Any] = {
        "name": metadata["name"],
        "namespace": metadata.get("namespace", ""),
        "uid": metadata.get("uid", ""),
        "resourceVersion": metadata.get("resourceVersion", ""),
        "creationTimestamp": metadata.get("creationTimestamp", ""),
        "labels": {k: labels[k] for k in (INSTANCE, TEMPLATE_HASH) if k in labels},
        "ownerReferences": [
            {k: owner[k] for k in ("apiVersion", "kind", "name", "uid", "controller") if k in owner}
            for owner in metadata.get("ownerReferences") or ()
        ],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": slim, **present}


def instance_index(pod: Object) -> list[str]:
    """Index function: ``namespace/name`` of the resource whose Deployment made the pod."""
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    name, template = labels.get(INSTANCE, ""), labels.get(TEMPLATE_HASH, "")
    made = any(
        owner.get("kind") == "ReplicaSet" and owner.get("name") == f"{name}-{template}"
        for owner in metadata.get("ownerReferences") or ()
    )
    return [f"{metadata.get('namespace', '')}/{name}"] if name and made else []


def worst(pods: Iterable[Object]) -> Mapping[str, str] | None:
    """The trouble of the newest pod that has one: older ones belong to an older template."""
    newest = max(
        (pod for pod in pods if TROUBLE in pod),
        key=lambda p: (p["metadata"].get("creationTimestamp", ""), p["metadata"]["name"]),
        default=None,
    )
    return None if newest is None else newest[TROUBLE]


def _trouble(pod: Mapping[str, Any], installs: Mapping[str, Any] | None) -> dict[str, str] | None:
    if pod["metadata"].get("deletionTimestamp"):
        return None
    if installs is not None and (found := failure(installs)) is not None:
        return found
    status = pod.get("status") or {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            if kind == "initContainerStatuses" and is_ours(container.get("name", "")):
                continue  # judged already
            if (found := _of_container(container)) is not None:
                return found
    if condition(pod, "PodScheduled").get("reason") == "Unschedulable":
        return _unschedulable(shown(message_of(pod, "PodScheduled")))
    if status.get("phase") == "Failed":
        said = shown(str(status.get("message") or status.get("reason") or "no message"))
        return _trouble_of(Reason.DEPLOYMENT_FAILED, f"a pod failed: {said}")
    return None


def _of_container(container: Mapping[str, Any]) -> dict[str, str] | None:
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    reason, message = waiting.get("reason", ""), shown(str(waiting.get("message", "")))
    name = container.get("name", "")
    if reason in PULL_REASONS:
        image = shown(str(container.get("image", "")))
        return _trouble_of(
            Reason.IMAGE_PULL_FAILED,
            # Without the kubelet's text, which alternates between the error and the back-off.
            f"image {image} of container {name} cannot be pulled: check its name and tag, and "
            f"spec.workload.overrides.imagePullSecrets if the registry asks for a password",
        )
    if reason in CONFIG_REASONS:
        return _trouble_of(
            Reason.CONTAINER_CONFIG_ERROR,
            f"container {name} cannot be made: {message or reason}: check the Secrets, ConfigMaps "
            "and the command that the pod uses",
        )
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
    # An init container that went well is ready, too; one that runs again after a crash is not.
    if not ended or container.get("ready"):
        return None
    return _ended(name, ended)


def _ended(name: str, ended: Mapping[str, Any]) -> dict[str, str]:
    code = ended.get("exitCode")
    if ended.get("reason") == "OOMKilled":
        return _trouble_of(
            Reason.OUT_OF_MEMORY,
            f"container {name} ran out of memory: raise spec.workload.resources.limits.memory",
        )
    log = without_torn_line(str(ended.get("message") or ""))
    said = cause(log)
    if said:
        return _trouble_of(Reason.CRASH_LOOP, f"container {name} ends: {said}: {hint(log)}")
    if code == _KILLED:
        return _trouble_of(
            Reason.CRASH_LOOP,
            f"container {name} was killed: its probes fail, or the node is short of something; "
            "see the events of the pod",
        )
    return _trouble_of(
        Reason.CRASH_LOOP, f"container {name} ends with exit status {code}: {hint(log)}"
    )


def _unschedulable(message: str) -> dict[str, str]:
    if _VOLUME.search(message):
        return _trouble_of(
            Reason.VOLUME_PENDING,
            f"a pod waits for its volume: {message}: check the claim and its storage class",
        )
    return _trouble_of(
        Reason.UNSCHEDULABLE,
        f"no node takes a pod: {message}: lower spec.workload.resources, change the placement, or "
        "add nodes",
    )


def _trouble_of(reason: Reason, message: str) -> dict[str, str]:
    return {"reason": str(reason), "message": message}
