# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a claim says, and whether it is what the spec asks for. Pure.

The provisioner of a class and the events of a claim are not ours to watch, so where they matter the
message names the command that shows them; what the scheduler said of a waiting pod is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from api.conditions import condition, conditions_of
from api.v1alpha2.reasons import ConditionType, Reason
from controller.llamastack.objects.claims import (
    DEFAULT_SIZE,
    access_modes,
    capacity,
    exceeds,
    is_bound,
    requested,
    status_at,
)
from controller.llamastack.objects.pods import TROUBLE
from controller.llamastack.objects.quantities import same_quantity
from controller.llamastack.objects.redaction import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from api.v1alpha2.workload import VolumeStorage
    from informers.ports import Object

FIELD = "spec.workload.storage"

BOUND_REPORT_DELAY_S = 20.0
"""For how long the status need not say that a claim is bound. Binding takes seconds and half a
dozen updates, and the pods start soon after it: what they change goes into the same write. When the
time is over it is written without them."""

REFUSAL_RECHECK_S = 60.0  # the class that forbids to grow, or the quota, is not watched

_UNBOUND = "unbound immediate PersistentVolumeClaims"  # kube-scheduler, volumebinding

_PROVISIONERS = (
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
)
"""Annotations with which the cluster asks a provisioner for a volume."""


class ClaimState(Enum):
    """What a claim means for the pods."""

    READY = "Ready"
    WAITING = "Waiting"  # ends by itself if all goes well
    GROWING = "Growing"  # pods run meanwhile
    BROKEN = "Broken"  # needs a person


@dataclass(frozen=True, slots=True)
class ClaimVerdict:
    """About a claim.

    Attributes:
        state: what it means.
        reason: UpperCamelCase, for a condition.
        message: for people, with what to do where something is wrong.
    """

    state: ClaimState
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Volume:
    """What a reconcile knows of the data volume.

    Attributes:
        asked: by the spec; ``None`` if it asks for no volume.
        claim: the live claim, if it belongs to the resource.
        failure: why the claim could not be made, or its size not changed.
    """

    asked: VolumeStorage | None
    claim: Object | None = None
    failure: str = ""


def assess_claim(volume: Volume, pods: Iterable[Object] = ()) -> ClaimVerdict | None:
    """The verdict; ``None`` where there is no volume, or where this reconcile cannot tell.

    Args:
        volume: what is known of it.
        pods: those of the Deployment's pods that are in trouble.
    """
    asked, claim = volume.asked, volume.claim
    if asked is None:
        return None
    if claim is None:
        if not volume.failure:
            return None
        return ClaimVerdict(ClaimState.BROKEN, Reason.STORAGE_FAILED, volume.failure)
    broken = _broken(asked, claim, volume.failure)
    if broken:
        return broken
    if not is_bound(claim):
        return _waiting(claim, pods)
    if exceeds(_size(asked), requested(claim)):
        return None  # no reconcile has asked for the size yet
    if capacity(claim) and exceeds(requested(claim), capacity(claim)):
        return _growing(claim)
    return ClaimVerdict(ClaimState.READY, Reason.STORAGE_READY, _bound(claim))


def _broken(asked: VolumeStorage, claim: Object, failure: str) -> ClaimVerdict | None:
    name = claim["metadata"]["name"]
    if claim["metadata"].get("deletionTimestamp"):
        text = (
            f'PersistentVolumeClaim "{name}" is being deleted, its data with it: that ends when no '
            "pod uses it, and a new claim is made then"
        )
        return ClaimVerdict(ClaimState.BROKEN, Reason.STORAGE_FAILED, text)
    refused = "; ".join(_refused(asked, claim, failure))
    if refused:
        return ClaimVerdict(ClaimState.BROKEN, Reason.STORAGE_CHANGE_REFUSED, refused)
    phase = (claim.get("status") or {}).get("phase")
    if phase == "Lost":
        text = (
            f'PersistentVolumeClaim "{name}" lost its PersistentVolume '
            f'"{claim["spec"].get("volumeName", "")}": restore that volume from a backup, or '
            f"delete the claim to start with an empty one"
        )
        return ClaimVerdict(ClaimState.BROKEN, Reason.STORAGE_FAILED, text)
    return None


def blamed(volume: Volume | None, pods: tuple[Object, ...]) -> tuple[Object, ...]:
    """Pods whose trouble is the Deployment's.

    That a pod waits for a claim to be bound is the claim's: each first start has a second of it,
    and ``StorageReady`` tells if it stays. The scheduler notices last, so its words may be old.
    """
    claim = volume.claim if volume else None
    if claim is None:
        return pods
    bound = is_bound(claim)
    return tuple(
        pod
        for pod in pods
        if pod[TROUBLE]["reason"] != Reason.VOLUME_PENDING
        or (bound and _UNBOUND not in pod[TROUBLE]["message"])
    )


