# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Who paused the rollouts of a Deployment. Pure.

``spec.paused`` is a field of others: the operator never sets it, and does not put it right, because
whoever holds back a rollout means to. It is told where it keeps an edit from the pods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.llamastack.objects.redaction import shown
from informers.transforms import drop_noise

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from informers.ports import Object

PAUSED_BY = "pausedBy"
"""Key of what the cache keeps of ``managedFields``: the manager that set ``spec.paused``."""


def keep_pause(obj: dict[str, Any]) -> Object:
    """Transform of the informer: all but noise, and who paused it."""
    manager = paused_by(obj)
    kept = drop_noise(obj)
    return {**kept, PAUSED_BY: manager} if manager else kept


def is_paused(deployment: Object) -> bool:
    """Whether a change of the pod template reaches no pod."""
    return deployment["spec"].get("paused") is True


def paused_by(deployment: Object) -> str:
    """The field manager that paused it; empty if it is not paused, or nobody knows."""
    if not is_paused(deployment):
        return ""
    if PAUSED_BY in deployment:
        return str(deployment[PAUSED_BY])
    entries: Iterable[Mapping[str, Any]] = deployment["metadata"].get("managedFields") or ()
    owners = [e for e in entries if "f:paused" in ((e.get("fieldsV1") or {}).get("f:spec") or {})]
    last = max(owners, key=lambda entry: entry.get("time") or "", default=None)
    return shown(str(last.get("manager", ""))) if last else ""


def told(deployment: Object) -> str:
    """That it is paused, by whom, and what to do."""
    manager = paused_by(deployment)
    by = f"spec.paused, set by {manager}" if manager else "spec.paused"
    name = deployment["metadata"].get("name", "NAME")
    return (
        f"its rollouts are paused ({by}), so pods keep their old template: "
        f"kubectl rollout resume deployment/{name}"
    )
