# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a failure among the children means: for how long, for whom, and when to look again."""

from __future__ import annotations

import pytest

from api.v1alpha2.reasons import Reason
from controller.llamastack.children.config_map import ConfigMapNameTaken
from controller.llamastack.objects.kinds import PERSISTENT_VOLUME_CLAIM
from controller.llamastack.objects.ownership import BeingDeleted, ResourceConflict
from controller.llamastack.status.claim import Volume
from controller.llamastack.status.outcome import (
    CONFLICT_RECHECK_S,
    DELETION_RECHECK_S,
    Failure,
    Outcome,
    failed,
)
from informers.errors import (
    ApiError,
    Forbidden,
    Invalid,
    NamespaceTerminating,
    ServerError,
)

CLAIM = "PersistentVolumeClaim"
OBJECT = {"metadata": {"name": "demo-pvc", "namespace": "n"}}


def theirs() -> ResourceConflict:
    return ResourceConflict(PERSISTENT_VOLUME_CLAIM, OBJECT, {"metadata": {"name": "demo"}})


def going() -> BeingDeleted:
    return BeingDeleted(PERSISTENT_VOLUME_CLAIM, OBJECT)


@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        (theirs(), True),
        (ConfigMapNameTaken("theirs"), True),
        (Forbidden("no", code=403), True),
        (Invalid("odd", code=422), True),
        (going(), False),
        (NamespaceTerminating("going", code=403), False),
        (ServerError("busy", code=503), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_only_what_a_person_has_to_fix_is_put_on_the_child(
    error: Exception, *, lasting: bool
) -> None:
    problem = failed(Outcome(None), Failure(error, CLAIM)).problem

    assert problem is not None
    assert (problem.permanent, problem.kind) == (lasting, CLAIM if lasting else "")


@pytest.mark.parametrize(
    ("error", "reason", "recheck_s", "retried"),
    [
        (theirs(), Reason.RESOURCE_CONFLICT, CONFLICT_RECHECK_S, False),
        (going(), Reason.WAITING_FOR_DELETION, DELETION_RECHECK_S, False),
        (NamespaceTerminating("x", code=403), Reason.DELETING, None, False),
        (Invalid("x", code=422), Reason.RECONCILE_FAILED, None, True),
        (ServerError("x", code=503), Reason.RECONCILE_FAILED, None, True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ApiError) else str(value),
)
def test_each_failure_has_its_way_back(
    error: Exception, reason: str, recheck_s: float | None, *, retried: bool
) -> None:
    found = failed(Outcome(None), Failure(error, CLAIM))

    assert found.problem is not None
    assert (found.problem.reason, found.recheck_s) == (reason, recheck_s)
    assert (found.error is error) is retried


def test_failure_beside_a_deployment_that_is_written_is_told_apart() -> None:
    written = Outcome({"kind": "Deployment"}, True, "demo-config-1", Volume(None))

    found = failed(written, Failure(theirs(), CLAIM))

    assert found.problem is not None
    assert found.problem.beside
    assert (found.deployment_changed, found.config_map_name) == (True, "demo-config-1")
    before = failed(Outcome(None), Failure(theirs(), CLAIM)).problem
    assert before is not None
    assert not before.beside
