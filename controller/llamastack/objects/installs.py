# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How far the installation of external providers is in a pod. Pure.

The end of each init container is in the pod's status, with the message that its program left; that
is all that is looked at, so nobody needs the right to read logs.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from api.conditions import condition
from api.v1alpha2.reasons import InstallPhase, Reason
from configs.external import containers
from controller.llamastack.objects.redaction import redact, without_torn_line

INSTALLS: Final = "installs"
"""Key of what :func:`progress` found, in what is kept of a pod."""

INPUT_VOLUME: Final = "external-providers-input"
"""Volume of a pod from whose ConfigMap providers are installed; its name stands for the content."""

PACKAGES_VOLUME: Final = "external-providers"
"""Volume of a pod that the packages are on."""

SCRATCH_VOLUME: Final = "provider-tmp"
"""Volume of a pod with temporary files; as much may be on it as on that of the packages."""

PULL_REASONS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "RegistryUnavailable",
        "ImageInspectError",
        "SignatureValidationFailed",
    }
)
"""Why the kubelet has no image."""

CONFIG_REASONS: Final = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
"""Why it cannot make a container."""

START_REASONS: Final = frozenset({"StartError", "ContainerCannotRun"})
"""Why one ended that never ran; in turns with the reasons above, and with the same message."""

_MOST: Final = 4096  # bytes that the kubelet keeps of a message
_KILLED: Final = 137


