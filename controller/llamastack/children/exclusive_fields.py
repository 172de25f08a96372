# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Fields of somebody else that exclude ours. Pure.

Server-side apply removes a field that we no longer send, unless another manager owns it, too. That
is as it should be, but where two fields exclude each other (a volume has one source, ``Recreate``
no numbers of a rolling update) the object could never be written again: the API server refuses
every apply, whatever a user does to the spec. So what excludes ours is replaced, for all managers.
An explicit null does not help: in an apply it means "not mine".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from controller.runtime.ports import Manifest
    from informers.ports import Object


def clearing_patch(wanted: Manifest, live: Object) -> list[dict[str, Any]]:
    """JSON patch after which an apply of the Deployment can succeed; empty if nothing excludes it.

    Args:
        wanted: the Deployment that was refused.
        live: as it is.
    """
    operations: list[dict[str, Any]] = []
    strategy, there = wanted["spec"]["strategy"], live["spec"].get("strategy") or {}
    if there.keys() - strategy.keys():
        operations.append({"op": "replace", "path": "/spec/strategy", "value": strategy})
    pod, other = wanted["spec"]["template"]["spec"], live["spec"]["template"]["spec"]
    ours = {volume["name"]: volume for volume in pod.get("volumes") or ()}
    volumes = list(other.get("volumes") or ())
    merged = [_one_source(ours.get(volume["name"]), volume) for volume in volumes]
    if merged != volumes:
        path = "/spec/template/spec/volumes"
        operations.append({"op": "replace", "path": path, "value": merged})
    if not operations:
        return []
    version = live["metadata"]["resourceVersion"]
    guard = {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
    return [guard, *operations]


def _one_source(ours: dict[str, Any] | None, live: dict[str, Any]) -> dict[str, Any]:
    return live if ours is None or ours.keys() == live.keys() else ours
