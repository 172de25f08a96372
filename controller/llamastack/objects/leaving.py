# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Pods that were deleted and are still there. Pure.

A Deployment that recreates its pods makes none before the old ones are gone, and never says which
of them it waits for. One that goes in time is no trouble; when that time is over is for a caller
with a clock to say.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from controller.llamastack.objects.redaction import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from informers.ports import Object

LEAVING = "leaving"
"""Key of what is kept of a pod that was deleted: when it has to be gone, and what may hold it."""

MARGIN_S = 30.0
"""Beyond its grace period, in which a kubelet kills and unmounts, and tells the API server."""

_ENDED = frozenset({"Succeeded", "Failed"})
"""Phases of pods that nobody waits for."""


def leaving(pod: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is kept of a pod that was deleted and whose containers may still run."""
    metadata = pod["metadata"]
    due = metadata.get("deletionTimestamp")
    if not due or (pod.get("status") or {}).get("phase") in _ENDED:
        return None
    return {
        "due": due,
        "node": (pod.get("spec") or {}).get("nodeName", ""),
        "finalizers": list(metadata.get("finalizers") or ()),
    }


def overdue(pods: Iterable[Object], now: str) -> Object | None:
    """The pod that should have gone first, if one should have gone.

    Args:
        pods: those that were deleted.
        now: RFC 3339.
    """
    late = [pod for pod in pods if _remaining_s(pod, now) <= 0]
    return min(late, key=lambda p: (p[LEAVING]["due"], p["metadata"]["name"]), default=None)


def next_look_s(pods: Iterable[Object], now: str) -> float | None:
    """When the next of them becomes overdue; ``None`` if none will.

    Args:
        pods: those that were deleted.
        now: RFC 3339.
    """
    waits = [wait for pod in pods if (wait := _remaining_s(pod, now)) > 0]
    return min(waits, default=None)


def told(pod: Object) -> str:
    """What keeps a pod that is overdue, and what to do."""
    name, found = pod["metadata"]["name"], pod[LEAVING]
    text = f"pod {name} was to be gone at {found['due']} and is still there"
    if found["finalizers"]:
        names = shown(", ".join(found["finalizers"]))
        return (
            f"{text}: it has finalizers ({names}), which whoever set them has to remove; if that "
            f"is gone for good: kubectl patch pod {name} --type=merge "
            """-p '{"metadata":{"finalizers":null}}'"""
        )
    node = found["node"]
    if not node:
        return f"{text}: kubectl delete pod {name} --force"
    return (
        f"{text}: node {node} does not say that it has ended: kubectl get node {node}; once that "
        f"machine is off for good: kubectl delete pod {name} --force"
    )


def _remaining_s(pod: Object, now: str) -> float:
    due = datetime.fromisoformat(pod[LEAVING]["due"])
    return (due - datetime.fromisoformat(now)).total_seconds() + MARGIN_S