def next_look_s(volume: Volume | None, cr: Object, now: str) -> float | None:
    """When to look again although no event asks for it; ``None`` if one will.

    Args:
        volume: what is known of it.
        cr: the resource, as it was read.
        now: RFC 3339.
    """
    if volume is None or volume.asked is None or volume.claim is None:
        return None
    if volume.failure:
        return REFUSAL_RECHECK_S
    if not is_bound(volume.claim) or not _is_pending(cr):
        return None
    return max(1.0, BOUND_REPORT_DELAY_S - _bound_for_s(volume.claim, cr, now))


def worth_reporting(
    verdict: ClaimVerdict | None, volume: Volume, cr: Object, now: str
) -> ClaimVerdict | None:
    """The verdict, or for some seconds what the status says already.

    A new claim is bound while the pods start; to write the status for that alone would cost every
    resource a request more (the bar is five besides its children).

    Args:
        verdict: on the claim, while the pods are not ready yet.
        volume: that it is about.
        cr: the resource with the status of the last reconcile.
        now: RFC 3339.
    """
    if verdict is None or verdict.state is not ClaimState.READY or volume.claim is None:
        return verdict
    if not _is_pending(cr) or _bound_for_s(volume.claim, cr, now) >= BOUND_REPORT_DELAY_S:
        return verdict
    before = _condition(cr)
    return ClaimVerdict(ClaimState.WAITING, str(before["reason"]), str(before["message"]))


def _is_pending(cr: Object) -> bool:
    """Whether that is what was said."""
    return _condition(cr).get("reason") == Reason.STORAGE_PENDING


