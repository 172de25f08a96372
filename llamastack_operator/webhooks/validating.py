# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One admission review, from its body to its answer.

First what can be told from the object, then, if nothing is wrong so far, what needs the cluster.
Nothing is written and nothing is remembered, so a dry run is a run like any other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from api.errors import FieldWarning
from api.validation import as_written
from llamastack_operator.webhooks.admission import (
    Judgement,
    changed_references,
    introduced,
    is_exempt,
    judge,
)
from llamastack_operator.webhooks.review import Verdict, admission_answer, read_admission

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.errors import FieldError
    from configs.distributions import Distributions
    from llamastack_operator.settings import MissingReferences
    from llamastack_operator.webhooks.references import Lookup, ReferenceChecker
    from llamastack_operator.webhooks.review import AdmissionRequest


_STARTING = FieldWarning(
    "spec.distribution",
    "distribution, models and providers were not checked against each other, because the operator "
    "does not know its own configuration yet; see the status of the resource",
)


class Validator:
    """Answers admission reviews.

    Args:
        references: looks up Secrets and ConfigMaps.
        distributions: what ``distribution.name`` means now; ``None`` while that is not known.
        missing_references: what becomes of a write that names something that is not there.
        namespaces: in which the operator works; empty for all.
    """

    def __init__(
        self,
        references: ReferenceChecker,
        distributions: Callable[[], Distributions | None],
        *,
        missing_references: MissingReferences = "refuse",
        namespaces: frozenset[str] = frozenset(),
    ) -> None:
        self._references = references
        self._distributions = distributions
        self._refuses = missing_references == "refuse"
        self._namespaces = namespaces

    async def answer(self, body: bytes, *, deadline: float) -> bytes:
        """The answer to an AdmissionReview.

        Args:
            body: of the request.
            deadline: on the loop's clock; there is an answer by then.

        Raises:
            MalformedReview: the body is none.
        """
        request = read_admission(body)
        verdict = Verdict() if is_exempt(request) else await self._judge(request, deadline)
        return admission_answer(request.uid, verdict)

    async def _judge(self, request: AdmissionRequest, deadline: float) -> Verdict:
        distributions = self._distributions()
        judgement = judge(request.obj or {}, distributions)
        if distributions is None:
            judgement = replace(judgement, warnings=(*judgement.warnings, _STARTING))
        if request.old is not None:
            # Its references are told by its spec; the rest is asked for errors to leave out only.
            before = judge(request.old, distributions if judgement.errors else None)
            judgement = changed_references(judgement, before)
            judgement = replace(judgement, errors=introduced(judgement.errors, before.errors))
        if judgement.errors or not (judgement.secrets or judgement.config_maps):
            return Verdict(judgement.errors, judgement.warnings)
        return await self._look_up(request, judgement, deadline)

    async def _look_up(
        self, request: AdmissionRequest, judgement: Judgement, deadline: float
    ) -> Verdict:
        namespace = request.namespace
        if self._namespaces and namespace not in self._namespaces:
            return Verdict((), (*judgement.warnings, _elsewhere(namespace)))
        found = await self._references.check(
            namespace, judgement.secrets, judgement.config_maps, deadline=deadline
        )
        looked_up, obj = self._weigh(found), request.obj or {}
        return Verdict(
            as_written(looked_up.errors, obj),
            (*judgement.warnings, *as_written(looked_up.warnings, obj)),
        )

    def _weigh(self, found: Lookup) -> Verdict:
        if self._refuses:
            return Verdict((*found.out_of_reach, *found.missing, *found.unknown))
        warnings = (_as_warning(error) for error in (*found.missing, *found.unknown))
        return Verdict(found.out_of_reach, tuple(warnings))


def _as_warning(error: FieldError) -> FieldWarning:
    return FieldWarning(error.path, error.message, error.hint)


def _elsewhere(namespace: str) -> FieldWarning:
    return FieldWarning(
        "metadata.namespace",
        f"Secrets and ConfigMaps were not looked up, because the operator does not work in "
        f'namespace "{namespace}"',
    )
