# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is not ours is never touched (R-D11)."""

from __future__ import annotations

from typing import Any

import pytest

from controller.llamastack.objects.kinds import (
    DEPLOYMENT,
    PERSISTENT_VOLUME_CLAIM,
    RETAINED_FOR,
    SERVICE,
)
from controller.llamastack.objects.ownership import (
    BeingDeleted,
    ResourceConflict,
    belongs,
    check_writable,
    is_orphan,
    is_owned,
    owner_reference_to,
)
from informers.ports import Resource

CR: dict[str, Any] = {
    "apiVersion": "llamastack.io/v1alpha2",
    "metadata": {"name": "demo", "namespace": "n", "uid": "new", "generation": 1},
}


def service(*owners: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "demo-service",
            "namespace": "n",
            "ownerReferences": list(owners),
            **metadata,
        }
    }


def test_our_own_child_is_writable() -> None:
    child = service(owner_reference_to(CR))

    check_writable(SERVICE, child, CR)

    assert is_owned(child, CR)


def test_object_without_owner_is_a_conflict_that_names_it() -> None:
    with pytest.raises(ResourceConflict) as caught:
        check_writable(SERVICE, service(), CR)

    assert str(caught.value).startswith('Service "demo-service" in namespace "n" has no owner')
    assert "another name" in str(caught.value)


def test_object_of_another_controller_is_a_conflict_that_names_the_controller() -> None:
    other = {"kind": "Helm", "name": "x", "uid": "1", "controller": True, "apiVersion": "h/v1"}

    with pytest.raises(ResourceConflict, match='is controlled by Helm "x"'):
        check_writable(SERVICE, service(other), CR)


def test_child_on_its_way_out_is_waited_for() -> None:
    child = service(owner_reference_to(CR), deletionTimestamp="2026-01-01T00:00:00Z")

    with pytest.raises(BeingDeleted):
        check_writable(SERVICE, child, CR)


def test_leftover_of_a_deleted_namesake_is_waited_for() -> None:
    old = {**CR, "metadata": {**CR["metadata"], "uid": "old"}}
    child = service(owner_reference_to(old))

    with pytest.raises(BeingDeleted):
        check_writable(SERVICE, child, CR)

    assert not is_owned(child, CR)


def test_reference_without_controller_flag_does_not_own() -> None:
    reference = {**owner_reference_to(CR), "controller": False}

    with pytest.raises(ResourceConflict):
        check_writable(SERVICE, service(reference), CR)


OURS = {"app.kubernetes.io/managed-by": "llama-stack-operator"}


def kept(*owners: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return service(*owners, **({"labels": OURS, "annotations": {RETAINED_FOR: "demo"}} | metadata))


def test_claim_that_was_kept_belongs_to_whoever_has_that_name() -> None:
    check_writable(PERSISTENT_VOLUME_CLAIM, kept(), CR)

    assert belongs(PERSISTENT_VOLUME_CLAIM, kept(), CR)
    assert not is_owned(kept(), CR)


def test_kept_claim_on_its_way_out_is_waited_for() -> None:
    with pytest.raises(BeingDeleted):
        check_writable(PERSISTENT_VOLUME_CLAIM, kept(deletionTimestamp="x"), CR)


@pytest.mark.parametrize(
    "claim",
    [
        kept(labels={}),
        kept(annotations={}),
        kept(annotations={RETAINED_FOR: "other"}),
        kept(
            owner_reference_to({**CR, "metadata": {**CR["metadata"], "name": "other", "uid": "2"}})
        ),
    ],
)
def test_claim_needs_label_annotation_and_no_controller_to_be_taken(claim: dict[str, Any]) -> None:
    with pytest.raises(ResourceConflict):
        check_writable(PERSISTENT_VOLUME_CLAIM, claim, CR)


def test_nothing_but_a_claim_is_ever_kept() -> None:
    with pytest.raises(ResourceConflict):
        check_writable(SERVICE, kept(), CR)


WANTED: dict[str, Any] = {
    "metadata": {"name": "demo", "namespace": "n", "labels": {**OURS, "part": "x"}},
    "spec": {"selector": {"matchLabels": {"app": "llama-stack", "instance": "demo"}}},
}


def orphan(
    manager: str = "manager", operation: str = "Update", subresource: str = "", **metadata: Any
) -> dict[str, Any]:
    entry = {"manager": manager, "operation": operation, "subresource": subresource}
    own = {**WANTED["metadata"], "managedFields": [entry], **metadata}
    return {**WANTED, "metadata": own}


@pytest.mark.parametrize("written_by", [("manager", "Update"), ("demo", "Apply")], ids=str)
def test_deployment_that_the_go_operator_lost_is_an_orphan(written_by: tuple[str, str]) -> None:
    assert is_orphan(DEPLOYMENT, WANTED, orphan(*written_by), "demo")


@pytest.mark.parametrize(
    ("resource", "live"),
    [
        pytest.param(SERVICE, orphan(), id="another-kind"),
        pytest.param(DEPLOYMENT, orphan("helm"), id="written-by-somebody-else"),
        pytest.param(DEPLOYMENT, orphan("other", "Apply"), id="of-another-resource"),
        pytest.param(DEPLOYMENT, orphan(subresource="status"), id="status-alone"),
        pytest.param(DEPLOYMENT, orphan(labels=OURS), id="without-a-label"),
        pytest.param(DEPLOYMENT, orphan(deletionTimestamp="x"), id="on-its-way-out"),
        pytest.param(
            DEPLOYMENT, {**orphan(), "spec": {"selector": {"matchLabels": {}}}}, id="other-pods"
        ),
        pytest.param(
            DEPLOYMENT, orphan(ownerReferences=[owner_reference_to(CR)]), id="has-an-owner"
        ),
    ],
)
def test_nothing_else_is_an_orphan(resource: Resource, live: dict[str, Any]) -> None:
    assert not is_orphan(resource, WANTED, live, "demo")