def _bound_for_s(claim: Object, cr: Object, now: str) -> float:
    """How long, at most, a claim has been bound of which it was said that it is pending."""
    since = status_at(claim) or str(_condition(cr)["lastTransitionTime"])
    return (datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds()


def _condition(cr: Object) -> Mapping[str, Any]:
    return condition(cr, ConditionType.STORAGE_READY)


def needs_reconcile(old: Object, new: Object) -> bool:
    """Whether an update of a claim can change what a reconcile would do or has to report at once.

    Binding takes half a dozen updates, between the binder, the scheduler and the provisioner. All
    that follows from it is a line in the status, which can wait for the pods that it lets start.
    """
    before, after = _reported_fields(old), _reported_fields(new)
    return _of_metadata_and_spec(old) != _of_metadata_and_spec(new) or (
        before != after and not (before[0] == "Pending" and after[0] == "Bound")
    )


def may_change_status(old: Object, new: Object) -> bool:
    """Whether an update can change what is said of a claim, sooner or later."""
    return _reported_fields(old) != _reported_fields(new) or _provisioner(old) != _provisioner(new)


def _reported_fields(claim: Object) -> tuple[Any, ...]:
    status = claim.get("status") or {}
    return (
        status.get("phase"),
        status.get("capacity"),
        [(c.get("type"), c.get("status"), c.get("message")) for c in conditions_of(claim)],
        status.get("allocatedResourceStatuses"),
    )


def _of_metadata_and_spec(claim: Object) -> tuple[Any, ...]:
    metadata = claim["metadata"]
    return (
        metadata.get("uid"),
        metadata.get("labels"),
        metadata.get("ownerReferences"),
        metadata.get("deletionTimestamp"),
        _ours(metadata.get("annotations") or {}),
        {k: v for k, v in claim["spec"].items() if k != "volumeName"},
    )


def _ours(annotations: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in annotations.items() if k.startswith("llamastack.io/")}


def _size(asked: VolumeStorage) -> str:
    return str(asked.size or DEFAULT_SIZE)


def _refused(asked: VolumeStorage, claim: Object, failure: str) -> Iterator[str]:
    """What the spec says and the claim does not follow; what it leaves open is no contradiction."""
    name, spec = claim["metadata"]["name"], claim["spec"]
    gain = "to start with an empty volume" if spec.get("volumeName") else "as it holds no data yet"
    start_again = f"or delete the claim, {gain}: kubectl delete pvc {name}"
    if failure and same_quantity(_size(asked), requested(claim)):
        yield f"{FIELD}: {name} was left as it is: {shown(failure)}"
    elif failure:
        yield (
            f"{FIELD}.size: {name} stays at {requested(claim)} instead of {_size(asked)}: "
            f"{shown(failure)}: use a class that allows expansion, or set the size back"
        )
    elif asked.size is not None and _cannot_shrink(str(asked.size), claim):
        yield (
            f"{FIELD}.size: {name} has {requested(claim)} and cannot shrink to {asked.size}: set "
            f"the size to {requested(claim)} or more"
        )
    has = spec.get("storageClassName")
    wanted = asked.storage_class_name
    if wanted and has != wanted and (has is not None or spec.get("volumeName")):
        current = f'class "{has}"' if has else "no class"
        back = f'set it to "{has}"' if has else "remove it"
        yield (
            f'{FIELD}.storageClassName: {name} has {current} and cannot change to "{wanted}": '
            f"{back}, {start_again}"
        )
    modes = spec.get("accessModes") or ()
    if "access_modes" in asked.model_fields_set and set(access_modes(asked)) != set(modes):
        yield (
            f"{FIELD}.accessModes: {name} has {', '.join(modes)} and cannot change to "
            f"{', '.join(access_modes(asked))}: set it back, {start_again}"
        )


def _cannot_shrink(asked: str, claim: Object) -> bool:
    """A volume that failed to grow may be asked to grow less, but not to what it has."""
    if not exceeds(requested(claim), asked):
        return False
    return not (capacity(claim) and exceeds(asked, capacity(claim)))


def _waiting(claim: Object, pods: Iterable[Object]) -> ClaimVerdict:
    name = claim["metadata"]["name"]
    look = f"kubectl describe pvc {name}"
    storage_class = claim["spec"].get("storageClassName")
    provisioner = _provisioner(claim)
    if storage_class is None:
        why = f"it names no class, and the cluster has no default: set {FIELD}.storageClassName"
    elif storage_class == "":
        why = "it waits for a PersistentVolume without a class, which somebody has to make"
    elif provisioner:
        why = f'provisioner "{provisioner}" was asked for the volume; if it takes long: {look}'
    else:
        why = (
            f'no volume of class "{storage_class}" was asked for yet: some classes wait for the '
            f"first pod (WaitForFirstConsumer); if it takes long, the class, its provisioner or a "
            f"volume is missing: {look}"
        )
    trouble = _trouble(pods)
    text = f'PersistentVolumeClaim "{name}" is Pending: {why}'
    return ClaimVerdict(
        ClaimState.WAITING, Reason.STORAGE_PENDING, f"{text}; {trouble}" if trouble else text
    )


def _provisioner(claim: Object) -> str:
    """Who was asked for the volume."""
    annotations = claim["metadata"].get("annotations") or {}
    return next((annotations[k] for k in _PROVISIONERS if k in annotations), "")


def _trouble(pods: Iterable[Object]) -> str:
    """What the scheduler said of a pod that waits for its volume."""
    for pod in pods:
        trouble = pod[TROUBLE]
        # That the claim is not bound is what is being explained.
        if trouble.get("reason") == Reason.VOLUME_PENDING and _UNBOUND not in trouble["message"]:
            return str(trouble["message"])
    return ""


def _growing(claim: Object) -> ClaimVerdict:
    name = claim["metadata"]["name"]
    text = f'PersistentVolumeClaim "{name}" grows from {capacity(claim)} to {requested(claim)}'
    found = {c.get("type"): c for c in conditions_of(claim) if c.get("status") == "True"}
    statuses = (claim.get("status") or {}).get("allocatedResourceStatuses") or {}
    stuck = str(statuses.get("storage", ""))
    for kind in ("ControllerResizeError", "NodeResizeError"):
        if kind in found or stuck == f"{kind.removesuffix('Error')}Infeasible":
            said = shown(str(found.get(kind, {}).get("message") or stuck))
            text = (
                f"{text}, which failed: {said}: see kubectl describe pvc {name}; a smaller {FIELD}"
                f".size above {capacity(claim)} can be tried instead"
            )
            return ClaimVerdict(ClaimState.BROKEN, Reason.STORAGE_FAILED, text)
    if "FileSystemResizePending" in found:
        text += ": its file system grows next, with some drivers only when the pod is restarted"
    else:
        text += f"; if it takes long: kubectl describe pvc {name}"
    return ClaimVerdict(ClaimState.GROWING, Reason.STORAGE_RESIZING, text)


def _bound(claim: Object) -> str:
    size = capacity(claim) or requested(claim)
    modes = ", ".join(claim["spec"].get("accessModes") or ())
    text = f'PersistentVolumeClaim "{claim["metadata"]["name"]}" is bound: {size}, {modes}'
    if not same_quantity(size, requested(claim)):
        text += f" ({requested(claim)} were asked for)"
    if not claim["metadata"].get("ownerReferences"):
        text += "; it stays when the resource is deleted"
    return text
