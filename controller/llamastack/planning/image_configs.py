# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Base configs out of image labels, as the reconciler asks for them: without ever waiting. Pure.

Reading labels takes a registry, which may be slow, silent or hostile. A reconcile that waited for
one would hold a worker, and a few such resources would stop the reconciliation of all others
(FR-027j). So a question is answered at once with what is known so far. If that is ``Pending``, the
asker's key is queued again when the answer has arrived, and the reconcile ends with what runs left
as it is.

What an answer means for a resource is decided here as well (``decide``), because it is easy to get
wrong: a registry that is away for an hour must neither stop nor change a server that runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from api.conditions import is_true_now
from api.v1alpha2 import ConfigSource, Spec
from api.v1alpha2.reasons import ConditionType, Reason
from configs.base import BaseConfig

if TYPE_CHECKING:
    from informers.ports import ObjectKey


@dataclass(frozen=True, slots=True)
class Question:
    """Which image, and with whose pull secrets it is read.

    Attributes:
        image: as the spec, or an administrator, wrote it.
        namespace: of the resource; its pull secrets are there.
        service_account: of the pods.
        pull_secrets: that the spec names, in order. If there are any, the ServiceAccount's do not
            count, as for a pod (the ServiceAccount admission plug-in).
    """

    image: str
    namespace: str
    service_account: str
    pull_secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """The image has labels, and this is the config."""

    base: BaseConfig


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """The image has no config in its labels."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Not known yet; the key comes back when it is."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not be found out.

    Attributes:
        reason: for the condition.
        message: for people; the same as long as the cause is the same.
        transient: whether it is likely to pass without anybody's doing.
        retry_in_s: ask again then.
    """

    reason: Reason
    message: str
    transient: bool
    retry_in_s: float


Answer: TypeAlias = Known | Unlabelled | Pending | Failed


class ImageConfigs(Protocol):
    """Finds configs in image labels."""

    def lookup(self, question: Question, *, asker: ObjectKey, credentials: str) -> Answer:
        """What is known now; never waits.

        Args:
            question: the image.
            asker: queued again when a pending answer has arrived.
            credentials: changes when the pull secrets do, so that a failure is not held against
                new ones. Never holds a value.
        """
        ...


class NoImageConfigs:
    """For where no registry may be asked: no image has labels."""

    def lookup(self, question: Question, *, asker: ObjectKey, credentials: str) -> Answer:
        """See ``ImageConfigs.lookup``."""
        return Unlabelled()


@dataclass(frozen=True, slots=True)
class Use:
    """Generate, with this base if there is one, else with the embedded one, if any.

    Attributes:
        base: out of the labels.
        note: why it is not out of the labels although it might have been; empty otherwise.
        retry_in_s: ask again then.
    """

    base: BaseConfig | None = None
    note: str = ""
    retry_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Postpone:
    """Leave everything as it is for now.

    Attributes:
        settled: the configuration in force was made for this very spec: say nothing new.
        message: for the condition, if it is not settled.
        retry_in_s: ask again then; None if an answer will wake the key.
    """

    settled: bool
    message: str
    retry_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """There is no configuration; what runs stays.

    Attributes:
        reason: for the condition.
        message: for people.
        transient: whether it may pass by itself.
        retry_in_s: ask again then.
    """

    reason: Reason
    message: str
    transient: bool
    retry_in_s: float


Decision: TypeAlias = Use | Postpone | Refuse

_STEPS: Final = (
    ConditionType.CONFIG_GENERATED,
    ConditionType.SECRETS_RESOLVED,
    ConditionType.DEPLOYMENT_UPDATED,
)


def question_of(spec: Spec, image: str, *, namespace: str, default_account: str) -> Question:
    """The question that a spec leads to.

    Args:
        spec: of the resource.
        image: that it resolves to.
        namespace: of the resource.
        default_account: ServiceAccount of the pods unless the spec names one.
    """
    overrides = spec.workload.overrides
    return Question(
        image,
        namespace,
        overrides.service_account_name or default_account,
        tuple(dict.fromkeys(secret.name for secret in overrides.image_pull_secrets)),
    )


def decide(answer: Answer, cr: Mapping[str, Any], question: Question, *, named: bool) -> Decision:
    """What an answer means for a resource.

    Args:
        answer: of the lookup.
        cr: the resource, for what its status says about the configuration in force.
        question: that was asked.
        named: whether the spec names a distribution, which may have an embedded base to fall back
            to (docs/decisions/0012).
    """
    match answer:
        case Known():
            return Use(answer.base)
        case Unlabelled():
            return Use()
        case Pending():
            return Postpone(_settled(cr, question), f"Reading the labels of image {question.image}")
        case Failed():
            return _failed(answer, cr, question, named=named)


def _failed(answer: Failed, cr: Mapping[str, Any], question: Question, *, named: bool) -> Decision:
    labelled = _resolved(cr) == (question.image, ConfigSource.OCI_LABEL)
    unread = answer.reason == Reason.IMAGE_CONFIG_UNAVAILABLE
    # The answer of an earlier process is as good as it was; a failure now does not change it.
    if unread and labelled and _settled(cr, question):
        return Postpone(settled=True, message=answer.message, retry_in_s=answer.retry_in_s)
    if unread and named and not labelled:
        return Use(
            note=f"The labels of image {question.image} could not be read, so the configuration "
            f"is based on the operator's own for this distribution: {answer.message}",
            retry_in_s=answer.retry_in_s,
        )
    return Refuse(answer.reason, answer.message, answer.transient, answer.retry_in_s)


def _resolved(cr: Mapping[str, Any]) -> tuple[str, str]:
    resolved = (cr.get("status") or {}).get("resolvedDistribution") or {}
    return str(resolved.get("image", "")), str(resolved.get("configSource", ""))


def _settled(cr: Mapping[str, Any], question: Question) -> bool:
    """Whether the steps went well for this generation, with this image."""
    good = all(is_true_now(cr, step) for step in _STEPS)
    return good and _resolved(cr)[0] == question.image
