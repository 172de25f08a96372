# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``convert``: resources in the other version, or those of the OGX operator, offline."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from api import ANNOTATIONS, OGX_KIND, OLD_VERSION, VERSION, VERSIONS
from api.conversion import convert, hidden_paths
from api.errors import FieldWarning
from configs.yaml_reader import dump_all
from llamastack_operator.cli.files import (
    DEFAULT_NAMESPACE,
    OGX_SERVER,
    Entry,
    add_filename_argument,
    read_documents,
)
from llamastack_operator.cli.report import prefixes, say_findings, say_warnings, write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from api.errors import Finding
    from api.model import Json

OGX = "ogx"
"""Where resources come from that are of no version of ours."""

DESCRIPTION = """\
Convert the LlamaStackDistributions in files to another version, without a cluster, and print them
as one YAML stream. Other objects in the files are passed over. Nothing is lost on the way: what one
version cannot say is kept in an annotation, and named in a warning on standard error; so is what
the Go operator's v1alpha1 has no field for.

With --from ogx it reads the OGXServers in the files, and writes a LlamaStackDistribution of the
same name for each. What has no counterpart is named on standard error, with what to do instead.
"""
EPILOG = """\
examples:
  python -m llamastack_operator convert -f resource.yaml --to v1alpha2
  kubectl get llsd -A -o yaml | python -m llamastack_operator convert -f - --to v1alpha1 > back.yaml
  python -m llamastack_operator convert --from ogx -f ogxserver.yaml --to v1alpha2 > resource.yaml

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
    parser.add_argument(
        "--from",
        dest="source",
        choices=(OGX,),
        help=f"read {OGX_KIND} resources (default: LlamaStackDistributions of any version)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the command.

    Raises:
        BadFile: there is nothing to convert.
    """
    if arguments.source == OGX:
        _convert_ogx(read_documents(arguments.filename, OGX_SERVER), arguments.to)
    else:
        _convert(read_documents(arguments.filename), arguments.to)
    return 0


def _convert(entries: Sequence[Entry], version: str) -> None:
    converted = [convert(entry.obj, version) for entry in entries]
    write(dump_all(converted))
    for obj, prefix in zip(converted, _prefixes(entries), strict=True):
        _say_hidden(obj, version, prefix)
        if version == OLD_VERSION:
            _say_added(obj, prefix)


def _convert_ogx(entries: Sequence[Entry], version: str) -> None:
    from api.conversion.ogx import from_ogx  # noqa: PLC0415 -- the other way does not need it

    conversions = [from_ogx(entry.obj) for entry in entries]
    converted = [convert(conversion.resource, version) for conversion in conversions]
    write(dump_all(converted))
    rows = zip(entries, conversions, converted, _prefixes(entries), strict=True)
    for entry, conversion, obj, prefix in rows:
        say_warnings(conversion.warnings, prefix=prefix)
        _say_hidden(obj, version, prefix)
        found = _findings(Entry(entry.file, conversion.resource))
        say_findings(found, prefix=f"{prefix}warning: in the result: ", stream=sys.stderr)


def _findings(entry: Entry) -> tuple[Finding, ...]:
    """What ``validate`` says of a resource."""
    from llamastack_operator.cli.planning import OfflinePlanner, lacks_base  # noqa: PLC0415

    metadata = {"namespace": DEFAULT_NAMESPACE, **entry.obj["metadata"]}
    plan = OfflinePlanner().plan(Entry(entry.file, {**entry.obj, "metadata": metadata}))
    return plan.warnings if lacks_base(plan) else (*plan.errors, *plan.warnings)


def _prefixes(entries: Sequence[Entry]) -> list[str]:
    return prefixes((entry.file, entry.label) for entry in entries)


def _say_hidden(obj: Json, version: str, prefix: str) -> None:
    say_warnings([_kept(path, version) for path in hidden_paths(obj)], prefix=prefix)


def _say_added(obj: Json, prefix: str) -> None:
    """What the Go operator will not find in its version."""
    from api.v1alpha1.added import added_paths  # noqa: PLC0415 -- the other way builds no models

    text = f"is not in the {OLD_VERSION} of the Go operator, which drops it"
    say_warnings([FieldWarning(path, text) for path in added_paths(obj)], prefix=prefix)


def _kept(path: str, version: str) -> FieldWarning:
    other = OLD_VERSION if version == VERSION else VERSION
    return FieldWarning(
        path, f"is not in {version}; it is kept in the annotation {ANNOTATIONS[other]}"
    )
