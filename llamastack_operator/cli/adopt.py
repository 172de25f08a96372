# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``diff --adopt``: what a take-over from the Go operator would change in a cluster.

Here the live objects are what is compared, for they were made by somebody else; it takes the rights
of the role ``view``. The resources are read in whichever version the cluster has: before this
operator's definition is applied that is v1alpha1 alone. No Secret is read, and nothing is written.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import api
from configs.distributions import Distributions
from controller.llamastack.objects.kinds import OPERATOR_CONFIG_NAME
from controller.llamastack.operator_config.parse import OperatorConfig, read
from controller.llamastack.preview import preview
from llamastack_operator.cli.adoption import Verdict, judge
from llamastack_operator.cli.cluster import connected
from llamastack_operator.cli.files import Entry
from llamastack_operator.cli.inventory import Inventory, NothingFound, complete, take
from llamastack_operator.cli.planning import OfflinePlanner, Planned, read_base_config
from llamastack_operator.cli.report import one_line, say, say_findings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from configs.base import BaseConfig
    from controller.runtime.ports import Manifest
    from informers.ports import Object
    from llamastack_operator.kube.rest import Client

EXIT_DIFFERENT = 1
EXIT_TROUBLE = 2


@dataclass(frozen=True, slots=True)
class Scope:
    """Which resources are looked at.

    Attributes:
        namespace: that they are in; empty for all.
        names: of them; empty for all.
        operator_namespace: where the operator's ConfigMap is.
    """

    namespace: str
    names: tuple[str, ...]
    operator_namespace: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A resource and the children that it would have; none if it is refused."""

    item: Planned
    wanted: list[Manifest]


def run(arguments: argparse.Namespace, scope: Scope, coloured: Callable[[str], str]) -> int:
    """Report on a cluster; the exit status.

    Args:
        arguments: which name the cluster, and perhaps a base config.
        scope: which resources.
        coloured: a line of a diff, for a terminal.

    Raises:
        ClusterFailed: the cluster cannot be asked.
        CommandError: it has no such resource.
    """
    found, asked = asyncio.run(_look(arguments, scope))
    return tell(found, asked, coloured)


def tell(found: Inventory, asked: Sequence[Asked], coloured: Callable[[str], str]) -> int:
    """Print what is to be said of resources; the exit status."""
    outcomes = [_report(one, found, coloured) for one in asked]
    if len(outcomes) > 1:
        counted = Counter(outcomes)
        parts = [f"{counted[words]} {words}" for words in _WORDS if counted[words]]
        say(f"{len(outcomes)} resources: {', '.join(parts)}")
    if _UNKNOWN in outcomes:
        return EXIT_TROUBLE
    return EXIT_DIFFERENT if {*outcomes} - {_SAME} else 0


async def _look(arguments: argparse.Namespace, scope: Scope) -> tuple[Inventory, list[Asked]]:
    base = read_base_config(arguments.base_config)
    async with connected(arguments) as client:
        return await look(client, scope, base)


async def look(
    client: Client, scope: Scope, base: BaseConfig | None = None
) -> tuple[Inventory, list[Asked]]:
    """All that is read of a cluster, and what it leads to.

    Args:
        client: of the cluster.
        scope: which resources.
        base: config of images that nobody knows.

    Raises:
        ApiError: a request failed.
        NothingFound: there is no such resource.
    """
    found = await take(client, scope.namespace, scope.operator_namespace)
    config = _operator_config(found.operator_config, scope)
    distributions = Distributions.load(dict(config.image_overrides))
    options = replace(found.options, network_policies=config.network_policies)
    entries = [Entry(found.server, dict(cr)) for cr in _chosen(found, scope)]
    asked = []
    for item in OfflinePlanner(base, distributions).plan_all(entries):
        wanted: list[Manifest] = []
        if not item.plan.errors:
            trusts = item.entry.namespace in found.trusting
            wanted = preview(item.entry.obj, item.plan, options, trusts_cluster=trusts)
            await complete(client, found, wanted)
        asked.append(Asked(item, wanted))
    return found, asked


def _chosen(found: Inventory, scope: Scope) -> list[Object]:
    chosen = [cr for cr in found.resources if not scope.names or _name(cr) in scope.names]
    where = f'namespace "{scope.namespace}"' if scope.namespace else "the cluster"
    missing = sorted({*scope.names} - {_name(cr) for cr in chosen})
    if missing:
        raise NothingFound(f"there is no {api.KIND} {', '.join(missing)} in {where}")
    if not chosen:
        raise NothingFound(f"there is no {api.KIND} in {where}")
    return chosen


def _operator_config(data: dict[str, str] | None, scope: Scope) -> OperatorConfig:
    place = f"ConfigMap {scope.operator_namespace}/{OPERATOR_CONFIG_NAME}"
    if data is None:
        say(one_line(f"warning: {place} must not be read: defaults are assumed"), sys.stderr)
        return OperatorConfig()
    reading = read(data)
    for text in (*reading.errors, *reading.warnings):
        say(one_line(f"warning: {place}: {text}"), sys.stderr)
    return reading.config or OperatorConfig()


# --- what is printed ---------------------------------------------------------------------------

_SAME = "stay as they are"
_CHANGED = "change without a restart"
_RESTARTED = "restart their pods once"
_REFUSED = "cannot be taken over"
_UNKNOWN = "are not valid and are left as they are"
_WORDS = (_RESTARTED, _CHANGED, _SAME, _REFUSED, _UNKNOWN)


def _report(asked: Asked, found: Inventory, coloured: Callable[[str], str]) -> str:
    """Print what is to be said of one resource; what happens to it in a few words."""
    entry = asked.item.entry
    if asked.item.plan.errors:
        say(one_line(f"{entry.label}: is not valid, so what runs is left as it is:"))
        say_findings(asked.item.plan.errors, prefix=f"{entry.label}: ")
        return _UNKNOWN
    verdict = judge(entry.obj, found.children.get(entry.namespace, {}), asked.wanted)
    for line in verdict.lines:
        say(coloured(line))
    say(one_line(f"{entry.label}: {verdict.summary}"))
    return _in_words(verdict)


def _in_words(verdict: Verdict) -> str:
    if verdict.refused:
        return _REFUSED
    if verdict.restarts:
        return _RESTARTED
    return _CHANGED if verdict.lines else _SAME


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])
