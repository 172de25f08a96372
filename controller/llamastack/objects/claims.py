# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What of a spec can reach a claim that is there. Pure.

A claim is the one child that holds data, so it is never replaced, and of its own fields the API
server lets one change only: the size, upwards, once a volume is bound (KEP-284), or down from a
size that the volume never reached (KEP-1790). A class can be named once, where there was none
(KEP-3333). Whatever else a spec asks for, we send what the claim has, so that the rest of it,
labels and owner, can still be written; what the claim did not follow is said in its condition
(``claim_status``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.llamastack.objects.quantities import amount
from informers.transforms import drop_noise

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from api.v1alpha2.workload import VolumeStorage
    from controller.runtime.ports import Manifest
    from informers.ports import Object

DEFAULT_SIZE = "10Gi"
DEFAULT_MODES = ("ReadWriteOnce",)

STATUS_AT = "statusAt"
"""Key of what the cache keeps of ``managedFields``: when the status was written last, RFC 3339."""

_ONE_NODE = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})


def access_modes(storage: VolumeStorage) -> tuple[str, ...]:
    """The modes that a new claim asks for."""
    return tuple(storage.access_modes) or DEFAULT_MODES


def is_single_node(modes: Sequence[str]) -> bool:
    """Whether pods on two nodes would wait for each other's volume.

    A rolling update then never ends: the new pod waits for the volume that the old one has, and the
    old one is kept until the new one is ready.
    """
    return bool(_ONE_NODE.intersection(modes)) and "ReadWriteMany" not in modes


def is_bound(claim: Object) -> bool:
    """Whether there is a volume behind it."""
    return bool((claim.get("status") or {}).get("phase") == "Bound")


def keep_claim(obj: dict[str, Any]) -> Object:
    """Transform of the informer: all but noise, and when the status was written last."""
    written = status_at(obj)
    kept = drop_noise(obj)
    return {**kept, STATUS_AT: written} if written else kept


def status_at(claim: Object) -> str:
    """When the status of a claim was written last, which for a new one is when it was bound.

    A claim has no field for that; the API server notes it with who wrote what.
    """
    entries: Iterable[Mapping[str, Any]] = claim["metadata"].get("managedFields") or ()
    times = (e.get("time", "") for e in entries if e.get("subresource") == "status")
    return str(claim.get(STATUS_AT) or max(times, default=""))


def requested(claim: Object) -> str:
    """The size that a claim asks for."""
    resources = claim["spec"].get("resources") or {}
    return str((resources.get("requests") or {}).get("storage", "0"))


def capacity(claim: Object) -> str:
    """The size of the volume behind it; empty without one."""
    return str(((claim.get("status") or {}).get("capacity") or {}).get("storage", ""))


def exceeds(a: str, b: str) -> bool:
    """Whether one quantity is more than another."""
    left, right = amount(a), amount(b)
    return left is not None and right is not None and left > right


def fitted(wanted: Manifest, live: Object) -> Manifest:
    """What to apply to a live claim: the manifest, with what the claim has where it must stay."""
    return _with(wanted, live, _size(requested(wanted), live))


def held(wanted: Manifest, live: Object) -> Manifest:
    """Likewise for a claim whose size the API server does not let change."""
    return _with(wanted, live, requested(live))


def _size(asked: str, live: Object) -> str:
    current, reached = requested(live), capacity(live)
    if not is_bound(live):
        return current
    grows = exceeds(asked, current)
    recovers = exceeds(current, asked) and bool(reached) and exceeds(asked, reached)
    return asked if grows or recovers else current


def _with(wanted: Manifest, live: Object, size: str) -> Manifest:
    asked, has = wanted["spec"], live["spec"]
    spec: dict[str, Any] = {
        "accessModes": list(has.get("accessModes") or asked["accessModes"]),
        "resources": {"requests": {"storage": size}},
    }
    # An unbound claim without a class may be given one, also by the cluster's default.
    free = not has.get("volumeName")
    name = has.get("storageClassName")
    if name is None and free:
        name = asked.get("storageClassName")
    if name is not None:
        spec["storageClassName"] = name
    return {**wanted, "spec": spec}
