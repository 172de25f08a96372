# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Plans for resources out of files.

The same `make_plan` as in the operator, so that what `validate` lets through, it runs. One rule is
added that the API server sees to before an object reaches the operator: what the namespace is
called. Here it becomes part of file names and of requests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from api.errors import FieldError
from configs.distributions import Distributions
from controller.llamastack.plan import Plan, make_plan
from llamastack_operator.cli.report import prefixes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llamastack_operator.cli.files import Entry

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123 label
_NAMESPACE_ERROR = FieldError(
    "metadata.namespace",
    "must be at most 63 lower case letters, digits and '-', with a letter or digit at each end",
)


@dataclass(frozen=True, slots=True)
class Planned:
    """A resource and its plan.

    Attributes:
        entry: where it was found.
        plan: what it asks for; has errors if it cannot be had.
        prefix: of lines about it, which tells it from the others of the command.
    """

    entry: Entry
    plan: Plan
    prefix: str


def plan_all(entries: Sequence[Entry]) -> list[Planned]:
    """The plan of each resource."""
    distributions = Distributions.load()
    labels = prefixes((entry.file, entry.label) for entry in entries)
    return [
        Planned(entry, plan_of(entry, distributions), prefix)
        for entry, prefix in zip(entries, labels, strict=True)
    ]


def plan_of(entry: Entry, distributions: Distributions, *, registry: str = "") -> Plan:
    """The plan of one resource.

    Args:
        entry: the resource.
        distributions: what ``distribution.name`` can mean.
        registry: state of the registry of a server that runs already.
    """
    plan = make_plan(entry.obj, distributions, registry)
    if _NAMESPACE.fullmatch(entry.namespace) or _of_namespace(plan):
        return plan
    return replace(plan, generated=None, errors=(_NAMESPACE_ERROR, *plan.errors))


def _of_namespace(plan: Plan) -> bool:
    """Whether the namespace, or the whole metadata, is an error already."""
    return any(error.path in {"metadata", _NAMESPACE_ERROR.path} for error in plan.errors)
