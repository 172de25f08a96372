# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How far the external providers of a resource are, over all pods that install them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api.v1alpha2.reasons import InstallPhase, Reason
from configs.external import containers
from controller.llamastack.objects.installs import INSTALLS, named_provider
from controller.llamastack.objects.pods import TEMPLATE_HASH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from api.conditions import ConditionStatus
    from configs.installs import Install
    from informers.ports import Object

_WORST_FIRST: Final = (
    InstallPhase.FAILED,
    InstallPhase.PENDING,
    InstallPhase.INSTALLING,
    InstallPhase.READY,
)
_WAITING: Final = {
    "phase": str(InstallPhase.PENDING),
    "reason": "",
    "message": "Waiting for init container to start",
}
_TOGETHER: Final = (containers.MERGE, containers.PREFLIGHT)
"""Containers that work for all providers at once."""
_EVICTION: Final = "eviction"
"""Beside them: what a pod had to go for."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far they are.

    Attributes:
        providers: ``status.externalProviders``, without transition times.
        status: of the condition.
        reason: of the condition.
        message: of the condition.
    """

    providers: tuple[dict[str, Any], ...]
    status: ConditionStatus
    reason: str
    message: str


def assess_installs(
    installs: Sequence[Install], source: str, pods: Iterable[Object]
) -> Progress | None:
    """Judge what the pods say.

    Args:
        installs: the external providers of the spec, in order; at least one.
        source: name of the ConfigMap that pods of the present spec install from.
        pods: of the resource, as far as they are kept.

    Returns:
        ``None`` if there is no such pod, so that nothing can be told.
    """
    newest = _newest(pods, source)
    if not newest:
        return None
    running = [pod for pod in newest if not pod[INSTALLS]["ended"]]
    shared = {name: _worst(running, name) for name in _TOGETHER if _is_in(running, name)}
    own = [_worst(running, install.container) for install in installs]
    gone = _evicted(newest)
    if gone is not None and any(not _is_ready(state) for state in (*own, *shared.values())):
        shared[_EVICTION] = gone
    states = [_blamed(i, state, shared) for i, state in zip(installs, own, strict=True)]
    providers = tuple(_listed(i, s) for i, s in zip(installs, states, strict=True))
    everything = [*states, *shared.values()]
    failed = next((state for state in everything if _phase(state) is InstallPhase.FAILED), None)
    if failed is not None:
        return Progress(providers, "False", failed["reason"], failed["message"])
    ready = sum(map(_is_ready, states))
    message = f"{ready}/{len(installs)} external providers ready"
    if all(map(_is_ready, everything)):
        return Progress(providers, "True", Reason.ALL_PROVIDERS_READY, message)
    pending = all(_phase(state) is InstallPhase.PENDING for state in everything)
    reason = Reason.PROVIDERS_PENDING if pending else Reason.PROVIDERS_INSTALLING
    return Progress(providers, "Unknown", reason, message)


def waiting_installs(installs: Sequence[Install]) -> Progress:
    """Pods are about to start."""
    text = f"0/{len(installs)} external providers ready"
    providers = tuple(_listed(install, _WAITING) for install in installs)
    return Progress(providers, "Unknown", Reason.PROVIDERS_PENDING, text)


def kept_installs(
    installs: Sequence[Install] | None, before: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What is listed while no pod installs what the spec asks for.

    Pods of an earlier spec go on, so what was said of a provider that did not change still holds.

    Args:
        installs: the external providers of the spec; ``None`` if they cannot be read.
        before: ``status.externalProviders``.
    """
    if installs is None:
        return [dict(each) for each in before]
    old = {(each.get("providerId"), each.get("image")): each for each in before}
    found: dict[str, dict[str, Any]] = {}
    for install in installs:
        provider = install.provider
        state = old.get((provider.provider_id, provider.image), _WAITING)
        # Two of one id are a mistake that the spec may have; the list has one of an id.
        found.setdefault(provider.provider_id, _listed(install, state))
    return list(found.values())


def _newest(pods: Iterable[Object], source: str) -> list[Object]:
    """Those of the newest template among the pods that install what is asked for now."""
    found = [pod for pod in pods if pod.get(INSTALLS, {}).get("input") == source]
    if not found:
        return []
    last = max(
        found, key=lambda p: (p["metadata"].get("creationTimestamp", ""), p["metadata"]["name"])
    )
    return [pod for pod in found if _template(pod) == _template(last)]


def _template(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(TEMPLATE_HASH, ""))


def _is_in(pods: Iterable[Object], container: str) -> bool:
    return any(container in pod[INSTALLS]["containers"] for pod in pods)


def _worst(pods: Iterable[Object], container: str) -> Mapping[str, str]:
    states = [pod[INSTALLS]["containers"].get(container, _WAITING) for pod in pods]
    return min(states, key=lambda state: _WORST_FIRST.index(_phase(state)), default=_WAITING)


def _phase(state: Mapping[str, str]) -> InstallPhase:
    return InstallPhase(state["phase"])


def _is_ready(state: Mapping[str, str]) -> bool:
    return _phase(state) is InstallPhase.READY


def _blamed(
    install: Install, own: Mapping[str, str], shared: Mapping[str, Mapping[str, str]]
) -> Mapping[str, str]:
    """A failure that names the provider is the provider's, wherever it was found."""
    if _phase(own) is InstallPhase.FAILED:
        return own
    for state in shared.values():
        failed = _phase(state) is InstallPhase.FAILED
        if failed and named_provider(state["message"]) == install.provider.provider_id:
            return state
    return own


def _listed(install: Install, state: Mapping[str, str]) -> dict[str, Any]:
    return {
        "providerId": install.provider.provider_id,
        "image": install.provider.image,
        "phase": state["phase"],
        "message": state.get("message", ""),
        "initContainerName": install.container,
    }


def _evicted(pods: Iterable[Object]) -> Mapping[str, str] | None:
    """What a pod had to go for, if that was the size of what it installed, as a state."""
    found = next((found for pod in pods if (found := pod[INSTALLS]["evicted"])), None)
    return found and {"phase": str(InstallPhase.FAILED), **found}


def with_times(
    providers: Iterable[Mapping[str, Any]], before: Iterable[Mapping[str, Any]], now: str
) -> list[dict[str, Any]]:
    """The list for the status: a time changes only when its phase does (G9).

    Args:
        providers: without times.
        before: as the status had them.
        now: RFC 3339.
    """
    old = {(each.get("providerId"), each.get("phase")): each for each in before}
    return [
        {
            **each,
            "lastTransitionTime": old.get((each["providerId"], each["phase"]), {}).get(
                "lastTransitionTime", now
            ),
        }
        for each in providers
    ]
