# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What of a spec reaches a claim that is there, and what is said of the rest."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from api.v1alpha2 import parse
from api.v1alpha2.reasons import Reason
from api.v1alpha2.workload import VolumeStorage
from controller.llamastack.objects.claims import fitted, held, is_single_node
from controller.llamastack.status.claim import (
    ClaimState,
    ClaimVerdict,
    Volume,
    assess_claim,
)
from tests.support.apicase import with_workload
from tests.support.claims import claim


def asked(**storage: Any) -> VolumeStorage:
    found = parse(with_workload(storage=storage)).spec.workload.storage
    assert found is not None
    return found


def wanted(size: str = "10Gi", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "demo-pvc"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            **spec,
        },
    }


def verdict(live: dict[str, Any] | None, failure: str = "", **storage: Any) -> ClaimVerdict:
    found = assess_claim(Volume(asked(**storage), live, failure))
    assert found is not None
    return found


# --- what is sent --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("live", "size", "sent"),
    [
        (claim("10Gi"), "20Gi", "20Gi"),
        (claim("10Gi"), "5Gi", "10Gi"),
        (claim("10Gi"), "10240Mi", "10Gi"),
        (claim("10Gi", phase="Pending"), "20Gi", "10Gi"),
        (claim("10Gi", phase="Lost"), "20Gi", "10Gi"),
        # Growing to 100Gi has failed: anything above what is there may be tried instead (KEP-1790).
        (claim("100Gi", capacity="10Gi"), "20Gi", "20Gi"),
        (claim("100Gi", capacity="10Gi"), "10Gi", "100Gi"),
        (claim("100Gi", capacity="10Gi"), "5Gi", "100Gi"),
    ],
)
def test_size_only_ever_grows_and_only_where_there_is_a_volume(
    live: dict[str, Any], size: str, sent: str
) -> None:
    assert fitted(wanted(size), live)["spec"]["resources"]["requests"] == {"storage": sent}


def test_size_that_was_refused_stays() -> None:
    sent = held(wanted("20Gi"), claim("10Gi"))

    assert sent["spec"]["resources"]["requests"] == {"storage": "10Gi"}


def test_class_and_modes_are_those_of_the_claim() -> None:
    live = claim(storage_class="fast", modes=("ReadWriteMany",))

    sent = fitted(wanted(storageClassName="slow"), live)["spec"]

    assert (sent["storageClassName"], sent["accessModes"]) == ("fast", ["ReadWriteMany"])


@pytest.mark.parametrize(
    ("live", "sent"),
    [
        (claim(phase="Pending", storage_class=None), "slow"),
        (claim(phase="Pending", storage_class=""), ""),
        (claim(storage_class=None), None),
    ],
)
def test_class_can_be_named_once_where_there_was_none(
    live: dict[str, Any], sent: str | None
) -> None:
    assert fitted(wanted(storageClassName="slow"), live)["spec"].get("storageClassName") == sent


def test_default_class_of_the_cluster_is_kept() -> None:
    assert fitted(wanted(), claim(storage_class="fast"))["spec"]["storageClassName"] == "fast"


def test_everything_else_is_sent_as_it_is() -> None:
    manifest = wanted("20Gi") | {"metadata": {"name": "demo-pvc", "labels": {"a": "b"}}}
    before, live = copy.deepcopy(manifest), claim()

    sent = fitted(manifest, live)

    assert sent["metadata"] == manifest["metadata"]
    assert (manifest, live) == (before, claim()), "inputs are left alone"


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        (["ReadWriteOnce"], True),
        (["ReadWriteOncePod"], True),
        (["ReadOnlyMany", "ReadWriteOnce"], True),
        (["ReadWriteMany"], False),
        (["ReadWriteOnce", "ReadWriteMany"], False),
        (["ReadOnlyMany"], False),
    ],
)
def test_pods_take_turns_where_one_node_has_the_volume(modes: list[str], *, expected: bool) -> None:
    assert is_single_node(modes) is expected


# --- what is said --------------------------------------------------------------------------------


def test_no_volume_asked_for_has_no_verdict() -> None:
    assert assess_claim(Volume(None, claim())) is None


def test_bound_claim_is_ready_and_shows_what_it_is() -> None:
    assert verdict(claim()) == ClaimVerdict(
        ClaimState.READY,
        Reason.STORAGE_READY,
        'PersistentVolumeClaim "demo-pvc" is bound: 10Gi, ReadWriteOnce',
    )


