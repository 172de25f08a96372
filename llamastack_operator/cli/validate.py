# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``validate``: every rule that needs no cluster, one line an error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from configs.distributions import Distributions
from controller.llamastack.plan import make_plan
from llamastack_operator.cli.files import read_resources

if TYPE_CHECKING:
    import argparse

HELP = "check resources in a file, offline"
DESCRIPTION = """\
Check LlamaStackDistributions in a file against every rule that needs no cluster: the schema, the
rules between fields, and whether a configuration can be generated. One line an error on standard
output, field path first; warnings on standard error. Exit status 0 if all are valid, 1 if not.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "-f", "--filename", required=True, metavar="FILE", help="YAML or JSON; - for standard input"
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the command.

    Raises:
        BadFile: there is nothing to check.
    """
    resources = read_resources(arguments.filename)
    distributions = Distributions.load()
    failed = False
    for resource in resources:
        prefix = f"{_name(resource)}: " if len(resources) > 1 else ""
        plan = make_plan(resource, distributions)
        for error in plan.errors:
            print(f"{prefix}{error}")  # noqa: T201 -- the command's output
        for warning in plan.warnings:
            print(f"{prefix}warning: {warning}", file=sys.stderr)  # noqa: T201
        failed = failed or bool(plan.errors)
    return 1 if failed else 0


def _name(resource: dict[str, object]) -> str:
    metadata = resource.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return str(name or "(no name)")
