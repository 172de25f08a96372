# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which Events a status change is worth. Pure; on transitions only (F6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from api.conditions import condition, message_of
from api.v1alpha2.reasons import ConditionType, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Transition:
    """One Event; see :class:`controller.runtime.ports.EventRecorder`."""

    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str


NAMES_SHOWN = 5
NAME_SHOWN = 100

_TROUBLES = frozenset(
    {
        Reason.IMAGE_PULL_FAILED,
        Reason.CRASH_LOOP,
        Reason.OUT_OF_MEMORY,
        Reason.CONTAINER_CONFIG_ERROR,
        Reason.UNSCHEDULABLE,
        Reason.QUOTA_EXCEEDED,
        Reason.VOLUME_PENDING,
        Reason.PROGRESS_DEADLINE_EXCEEDED,
        Reason.ROLLOUT_PAUSED,
        Reason.POD_NOT_TERMINATED,
        Reason.AUTOSCALING_OFF,
        Reason.DEPLOYMENT_FAILED,
        Reason.PROVIDER_INSTALL_FAILED,
        Reason.PROVIDER_IMAGE_PULL_FAILED,
        Reason.CONFIG_MERGE_FAILED,
        Reason.PREFLIGHT_FAILED,
    }
)
"""Reasons of DeploymentReady that are worth a Warning; the others are the normal course."""

_STORAGE_TROUBLES = frozenset({Reason.STORAGE_FAILED, Reason.STORAGE_CHANGE_REFUSED})
"""Likewise of StorageReady."""

_WARNINGS = {
    ConditionType.CONFIG_GENERATED: ("ConfigGenerationFailed", "GenerateConfig"),
    ConditionType.SECRETS_RESOLVED: ("SecretResolutionFailed", "ResolveSecrets"),
    ConditionType.DEPLOYMENT_UPDATED: ("DeploymentUpdateFailed", "UpdateDeployment"),
}
"""Reason and action of the Warning when a condition turns, or stays with another text, False."""


_ACTIONS = {
    Reason.IMAGE_CONFIG_UNAVAILABLE: "GenerateConfig",
    Reason.NETWORK_POLICY_OFF: "ReconcileNetwork",
    Reason.CA_BUNDLE_QUESTIONABLE: "ResolveSecrets",
    Reason.PREFLIGHT_SKIPPED: "StartPods",
}
"""Of the Warnings about a note that a condition carries although it is True."""


def between(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    deployment_changed: bool,
    registry_reset: Sequence[str] = (),
    config_note: str = "",
    network_note: str = "",
    trust_note: str = "",
    install_note: str = "",
) -> list[Transition]:
    """Events for the step from one status to the next.

    Args:
        old: the status before; empty for a new resource.
        new: the status after.
        deployment_changed: whether this reconcile wrote the Deployment.
        registry_reset: what made the configuration use a new registry.
        config_note: what was used instead of the image's own config, and why.
        network_note: which restriction has no effect, and why.
        trust_note: what is wrong with trusted certificates that are used all the same.
        install_note: what should be known of how external providers are installed.
    """
    events: list[Transition] = []
    name = _config_map(new)
    if name and name != _config_map(old):
        note = f"Generated ConfigMap {name}: {_message(new, ConditionType.CONFIG_GENERATED)}"
        events.append(Transition("Normal", "ConfigGenerated", "GenerateConfig", note))
    if deployment_changed:
        image = (new.get("resolvedDistribution") or {}).get("image", "")
        note = f"Updated the Deployment: image {image}"
        if name:
            note += f", configuration {name}"
        events.append(Transition("Normal", "DeploymentUpdated", "UpdateDeployment", note))
        if registry_reset:
            note = _registry_note(registry_reset)
            events.append(Transition("Warning", Reason.REGISTRY_RESET, "UpdateDeployment", note))
    notes = (
        (config_note, ConditionType.CONFIG_GENERATED, Reason.IMAGE_CONFIG_UNAVAILABLE),
        (network_note, ConditionType.SERVICE_READY, Reason.NETWORK_POLICY_OFF),
        (trust_note, ConditionType.SECRETS_RESOLVED, Reason.CA_BUNDLE_QUESTIONABLE),
        (install_note, ConditionType.EXTERNAL_PROVIDERS_READY, Reason.PREFLIGHT_SKIPPED),
    )
    events += [
        Transition("Warning", reason, _ACTIONS[reason], note)
        for note, kind, reason in notes
        if note and note not in _message(old, kind)
    ]
    trouble = _condition(new, ConditionType.DEPLOYMENT_READY)
    if trouble.get("status") == "False" and trouble.get("reason") in _TROUBLES:
        before = _condition(old, ConditionType.DEPLOYMENT_READY)
        # By reason: the count of replicas in the message moves without being worth an Event.
        if before.get("reason") != trouble["reason"]:
            events.append(
                Transition("Warning", trouble["reason"], "StartPods", str(trouble["message"]))
            )
    storage = _storage_trouble(new)
    if storage and storage != _storage_trouble(old):
        events.append(Transition("Warning", storage[0], "ProvideStorage", storage[1]))
    cause_reported = bool(storage)
    for kind, (reason, action) in _WARNINGS.items():
        after = _condition(new, kind)
        if after.get("status") != "False":
            continue
        before = _condition(old, kind)
        changed = before.get("status") != "False" or before.get("message") != after.get("message")
        # That the Deployment was left alone follows from the cause; one Warning is enough.
        if changed and not (kind == ConditionType.DEPLOYMENT_UPDATED and cause_reported):
            events.append(Transition("Warning", reason, action, str(after.get("message", ""))))
        cause_reported = True
    return events


def refused(new: Mapping[str, Any], error: str) -> str:
    """The note about a status that the API server does not take; it has to say what that says.

    Args:
        new: the status.
        error: the API server's words.
    """
    ready = _condition(new, ConditionType.READY)
    return (
        f"Ready is {ready.get('status')}: {ready.get('message')}. The status could not be "
        f"written, because the API server refuses the resource as it is stored: {error}"
    )


def _storage_trouble(status: Mapping[str, Any]) -> tuple[str, str] | None:
    found = _condition(status, ConditionType.STORAGE_READY)
    if found.get("status") != "False" or found.get("reason") not in _STORAGE_TROUBLES:
        return None
    return str(found["reason"]), str(found["message"])


def _registry_note(changed: Sequence[str]) -> str:
    """Names a few; the API server takes 1024 bytes."""
    named = [name if len(name) <= NAME_SHOWN else f"{name[:NAME_SHOWN]}..." for name in changed]
    shown = ", ".join(named[:NAMES_SHOWN])
    if len(changed) > NAMES_SHOWN:
        shown += f" and {len(changed) - NAMES_SHOWN} more"
    return (
        f"The server gets a new registry, because it does not start on one that knows differently: "
        f"{shown}. What clients registered at run time, such as vector stores by name, is "
        f"forgotten; the data stays where it is"
    )


def _config_map(status: Mapping[str, Any]) -> str:
    return str((status.get("configGeneration") or {}).get("configMapName", ""))


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return condition({"status": status}, kind)


def _message(status: Mapping[str, Any], kind: str) -> str:
    return message_of({"status": status}, kind)