def test_volume_that_is_larger_than_asked_for_is_no_difference() -> None:
    found = verdict(claim("10Gi", capacity="12Gi"))

    assert found.state is ClaimState.READY
    assert "12Gi, ReadWriteOnce (10Gi were asked for)" in found.message


def test_claim_that_outlives_its_resource_is_called_so() -> None:
    kept = verdict(claim(metadata={"ownerReferences": None}), retainOnDelete=True)

    assert kept.message.endswith("; it stays when the resource is deleted")


@pytest.mark.parametrize(
    ("live", "words"),
    [
        (claim(phase="Pending", storage_class=None), "the cluster has no default: set spec.work"),
        (claim(phase="Pending", storage_class=""), "PersistentVolume without a class"),
        (claim(phase="Pending"), 'no volume of class "fast" was asked for yet: some classes wait'),
        (
            claim(
                phase="Pending",
                metadata={"annotations": {"volume.kubernetes.io/storage-provisioner": "csi.x"}},
            ),
            'provisioner "csi.x" was asked for the volume; if it takes long: kubectl describe pvc',
        ),
    ],
)
def test_pending_claim_says_what_it_waits_for(live: dict[str, Any], words: str) -> None:
    found = verdict(live)

    assert (found.state, found.reason) == (ClaimState.WAITING, Reason.STORAGE_PENDING)
    assert found.message.startswith('PersistentVolumeClaim "demo-pvc" is Pending: ')
    assert words in found.message


UNBOUND = "unbound immediate PersistentVolumeClaims"


def test_pending_claim_quotes_the_scheduler_but_not_about_other_things() -> None:
    pods = [
        {"trouble": {"reason": "Unschedulable", "message": "cpu"}},
        {"trouble": {"reason": "VolumePending", "message": f"pod has {UNBOUND}"}},
        {"trouble": {"reason": "VolumePending", "message": "no volume in zone a"}},
    ]

    found = assess_claim(Volume(asked(), claim(phase="Pending")), pods)

    assert found is not None
    assert found.message.endswith("; no volume in zone a")


def test_lost_claim_needs_a_person() -> None:
    found = verdict(claim(phase="Lost"))

    assert (found.state, found.reason) == (ClaimState.BROKEN, Reason.STORAGE_FAILED)
    assert 'lost its PersistentVolume "pv-1": restore' in found.message


def test_claim_on_its_way_out_is_said() -> None:
    found = verdict(claim(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}))

    assert (found.state, found.reason) == (ClaimState.BROKEN, Reason.STORAGE_FAILED)
    assert "is being deleted" in found.message


def test_claim_that_could_not_be_made_says_why() -> None:
    found = verdict(None, "exceeded quota: small")

    assert found == ClaimVerdict(ClaimState.BROKEN, Reason.STORAGE_FAILED, "exceeded quota: small")


def test_claim_that_was_not_looked_at_has_no_verdict() -> None:
    assert assess_claim(Volume(asked())) is None


def test_claim_that_was_not_asked_to_grow_yet_has_no_verdict() -> None:
    assert assess_claim(Volume(asked(size="20Gi"), claim("10Gi"))) is None


