# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""When a claim is looked at, and when it is worth a write of the status."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from api.v1alpha2 import parse
from api.v1alpha2.reasons import Reason
from api.v1alpha2.workload import VolumeStorage
from controller.llamastack.objects.claims import keep_claim, status_at
from controller.llamastack.status.claim import (
    REFUSAL_RECHECK_S,
    ClaimState,
    ClaimVerdict,
    Volume,
    assess_claim,
    may_change_status,
    needs_reconcile,
    next_look_s,
    worth_reporting,
)
from informers.ports import Object
from tests.support.apicase import with_workload
from tests.support.claims import claim


def asked() -> VolumeStorage:
    found = parse(with_workload(storage={})).spec.workload.storage
    assert found is not None
    return found


def verdict(live: Object) -> ClaimVerdict:
    found = assess_claim(Volume(asked(), live))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        (None, None),
        (Volume(None), None),
        (Volume(None, claim(phase="Pending")), None),
        (Volume(asked(), None, "quota"), None),
        (Volume(asked(), claim()), None),
        (Volume(asked(), claim(phase="Pending")), None),
        (Volume(asked(), claim(), "refused"), REFUSAL_RECHECK_S),
    ],
)
def test_only_what_no_event_will_tell_is_looked_at_again(
    volume: Volume | None, expected: float | None
) -> None:
    assert next_look_s(volume, {}, "2026-01-01T00:00:00Z") == expected


def pending(since: str) -> dict[str, Any]:
    found = {"type": "StorageReady", "status": "False", "reason": "StoragePending"}
    return {"status": {"conditions": [found | {"message": "m", "lastTransitionTime": since}]}}


def bound_at(time: str) -> Object:
    """A claim as a cache has it, from what the API server notes of its writers."""
    written = {"manager": "kube-controller-manager", "subresource": "status", "time": time}
    made = {"manager": "llamastack-operator", "time": "2026-01-01T00:00:00Z"}
    found = claim()
    noted = {**found, "metadata": {**found["metadata"], "managedFields": [written, made]}}
    return keep_claim(copy.deepcopy(noted))


def test_bound_claim_is_reported_with_the_pods_or_a_while_later() -> None:
    cr, volume = pending("2026-01-01T00:00:00Z"), Volume(asked(), bound_at("2026-01-01T00:05:00Z"))
    bound = verdict(claim())

    soon = worth_reporting(bound, volume, cr, "2026-01-01T00:05:19Z")
    later = worth_reporting(bound, volume, cr, "2026-01-01T00:05:20Z")

    assert soon == ClaimVerdict(ClaimState.WAITING, Reason.STORAGE_PENDING, "m")
    assert later == bound
    assert next_look_s(volume, cr, "2026-01-01T00:05:13Z") == 7.0
    assert next_look_s(volume, cr, "2026-01-01T00:09:00Z") == 1.0, "clocks differ"


def test_claim_of_unknown_age_is_told_by_how_long_it_was_waited_for() -> None:
    cr, volume, bound = pending("2026-01-01T00:00:00Z"), Volume(asked(), claim()), verdict(claim())

    assert worth_reporting(bound, volume, cr, "2026-01-01T00:00:19Z") != bound
    assert worth_reporting(bound, volume, cr, "2026-01-01T00:00:20Z") == bound


def test_cache_keeps_when_a_claim_was_bound_and_not_by_whom() -> None:
    kept = bound_at("2026-01-01T00:05:00Z")

    assert "managedFields" not in kept["metadata"]
    assert status_at(kept) == "2026-01-01T00:05:00Z"
    assert keep_claim(dict(kept)) == kept
    assert keep_claim(claim()) == claim()


def test_trouble_of_a_claim_is_reported_at_once() -> None:
    lost, volume = verdict(claim(phase="Lost")), Volume(asked(), claim())
    cr, now = pending("2026-01-01T00:00:00Z"), "2026-01-01T00:00:01Z"

    assert worth_reporting(lost, volume, cr, now) == lost
    assert worth_reporting(None, volume, cr, now) is None
    assert worth_reporting(verdict(claim()), volume, {}, now) == verdict(claim())


def changed(obj: dict[str, Any], part: str, **fields: Any) -> dict[str, Any]:
    return {**obj, part: {**obj[part], **fields}}


@pytest.mark.parametrize(
    "new",
    [
        changed(claim(), "metadata", resourceVersion="9"),
        changed(claim(), "metadata", finalizers=["kubernetes.io/pvc-protection"]),
        changed(claim(), "metadata", annotations={"pv.kubernetes.io/bind-completed": "yes"}),
        changed(claim(), "spec", volumeName="pv-2"),
        changed(claim(), "status", accessModes=["ReadWriteOnce"]),
    ],
)
def test_steps_of_binding_need_no_reconcile(new: dict[str, Any]) -> None:
    assert not needs_reconcile(claim(), new)
    assert not may_change_status(claim(), new)


@pytest.mark.parametrize(
    "new",
    [
        claim(phase="Pending"),
        claim(capacity="20Gi"),
        claim("20Gi"),
        claim(storage_class="slow"),
        claim(conditions=[{"type": "Resizing", "status": "True"}]),
        claim(allocatedResourceStatuses={"storage": "NodeResizeInfeasible"}),
        changed(claim(), "metadata", ownerReferences=[]),
        changed(claim(), "metadata", deletionTimestamp="2026-01-01T00:00:00Z"),
        changed(claim(), "metadata", labels={}),
        changed(claim(), "metadata", uid="d"),
        changed(claim(), "metadata", annotations={"llamastack.io/retained-for": "demo"}),
    ],
)
def test_what_a_reconcile_would_act_on_or_report_needs_one(new: dict[str, Any]) -> None:
    assert needs_reconcile(claim(), new)


def test_binding_itself_can_wait_for_the_pods_but_losing_a_volume_cannot() -> None:
    assert not needs_reconcile(claim(phase="Pending"), claim())
    assert may_change_status(claim(phase="Pending"), claim())
    assert needs_reconcile(claim(phase="Pending", storage_class=None), claim(storage_class="fast"))
    assert needs_reconcile(claim(), claim(phase="Lost"))


def test_who_was_asked_for_a_volume_can_wait_and_is_told_in_the_end() -> None:
    asked_for = {"volume.kubernetes.io/storage-provisioner": "csi.example.org"}
    new = changed(claim(phase="Pending"), "metadata", annotations=asked_for)

    assert not needs_reconcile(claim(phase="Pending"), new)
    assert may_change_status(claim(phase="Pending"), new)
