# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``diff``: what a changed resource would change in its configuration and its objects.

Both resources, the one that is there and the changed one, are rendered by this version of the
operator, and the renderings are compared. Comparing with live children instead would mix in what
other versions, defaults of the API server and other people made of them, would need rights to read
all of them, and would give another answer each time. So all that is read from a cluster is the
resource itself and, if that is allowed, what its Deployment remembers of the server's registry,
which decides whether the change makes the server begin a new one. No Secret ever.

With ``--adopt`` it is the live objects that are compared: see
:mod:`llamastack_operator.cli.adopt`.

Exit statuses are those of ``diff`` and ``kubectl diff``: scripts that know those work with this.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from controller.llamastack.preview import preview
from llamastack_operator.cli.arguments import add_cluster_arguments
from llamastack_operator.cli.difference import compare
from llamastack_operator.cli.errors import UsageError
from llamastack_operator.cli.files import (
    DEFAULT_NAMESPACE,
    BadFile,
    add_file_arguments,
    read_resources,
)
from llamastack_operator.cli.planning import (
    Before,
    OfflinePlanner,
    Planned,
    add_base_argument,
    read_base_config,
)
from llamastack_operator.cli.report import one_line, say, say_findings, say_warnings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from controller.llamastack.planning.plan import Plan
    from controller.runtime.ports import Manifest

DESCRIPTION = """\
Compare resources in files with what is there: with the resources of the same names in the cluster
or, with --against, in another file, offline. Shown are the changes of the generated config.yaml and
of each object, the Deployment first, and in a last line for each resource what will happen: whether
pods restart, and why. Both sides are rendered by this version of the operator; what an upgrade of
the operator itself changes is not shown. Of the cluster the resources are read, and an annotation
of their Deployments; no Secret.

With --adopt the resources of a cluster are compared with their live objects instead: what would
change if this operator took over from the Go operator, whether pods restart, and why. Nothing is
written. Names are those of resources; all of the namespace without any.
"""
EPILOG = """\
examples:
  python -m llamastack_operator diff -f resource.yaml
  python -m llamastack_operator diff -f resource.yaml --context production -n team-a
  git show HEAD:resource.yaml | python -m llamastack_operator diff -f resource.yaml --against -
  python -m llamastack_operator diff --adopt -A
  python -m llamastack_operator diff --adopt -n team-a demo

Lines are coloured on a terminal, unless NO_COLOR is set.

exit status: 0 nothing changes, 1 something changes, 2 it cannot be told
"""

OPERATOR_NAMESPACE = "llama-stack-k8s-operator-system"
"""Where ``deploy``, and the Go operator's manifests, put an operator."""

EXIT_DIFFERENT = 1
EXIT_TROUBLE = 2