@pytest.mark.parametrize(
    ("live", "storage", "message"),
    [
        (
            claim("20Gi"),
            {"size": "10Gi"},
            "spec.workload.storage.size: demo-pvc has 20Gi and cannot shrink to 10Gi: set the size"
            " to 20Gi or more",
        ),
        (
            claim("100Gi", capacity="10Gi"),
            {"size": "10Gi"},
            "spec.workload.storage.size: demo-pvc has 100Gi and cannot shrink to 10Gi: set the"
            " size to 100Gi or more",
        ),
        (
            claim(),
            {"storageClassName": "slow"},
            'spec.workload.storage.storageClassName: demo-pvc has class "fast" and cannot change to'
            ' "slow": set it to "fast", or delete the claim, to start with an empty volume: kubectl'
            " delete pvc demo-pvc",
        ),
        (
            claim(storage_class=None),
            {"storageClassName": "slow"},
            "spec.workload.storage.storageClassName: demo-pvc has no class and cannot change to"
            ' "slow": remove it, or delete the claim, to start with an empty volume: kubectl delete'
            " pvc demo-pvc",
        ),
        (
            claim(phase="Pending", storage_class="fsat"),
            {"storageClassName": "fast"},
            'spec.workload.storage.storageClassName: demo-pvc has class "fsat" and cannot change to'
            ' "fast": set it to "fsat", or delete the claim, as it holds no data yet: kubectl'
            " delete pvc demo-pvc",
        ),
        (
            claim(),
            {"accessModes": ["ReadWriteMany", "ReadWriteOnce"]},
            "spec.workload.storage.accessModes: demo-pvc has ReadWriteOnce and cannot change to"
            " ReadWriteMany, ReadWriteOnce: set it back, or delete the claim, to start with an"
            " empty volume: kubectl delete pvc demo-pvc",
        ),
    ],
)
def test_what_a_claim_cannot_become_is_said_with_the_field_and_the_way_out(
    live: dict[str, Any], storage: dict[str, Any], message: str
) -> None:
    assert verdict(live, **storage) == ClaimVerdict(
        ClaimState.BROKEN, Reason.STORAGE_CHANGE_REFUSED, message
    )


@pytest.mark.parametrize(
    "storage",
    [
        {},
        {"size": "20480Mi"},
        {"storageClassName": "fast"},
        {"accessModes": ["ReadWriteMany", "ReadOnlyMany"]},
    ],
)
def test_what_a_spec_leaves_open_or_says_in_other_words_is_no_contradiction(
    storage: dict[str, Any],
) -> None:
    live = claim("20Gi", modes=("ReadOnlyMany", "ReadWriteMany"))

    assert verdict(live, **storage).state is ClaimState.READY


def test_all_contradictions_come_at_once() -> None:
    found = verdict(claim("20Gi"), size="1Gi", storageClassName="x", accessModes=["ReadOnlyMany"])

    assert found.message.count("spec.workload.storage.") == 3


def test_refused_growth_shows_the_words_of_the_api_server() -> None:
    found = verdict(claim("10Gi"), "the class must support resize", size="20Gi")

    assert (found.state, found.reason) == (ClaimState.BROKEN, Reason.STORAGE_CHANGE_REFUSED)
    assert found.message == (
        "spec.workload.storage.size: demo-pvc stays at 10Gi instead of 20Gi: the class must support"
        " resize: use a class that allows expansion, or set the size back"
    )


def test_other_refusal_of_a_write_is_not_put_on_the_size() -> None:
    found = verdict(claim("10Gi"), "not allowed to patch")

    assert (
        found.message == "spec.workload.storage: demo-pvc was left as it is: not allowed to patch"
    )


def test_growing_volume_is_neither_ready_nor_broken() -> None:
    found = verdict(claim("20Gi", capacity="10Gi"), size="20Gi")

    assert (found.state, found.reason) == (ClaimState.GROWING, Reason.STORAGE_RESIZING)
    assert "grows from 10Gi to 20Gi; if it takes long: kubectl describe" in found.message


def test_file_system_that_has_to_grow_is_said() -> None:
    waits = {"type": "FileSystemResizePending", "status": "True", "message": "x"}

    found = verdict(claim("20Gi", capacity="10Gi", conditions=[waits]), size="20Gi")

    assert found.state is ClaimState.GROWING
    assert "only when the pod is restarted" in found.message


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (
            {"conditions": [{"type": "NodeResizeError", "status": "True", "message": "disk full"}]},
            "disk full",
        ),
        (
            {
                "conditions": [
                    {"type": "ControllerResizeError", "status": "True", "message": "no space"}
                ],
                "allocatedResourceStatuses": {"storage": "ControllerResizeInfeasible"},
            },
            "no space",
        ),
        (
            {"allocatedResourceStatuses": {"storage": "NodeResizeInfeasible"}},
            "NodeResizeInfeasible",
        ),
    ],
)
def test_failed_growth_names_its_cause_and_a_way_out(status: dict[str, Any], said: str) -> None:
    found = verdict(claim("20Gi", capacity="10Gi", **status), size="20Gi")

    assert (found.state, found.reason) == (ClaimState.BROKEN, Reason.STORAGE_FAILED)
    assert f"which failed: {said}: " in found.message
    assert "a smaller spec.workload.storage.size above 10Gi" in found.message