def progress(pod: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is kept of a pod that installs providers; ``None`` for any other.

    Returns:
        ``input``, the name of the ConfigMap that it installs from; ``ended``, whether it will not
        run again; ``evicted``, the trouble of one that had to go for the size of its packages, else
        ``None``; and ``containers``: name → ``phase``, ``reason`` (empty unless it failed) and
        ``message`` of each init container that is known to the kubelet.
    """
    source = input_of(pod)
    if not source or pod["metadata"].get("deletionTimestamp"):
        return None
    status = pod.get("status") or {}
    found = {
        container["name"]: _state(_with_provider(container, pod))
        for container in status.get("initContainerStatuses") or ()
        if containers.is_ours(container.get("name", ""))
    }
    return {
        "input": source,
        "ended": status.get("phase") in {"Failed", "Succeeded"},
        "evicted": evicted(pod),
        "containers": found,
    }


def input_of(pod: Mapping[str, Any]) -> str:
    """The ConfigMap that a pod, or a template of pods, installs from; empty without one."""
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if volume.get("name") == INPUT_VOLUME:
            return str((volume.get("configMap") or {}).get("name", ""))
    return ""


def _with_provider(container: Mapping[str, Any], pod: Mapping[str, Any]) -> dict[str, Any]:
    """The status of a container, with the provider and the image that it is about.

    Its name holds the id, but may be cut; its variables have both. Where the provider's image is
    mounted, the container's own is the server's.
    """
    for spec in (pod.get("spec") or {}).get("initContainers") or ():
        if spec.get("name") == container.get("name"):
            told = {each["name"]: each.get("value", "") for each in spec.get("env") or ()}
            image = told.get("PROVIDER_IMAGE") or container.get("image", "")
            return {**container, "image": image, "provider": told.get("PROVIDER_ID", "")}
    return dict(container)


def failure(installs: Mapping[str, Any]) -> dict[str, str] | None:
    """What is wrong with an installation, as trouble of its pod.

    Args:
        installs: what :func:`progress` found.

    Returns:
        ``reason`` and ``message``; ``None`` if nothing is. Of a pod that was evicted, that is why:
        its containers were killed for it.
    """
    if installs["evicted"] is not None:
        return dict(installs["evicted"])
    for state in installs["containers"].values():
        if state["phase"] == InstallPhase.FAILED:
            return {"reason": state["reason"], "message": state["message"]}
    return None


def _state(container: Mapping[str, Any]) -> dict[str, str]:
    """Phase, reason and message of one init container."""
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    why = str(waiting.get("reason", ""))
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
    if why in PULL_REASONS:
        return _failed(_pull_reason(container), _pull(container))
    if why in CONFIG_REASONS:
        return _failed(_reason(container), _not_made(container, str(waiting.get("message", ""))))
    if ended and ended.get("reason") in START_REASONS:
        return _failed(_reason(container), _not_made(container, str(ended.get("message") or "")))
    if ended and ended.get("exitCode"):
        return _failed(_reason(container), _ended(container, ended))
    if ended and "terminated" in state:
        return _of(InstallPhase.READY, "Provider installed successfully")
    if "running" in state:
        return _of(InstallPhase.INSTALLING, "Installing provider packages")
    return _of(InstallPhase.PENDING, why or "Waiting for init container to start")


def _of(phase: InstallPhase, message: str) -> dict[str, str]:
    return {"phase": str(phase), "reason": "", "message": message}


def _failed(reason: Reason, message: str) -> dict[str, str]:
    return {"phase": str(InstallPhase.FAILED), "reason": str(reason), "message": message}


def _reason(container: Mapping[str, Any]) -> Reason:
    name = container.get("name")
    if name == containers.MERGE:
        return Reason.CONFIG_MERGE_FAILED
    return Reason.PREFLIGHT_FAILED if name == containers.PREFLIGHT else _INSTALL_FAILED


_INSTALL_FAILED: Final = Reason.PROVIDER_INSTALL_FAILED


def _pull_reason(container: Mapping[str, Any]) -> Reason:
    if _reason(container) is _INSTALL_FAILED:
        return Reason.PROVIDER_IMAGE_PULL_FAILED
    return Reason.IMAGE_PULL_FAILED


def _pull(container: Mapping[str, Any]) -> str:
    """Without the kubelet's text, which alternates between the error and the back-off."""
    kind = "provider image" if _reason(container) is _INSTALL_FAILED else "image"
    return _block(
        f"Failed to pull {kind} {container.get('image', '')}",
        container,
        "Check the image reference and that the pod's ServiceAccount has imagePullSecrets for this "
        "registry.",
    )


def _block(headline: str, container: Mapping[str, Any], resolution: str) -> str:
    """A message of the form of those that programs in the pod leave (FR-X030)."""
    provider = container.get("provider")
    lines = [f"Provider: {provider}"] if provider else []
    lines += [f"Image: {container.get('image', '')}"]
    lines += [f"Init Container: {container.get('name', '')}"]
    return "\n".join([headline, "", *lines, "", f"Resolution: {resolution}"])


_PYTHON_IN: Final = {
    _INSTALL_FAILED: "Build the provider image on one with Python 3.11 or later and pip, e.g. "
    "python:3.12-slim.",
    Reason.PREFLIGHT_FAILED: "Set spec.workload.overrides.command to what the image of the server "
    "starts with, which skips the preflight, or start the operator with --preflight=false.",
}
"""What to do where there is none; the merge needs none of the image's."""


def _not_made(container: Mapping[str, Any], message: str) -> str:
    name, image = container.get("name", ""), container.get("image", "")
    resolution = _PYTHON_IN.get(_reason(container), "")
    if resolution and "python3" in message:
        return _block(f"ERROR: No python3 in image {image}", container, resolution)
    return _block(
        f"Init container {name} cannot be made from image {image}: {redact(message)[:_MOST]}",
        container,
        "See the events of the pod; the Secrets and ConfigMaps that it names have to be there.",
    )


def _ended(container: Mapping[str, Any], ended: Mapping[str, Any]) -> str:
    code, message = ended.get("exitCode"), str(ended.get("message") or "")
    said = redact(without_torn_line(message))[:_MOST].strip()
    if ended.get("reason") == "OOMKilled":
        field = "spec.externalProviders.install.resources.limits.memory"
        if container.get("name") == containers.PREFLIGHT:
            field = "spec.workload.resources.limits.memory"
        return _block(
            f"Init container {container.get('name', '')} ran out of memory (exit code {code})",
            container,
            f"Raise {field}.",
        )
    text = f"Init container failed with exit code {code}"
    if _reason(container) is not _INSTALL_FAILED:
        # What its message names is the container of the provider.
        text = f"Init container {container.get('name', '')} failed with exit code {code}"
    if said:
        return f"{text}: {said}"
    if code == _KILLED:
        text += ": it was killed"
    return _block(text, container, "See the log of the init container and the events of the pod.")


def evicted(pod: Mapping[str, Any]) -> dict[str, str] | None:
    """The trouble of a pod that had to go because its packages took more than they may.

    Returns:
        ``reason`` and ``message``; ``None`` for any other pod.
    """
    status = pod.get("status") or {}
    said = str(status.get("message") or "")
    if status.get("reason") == "Evicted" and _is_about_our_volumes(said):
        headline = (
            "The packages of external providers take more than they may: "
            f"{redact(said)[:_MOST].strip()}"
        )
    elif _ended_without_a_reason(pod):
        headline = (
            "The packages of external providers seem to take more than they may: the kubelet ended "
            "the pod without a reason in its status; its events have it"
        )
    else:
        return None
    installers = _installers(pod)
    filling = _last_active(pod)
    if len(installers) == 1:
        filling = installers[0]
    if filling is not None and _reason(filling) is _INSTALL_FAILED:
        message = _block(headline, filling, _RAISE_SIZE)
    else:
        message = "\n".join([headline, "", *_listed(installers), "", f"Resolution: {_RAISE_SIZE}"])
    return {"reason": str(_INSTALL_FAILED), "message": message}


def _is_about_our_volumes(message: str) -> bool:
    return any(f'"{volume}"' in message for volume in (PACKAGES_VOLUME, SCRATCH_VOLUME))


def _ended_without_a_reason(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is over that should run for ever, and nothing says why.

    That is what is left of an eviction for the size of a volume where the server ends with 0: the
    kubelet then takes the phase from the containers, and drops the reason that went with another
    one (``SyncTerminatingPod`` of Kubernetes 1.36). Of the other ways to end such a pod each leaves
    the condition ``DisruptionTarget``, or a deletion.
    """
    status = pod.get("status") or {}
    return status.get("phase") == "Succeeded" and not condition(pod, "DisruptionTarget")


_RAISE_SIZE: Final = "Raise spec.externalProviders.install.sizeLimit."


def _installers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The init containers that install providers, out of the spec of a pod.

    A pod that was evicted may have no statuses of containers; its spec it has always.
    """
    found = (pod.get("spec") or {}).get("initContainers") or ()
    return [
        _with_provider(container, pod)
        for container in found
        if containers.is_ours(container.get("name", "")) and _reason(container) is _INSTALL_FAILED
    ]


def _last_active(pod: Mapping[str, Any]) -> dict[str, Any] | None:
    """The init container that ran at the end of a pod, or failed last; ``None`` if none is known.

    They run one after the other, and the kubelet knows of a volume only that it was full.
    """
    statuses = (pod.get("status") or {}).get("initContainerStatuses") or ()
    ours = [each for each in statuses if containers.is_ours(each.get("name", ""))]
    running = [each for each in ours if "running" in (each.get("state") or {})]
    failed = [(when, each) for each in ours if (when := _failed_at(each)) is not None]
    if running:
        return _with_provider(running[-1], pod)
    # Of those at one second the later one in the order.
    latest = max((when for when, _ in failed), default="")
    return next((_with_provider(each, pod) for when, each in failed[::-1] if when == latest), None)


def _failed_at(container: Mapping[str, Any]) -> str | None:
    """When a container failed last, empty if that is not told; ``None`` if it did not."""
    state = container.get("state") or {}
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    return str(ended.get("finishedAt") or "") if ended.get("exitCode") else None


def _listed(installers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines that name providers; the last ones are counted where there are too many."""
    lines = [
        f"  - {each.get('provider', '')} (image: {each.get('image', '')}, "
        f"init container: {each.get('name', '')})"
        for each in installers
    ]
    fitting = list(itertools.accumulate(len(line.encode()) + 1 for line in lines))
    shown = sum(size <= _MOST for size in fitting)
    rest = [f"  - and {len(lines) - shown} more"] if shown < len(lines) else []
    return ["Providers:", *lines[:shown], *rest]


def named_provider(message: str) -> str:
    """The id of the provider that a message is about; empty if it names none."""
    for line in message.splitlines():
        if line.startswith("Provider: "):
            return line.removeprefix("Provider: ").strip()
    return ""
