# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``convert``: resources in the other version, or those of the OGX operator, offline."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from api import ANNOTATIONS, GROUP, OGX_KIND, OLD_VERSION, PLURAL, VERSION, VERSIONS
from api.conversion import (
    PARTIAL_LABEL,
    convert,
    forgotten_paths,
    hidden_paths,
    is_partial,
    is_readable,
    unkept_paths,
    version_of,
)
from api.conversion.places import ABSENT, get
from api.errors import FieldError, FieldWarning
from api.model import kind_of
from api.v1alpha2 import messages
from configs.yaml_reader import dump_all
from llamastack_operator.cli.files import (
    DEFAULT_NAMESPACE,
    OGX_SERVER,
    BadFile,
    Entry,
    add_filename_argument,
    read_documents,
)
from llamastack_operator.cli.report import prefixes, say_findings, say_warnings, write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from api.errors import Finding
    from api.model import Json

OGX = "ogx"
"""Where resources come from that are of no version of ours."""


DESCRIPTION = """\
Convert the LlamaStackDistributions in files to another version, without a cluster, and print them
as one YAML stream. Other objects in the files are passed over, and named on standard error;
comments are not kept. No field is lost on the way: what one version cannot say is kept in an
annotation, and named in a warning on standard error; so is what the Go operator's v1alpha1 has no
field for, and what such an annotation held and the fields contradict.

With --from ogx it reads the OGXServers in the files, and writes a LlamaStackDistribution of the
same name for each. What has no counterpart is named on standard error, with what to do instead.
"""
EPILOG = """\
examples:
  python -m llamastack_operator convert -f resource.yaml --to v1alpha2
  kubectl get llsd -A -o yaml | python -m llamastack_operator convert -f - --to v1alpha1 > back.yaml
  python -m llamastack_operator convert --from ogx -f ogxserver.yaml --to v1alpha2 > resource.yaml

exit status: 0 converted, 1 there is no room for the output, 2 a file cannot be used
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
        BadFile: there is nothing to convert, or something of it would be lost.
    """
    if arguments.source == OGX:
        _convert_ogx(read_documents(arguments.filename, OGX_SERVER), arguments.to)
    else:
        _convert(read_documents(arguments.filename), arguments.to)
    return 0


def _convert(entries: Sequence[Entry], version: str) -> None:
    converted = [convert(entry.obj, version) for entry in entries]
    _refuse_losses(entries, converted)
    write(dump_all(converted))
    for entry, obj, prefix in zip(entries, converted, _prefixes(entries), strict=True):
        say_warnings(list(_dropped(entry.obj, obj)), prefix=prefix)
        _say_hidden(obj, version, prefix)
        if version == OLD_VERSION:
            _say_added(obj, prefix)


def _refuse_losses(entries: Iterable[Entry], converted: Iterable[Json]) -> None:
    lines = [
        f"{entry.file}: {entry.label}: {error}"
        for entry, obj in zip(entries, converted, strict=True)
        for error in _losses(entry.obj, obj)
    ]
    if lines:
        raise BadFile("\n".join(lines))


def _losses(obj: Json, converted: Json) -> Iterator[FieldError]:
    """What cannot be converted without a loss."""
    source, version = version_of(obj), version_of(converted)
    if version == VERSION != source and is_partial(obj):
        yield FieldError(
            f"metadata.labels[{PARTIAL_LABEL}]",
            f"is on a view that lacks what {source} has no field for, because it is too large",
            f"fetch the object as {version}: kubectl get {PLURAL}.{version}.{GROUP} -o yaml",
        )
    if paths := unkept_paths(obj, converted):
        metadata = obj["metadata"]
        is_object = isinstance(metadata, Mapping)
        given = metadata["annotations"] if is_object else metadata
        yield FieldError(
            "metadata.annotations" if is_object else "metadata",
            f"must be an object, got {kind_of(given)}; so no annotation can keep what {version} "
            f"has no field for: {', '.join(paths)}",
        )


def _dropped(obj: Json, converted: Json) -> Iterator[FieldWarning]:
    """What annotations of ours said, and the result does not."""
    source, version = version_of(obj), version_of(converted)
    if source == version:
        return
    path = f"metadata.annotations[{ANNOTATIONS[version]}]"
    for hidden in forgotten_paths(obj, converted):
        yield FieldWarning(path, f"{hidden}: {messages.NOT_KEPT}")
    if not is_readable(obj):
        yield FieldWarning(path, messages.NOT_READABLE)
    own = ANNOTATIONS[source]
    if get(obj, ("metadata", "annotations", own)) is not ABSENT:
        yield FieldWarning(
            f"metadata.annotations[{own}]", f"means nothing in {source}, and is dropped"
        )


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
    """Two of one name are told apart by their places: here that is no error."""
    many = Counter((entry.file, entry.label) for entry in entries)
    return prefixes(
        (e.file, e.label if many[e.file, e.label] == 1 else f"{e.place} ({e.label})")
        for e in entries
    )


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
