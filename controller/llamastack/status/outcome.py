# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What became of the children in one reconcile, and what a failure among them means. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from api.v1alpha2.reasons import Reason
from controller.llamastack.children.config_map import ConfigMapNameTaken
from controller.llamastack.objects.ownership import BeingDeleted, ResourceConflict
from controller.llamastack.objects.problem import Problem
from informers.errors import ApiError, Forbidden, Invalid, MalformedApply, NamespaceTerminating

if TYPE_CHECKING:
    from controller.llamastack.status.claim import Volume
    from informers.ports import Object

CONFLICT_RECHECK_S = 60.0  # a foreign object is not in our caches: nothing tells when it goes
DELETION_RECHECK_S = 5.0  # its deletion wakes us; this is for the case that the label is missing

STEP_ERRORS = (ApiError, BeingDeleted, ConfigMapNameTaken, ResourceConflict)
"""What a step may end with."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the children.

    Attributes:
        deployment: live, whether written in this reconcile or not.
        deployment_changed: whether this reconcile wrote it.
        config_map_name: of the configuration that it uses; empty if it could not be written.
        volume: what is known of the data volume; ``None`` likewise.
        installs_name: of the ConfigMap that pods install external providers from; empty without.
        service: live, if this reconcile could write it, or had not to.
        problem: why something is not as it should be.
        error: to be raised when the status is written, so that the reconcile is tried again.
        recheck_s: when to look again although no event asks for it.
    """

    deployment: Object | None
    deployment_changed: bool = False
    config_map_name: str = ""
    volume: Volume | None = None
    installs_name: str = ""
    service: Object | None = None
    problem: Problem | None = None
    error: Exception | None = None
    recheck_s: float | None = None

    @property
    def is_written(self) -> bool:
        """Whether the Deployment is as it should be."""
        return self.volume is not None

    @property
    def is_settled(self) -> bool:
        """Whether it was so before already, and nothing else is wrong."""
        return self.is_written and not (self.deployment_changed or self.problem or self.error)


@dataclass(frozen=True, slots=True)
class Failure:
    """A write that failed.

    Attributes:
        error: one of ``STEP_ERRORS``.
        kind: of the child.
        origin: field of the resource that it is about, if the child was refused for one.
    """

    error: Exception
    kind: str
    origin: str = ""


def failed(outcome: Outcome, failure: Failure) -> Outcome:
    """The outcome of a reconcile in which a write failed.

    Args:
        outcome: of the writes before.
        failure: the first one.
    """
    error, found, permanent = failure.error, outcome, False
    match error:
        case ResourceConflict() | ConfigMapNameTaken():
            reason, permanent = Reason.RESOURCE_CONFLICT, True
            found = replace(outcome, recheck_s=CONFLICT_RECHECK_S)
        case BeingDeleted():
            reason = Reason.WAITING_FOR_DELETION
            found = replace(outcome, recheck_s=DELETION_RECHECK_S)
        case NamespaceTerminating():
            # The resource is about to go, too, and its deletion will wake us: nothing to retry.
            reason = Reason.DELETING
        case _:
            reason = Reason.RECONCILE_FAILED
            permanent = isinstance(error, Forbidden | Invalid | MalformedApply)
            found = replace(outcome, error=error)
    # What a retry may fix says nothing yet of the volume, or of another child.
    kind = failure.kind if permanent else ""
    text = f"{failure.origin}: {error}" if permanent and failure.origin else str(error)
    problem = Problem(reason, text, permanent, kind, beside=outcome.is_written)
    return replace(found, problem=problem)
