# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``validate``: every rule that needs no cluster, one line an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.errors import FieldWarning
from llamastack_operator.cli.files import add_file_arguments, read_resources
from llamastack_operator.cli.planning import (
    OfflinePlanner,
    add_base_argument,
    lacks_base,
    read_base_config,
)
from llamastack_operator.cli.report import say_findings, say_warnings

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Check LlamaStackDistributions in files against every rule that needs no cluster: the schema, the
rules between fields, and whether a configuration can be generated. One line an error on standard
output, field path first; warnings on standard error. Other objects in the files are passed over.
"""
EPILOG = """\
examples:
  python -m llamastack_operator validate -f resource.yaml
  python -m llamastack_operator validate -f team-a/ -f team-b/
  kubectl get llsd -A -o yaml | python -m llamastack_operator validate -f -

exit status: 0 all are valid, 1 one is not, 2 a file cannot be used
"""

UNCHECKED = FieldWarning(
    "spec.distribution.image",
    "whether providers and resources fit the configuration in the image's labels was not checked",
    "give the configuration with --base-config FILE",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_file_arguments(parser, "check")
    add_base_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the command.

    Raises:
        BadFile: there is nothing to check.
    """
    entries = read_resources(arguments.filename, namespace=arguments.namespace)
    planner = OfflinePlanner(read_base_config(arguments.base_config))
    failed = False
    for item in planner.plan_all(entries):
        plan = item.plan
        if lacks_base(plan):
            # The operator may find in the image's labels what is missing here.
            say_warnings((UNCHECKED, *plan.warnings), prefix=item.prefix)
            continue
        say_findings(plan.errors, prefix=item.prefix)
        say_warnings(plan.warnings, prefix=item.prefix)
        failed = failed or bool(plan.errors)
    return 1 if failed else 0
