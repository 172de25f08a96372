# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``render``: what the operator would make of a resource, offline."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from api.errors import FieldWarning
from api.validation import as_written
from configs.yaml_reader import dump_all
from controller.llamastack.preview import UNKNOWN_IMAGE, preview
from controller.llamastack.render.inputs import DEFAULT_OPTIONS
from llamastack_operator.cli import folder
from llamastack_operator.cli.files import add_file_arguments, read_resources
from llamastack_operator.cli.planning import (
    OfflinePlanner,
    Planned,
    add_base_argument,
    read_base_config,
)
from llamastack_operator.cli.report import one_line, say, say_findings, say_warnings, write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

DESCRIPTION = """\
Render the objects that the operator would create for the LlamaStackDistributions in files, without
a cluster: the generated configuration (in its ConfigMap), ServiceAccount, Deployment, Service,
and what else the spec asks for.
They lack what only a cluster can give: owner references and the hash of Secrets. Nothing is shown
or written unless every resource is valid.

Without -o all goes to standard output as one YAML stream. With -o each object gets a file, numbered
in the order of creation. Files that an earlier render made for the same resources are replaced or
removed; a file of anybody else is never touched: if it is in the way, nothing is written.
"""
EPILOG = """\
examples:
  python -m llamastack_operator render -f resource.yaml
  python -m llamastack_operator render -f resource.yaml -n team-a -o rendered/
  kubectl apply -f rendered/
  python -m llamastack_operator render -f resource.yaml --config-only > config.yaml

exit status: 0 rendered, 1 a resource is not valid or DIR cannot be used, 2 a file cannot be used
"""


_NO_IMAGE: Final = FieldWarning(
    "spec.externalProviders",
    f'the image of merge-config is written as "{UNKNOWN_IMAGE}", which no node can pull',
    "a cluster knows the operator's image; give it with --operator-image",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_file_arguments(parser, "render")
    add_base_argument(parser)
    parser.add_argument(
        "--operator-image",
        default="",
        metavar="IMAGE",
        help="image of the operator, in which pods merge external providers into a configuration "
        f"(default: {UNKNOWN_IMAGE}, which stands for it)",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        help="write one file an object into DIR, made if absent; `kubectl apply -f DIR` takes them",
    )
    output.add_argument(
        "--config-only",
        action="store_true",
        help="print the config.yaml that the server gets, and nothing else",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the command.

    Raises:
        BadFile: nothing to render.
        folder.Refused: DIR cannot be written, or holds a file of somebody else.
    """
    entries = read_resources(arguments.filename, namespace=arguments.namespace)
    planned = OfflinePlanner(read_base_config(arguments.base_config)).plan_all(entries)
    for item in planned:
        say_findings(item.plan.errors, prefix=item.prefix, stream=sys.stderr)
        say_warnings(item.plan.warnings, prefix=item.prefix)
    if any(item.plan.errors for item in planned):
        return 1
    if arguments.config_only:
        return _print_configs(planned)
    options = replace(DEFAULT_OPTIONS, merge_image=arguments.operator_image)
    if not options.merge_image:
        _warn_of_image(planned)
    rendered = [(item.entry.label, preview(item.entry.obj, item.plan, options)) for item in planned]
    if arguments.output:
        for line in folder.write(Path(arguments.output), rendered):
            say(one_line(line))
    else:
        write(dump_all(manifest for _, manifests in rendered for manifest in manifests))
    return 0


def _warn_of_image(planned: Sequence[Planned]) -> None:
    for item in planned:
        if item.plan.cr is not None and item.plan.cr.spec.installs_providers:
            say_warnings(as_written([_NO_IMAGE], item.entry.obj), prefix=item.prefix)


def _print_configs(planned: Sequence[Planned]) -> int:
    """The bytes of a single config as the ConfigMap has them; several as a stream."""
    status = 0
    for item in planned:
        text = item.plan.generated.config_yaml if item.plan.generated else None
        if text is None:
            own = item.plan.config_maps and item.plan.cr and item.plan.cr.spec.override_config
            whose = "the user's" if own else "the image's"
            why = f"{whose} own configuration runs; none is generated"
            say(f"{item.prefix}{why}", sys.stderr)
            status = 1
        else:
            write(text if len(planned) == 1 else f"--- # {item.entry.label}\n{text}")
    return status