_BOLD, _RED, _GREEN, _CYAN, _OFF = "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[36m", "\x1b[0m"
_COLOURS = (("--- ", _BOLD), ("+++ ", _BOLD), ("@@ ", _CYAN), ("-", _RED), ("+", _GREEN))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="of resources, with --adopt")
    add_file_arguments(parser, "compare", required=False)
    add_base_argument(parser)
    parser.add_argument(
        "--against",
        metavar="FILE",
        help="compare with the resources in FILE instead of those in the cluster; - for standard "
        "input",
    )
    parser.add_argument(
        "--adopt",
        action="store_true",
        help="report what a take-over from the Go operator would change in the cluster",
    )
    parser.add_argument(
        "-A",
        "--all-namespaces",
        action="store_true",
        help="resources of all namespaces, with --adopt",
    )
    parser.add_argument(
        "--operator-namespace",
        default=OPERATOR_NAMESPACE,
        metavar="NS",
        help="where the operator's ConfigMap is, with --adopt (default: %(default)s)",
    )
    add_cluster_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the command.

    Raises:
        UsageError: arguments that exclude each other, or too few.
        BadFile: a file cannot be used, or lacks a resource of the other.
        CommandError: the cluster cannot be asked, or does not know the resource.
    """
    if arguments.adopt:
        return _adopt(arguments)
    if arguments.names or arguments.all_namespaces:
        raise UsageError("names and --all-namespaces go with --adopt; files are named by -f")
    if not arguments.filename:
        raise UsageError("say what to compare: -f FILE, or --adopt for a take-over")
    planner = OfflinePlanner(read_base_config(arguments.base_config))
    planned = planner.plan_all(read_resources(arguments.filename, namespace=arguments.namespace))
    for item in planned:
        say_findings(item.plan.errors, prefix=item.prefix, stream=sys.stderr)
        say_warnings(item.plan.warnings, prefix=item.prefix)
    if any(item.plan.errors for item in planned):
        return EXIT_TROUBLE
    before = _of_file(arguments, planned) if arguments.against else _of_cluster(arguments, planned)
    differs = False
    for item in planned:
        differs = _show(planner, item, before.get(item.entry.label)) or differs
    return EXIT_DIFFERENT if differs else 0


def _adopt(arguments: argparse.Namespace) -> int:
    from llamastack_operator.cli import adopt  # noqa: PLC0415 -- speaks to a cluster, see below

    if arguments.filename or arguments.against:
        raise UsageError("--adopt compares what is in the cluster: it takes no -f, no --against")
    if arguments.all_namespaces and (arguments.names or arguments.namespace):
        raise UsageError("--all-namespaces goes neither with names nor with --namespace")
    namespace = "" if arguments.all_namespaces else arguments.namespace or DEFAULT_NAMESPACE
    scope = adopt.Scope(namespace, tuple(arguments.names), arguments.operator_namespace)
    return adopt.run(arguments, scope, _coloured)


def _of_file(arguments: argparse.Namespace, planned: Sequence[Planned]) -> Mapping[str, Before]:
    old = read_resources([arguments.against], namespace=arguments.namespace)
    found = {entry.label: Before(entry) for entry in old}
    for item in planned:
        if item.entry.label not in found:
            has = ", ".join(found)
            raise BadFile(
                f"{arguments.against}: there is no {item.entry.label} to compare with, only {has}"
            )
    return found


def _of_cluster(arguments: argparse.Namespace, planned: Sequence[Planned]) -> Mapping[str, Before]:
    # What speaks to a cluster takes longer to import than the offline comparison takes in all.
    import asyncio  # noqa: PLC0415

    from llamastack_operator.cli.live import read_live  # noqa: PLC0415

    return asyncio.run(read_live(arguments, [item.entry for item in planned]))


def _show(planner: OfflinePlanner, item: Planned, before: Before | None) -> bool:
    """Print what changes of one resource, and return whether anything does."""
    obj, plan = item.entry.obj, item.plan
    old: list[Manifest] = []
    if before is not None:
        was = planner.plan(before.entry, registry=before.registry)
        registry = before.registry
        if was.generated is None:
            _say_not_comparable(item, was)
        else:
            old = preview(before.entry.obj, was)
            # The server's registry outlives the change: the new config depends on the old one.
            registry = was.generated.registry.dump() if was.generated.registry else registry
        plan = planner.plan(item.entry, registry=registry)
    difference = compare(old, preview(obj, plan))
    for line in difference.lines:
        say(_coloured(line))
    reset = plan.generated.registry_reset if plan.generated else ()
    forgotten = f"; the server begins a new registry because of {', '.join(reset)}" if reset else ""
    say(one_line(f"{item.entry.label}: {difference.summary}{forgotten}"))
    return bool(difference.lines)


def _say_not_comparable(item: Planned, was: Plan) -> None:
    warning = f"{item.prefix}warning: "
    text = "the resource that is there is not valid, so everything is shown as new:"
    say(f"{warning}{text}", sys.stderr)
    say_findings(was.errors, prefix=warning, stream=sys.stderr)


def _coloured(line: str) -> str:
    if not _wants_colour():
        return line
    colour = next((colour for start, colour in _COLOURS if line.startswith(start)), "")
    return f"{colour}{line}{_OFF}" if colour else line


def _wants_colour() -> bool:
    """On a terminal that can, unless somebody said no (https://no-color.org)."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
