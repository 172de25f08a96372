# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Plans for resources out of files.

The same ``make_plan`` as in the operator, so that what ``validate`` lets through, it runs. Two
rules are added that the API server sees to before an object reaches the operator: what the
namespace is called, and that there is a name, which it makes of ``generateName``. Here both become
part of file names and of requests.

What the operator reads in the labels of an image is asked of no registry here: a file can stand in
for it, and without one nothing can be said about such a resource but that its own fields are right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from api.errors import FieldError
from api.v1alpha2 import ConfigSource, Reason
from configs.base import read_base
from configs.distributions import Distributions
from configs.errors import ConfigError
from controller.llamastack.planning.plan import Plan, make_plan
from llamastack_operator.cli.files import BadFile, read_bounded
from llamastack_operator.cli.report import prefixes

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from configs.base import BaseConfig
    from llamastack_operator.cli.files import Entry

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123 label
_NAMESPACE_ERROR = FieldError(
    "metadata.namespace",
    "must be at most 63 lower case letters, digits and '-', with a letter or digit at each end",
)

_NAME_ERROR = FieldError(
    "metadata.name",
    "is required here, because all objects are called after it; the API server makes one of"
    " generateName, but only when it creates the object",
    "give it any name",
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


@dataclass(frozen=True, slots=True)
class Before:
    """What a resource is compared with.

    Attributes:
        entry: the resource that is there.
        registry: what is recorded of its server's registry; empty if nothing is known.
    """

    entry: Entry
    registry: str = ""


def add_base_argument(parser: argparse.ArgumentParser) -> None:
    """``--base-config``."""
    parser.add_argument(
        "--base-config",
        metavar="FILE",
        help="config.yaml of the image, for resources with distribution.image; the operator finds "
        "it in the image's labels, which needs a registry",
    )


def read_base_config(path: str | None) -> BaseConfig | None:
    """The base config in a file; nothing without a path.

    Raises:
        BadFile: it cannot be read, or is none.
    """
    if path is None:
        return None
    try:
        return read_base(read_bounded(path), source=ConfigSource.OCI_LABEL)
    except ConfigError as error:
        raise BadFile(f"{path}: {'; '.join(e.message for e in error.errors)}") from error


@dataclass(frozen=True, slots=True)
class OfflinePlanner:
    """Makes plans without a cluster.

    Attributes:
        base: base config of images; ``None`` if nobody said.
        distributions: what ``distribution.name`` can mean.
    """

    base: BaseConfig | None = None
    distributions: Distributions = field(default_factory=Distributions.load)

    def plan_all(self, entries: Sequence[Entry]) -> list[Planned]:
        """The plan of each resource; one without a name has an error."""
        labels = prefixes((entry.file, entry.label) for entry in entries)
        return [
            Planned(entry, _with_name(entry, self.plan(entry)), prefix)
            for entry, prefix in zip(entries, labels, strict=True)
        ]

    def plan(self, entry: Entry, *, registry: str = "") -> Plan:
        """The plan of one resource.

        Args:
            entry: the resource.
            registry: state of the registry of a server that runs already.
        """
        plan = make_plan(entry.obj, self.distributions, registry)
        if plan.question is not None and self.base is not None:
            plan = make_plan(entry.obj, self.distributions, registry, self.base)
        if _NAMESPACE.fullmatch(entry.namespace) or _of_namespace(plan):
            return plan
        return replace(plan, generated=None, errors=(_NAMESPACE_ERROR, *plan.errors))


def lacks_base(plan: Plan) -> bool:
    """Whether all that is wrong is that nobody said what the image's own config is."""
    problem = plan.problem
    return (
        plan.question is not None
        and problem is not None
        and problem.reason == Reason.BASE_CONFIG_REQUIRED
        and _NAMESPACE_ERROR not in plan.errors
        and _NAME_ERROR not in plan.errors
    )


def _with_name(entry: Entry, plan: Plan) -> Plan:
    """The plan, which is none without a name; of other faults of metadata it tells itself."""
    metadata = entry.obj.get("metadata")
    named = not isinstance(metadata, Mapping) or metadata.get("name") not in (None, "")
    if named or any(error.path == _NAME_ERROR.path for error in plan.errors):
        return plan
    return replace(plan, generated=None, errors=(_NAME_ERROR, *plan.errors))


def _of_namespace(plan: Plan) -> bool:
    """Whether the namespace, or the whole metadata, is an error already."""
    return any(error.path in {"metadata", _NAMESPACE_ERROR.path} for error in plan.errors)
