# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``convert``: resources in the other version, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api import OLD_VERSION, VERSION, VERSIONS
from api.conversion import convert, hidden_paths
from api.errors import FieldWarning
from configs.yaml_reader import dump_all
from llamastack_operator.cli.files import add_filename_argument, read_documents
from llamastack_operator.cli.report import prefixes, say_warnings, write

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Convert the LlamaStackDistributions in files to another version, without a cluster, and print them
as one YAML stream. Other objects in the files are passed over. Nothing is lost on the way: what one
version cannot say is kept in an annotation, and named in a warning on standard error.
"""
EPILOG = """\
examples:
  python -m llamastack_operator convert -f resource.yaml --to v1alpha2
  kubectl get llsd -A -o yaml | python -m llamastack_operator convert -f - --to v1alpha1 > back.yaml

exit status: 0 converted, 2 a file cannot be used
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_filename_argument(parser, "convert")
    parser.add_argument(
        "--to",
        required=True,
        choices=VERSIONS,
        help=f"version of the output; {VERSION} is the one that is stored",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the command.

    Raises:
        BadFile: there is nothing to convert.
    """
    entries = read_documents(arguments.filename)
    converted = [convert(entry.obj, arguments.to) for entry in entries]
    write(dump_all(converted))
    labels = prefixes((entry.file, entry.label) for entry in entries)
    for obj, prefix in zip(converted, labels, strict=True):
        say_warnings([_kept(path, arguments.to) for path in hidden_paths(obj)], prefix=prefix)
    return 0


def _kept(path: str, version: str) -> FieldWarning:
    other = OLD_VERSION if version == VERSION else VERSION
    return FieldWarning(
        path, f"is not in {version}; it is kept in the annotation llamastack.io/{other}-fields"
    )
