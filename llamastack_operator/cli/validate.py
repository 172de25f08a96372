# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``validate``: every rule that needs no cluster, one line an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamastack_operator.cli.files import add_file_arguments, read_resources
from llamastack_operator.cli.planning import plan_all
from llamastack_operator.cli.report import say_findings, say_warnings

if TYPE_CHECKING:
    import argparse

HELP = "check resources in files, offline"
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_file_arguments(parser, "check")


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the command.

    Raises:
        BadFile: there is nothing to check.
    """
    planned = plan_all(read_resources(arguments.filename, namespace=arguments.namespace))
    for item in planned:
        say_findings(item.plan.errors, prefix=item.prefix)
        say_warnings(item.plan.warnings, prefix=item.prefix)
    return 1 if any(item.plan.errors for item in planned) else 0
