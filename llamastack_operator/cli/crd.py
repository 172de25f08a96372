# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``crd``: the CustomResourceDefinition, made from the models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.crd import custom_resource_definition
from configs.yaml_reader import dump

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Print the CustomResourceDefinition as YAML, ready for `kubectl apply --server-side -f -`.
deploy/crd holds this very text.
"""
EPILOG = """\
examples:
  python -m llamastack_operator crd | kubectl apply --server-side -f -

exit status: 0
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the command."""
    del arguments
    print(dump(custom_resource_definition()), end="")  # noqa: T201 -- the command's output
    return 0
