# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``render``: what the operator would make of a resource, offline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.distributions import Distributions
from configs.yamlio import dump, dump_all
from controller.llamastack.plan import make_plan
from controller.llamastack.preview import preview
from llamastack_operator.cli.files import BadFile, read_resources

if TYPE_CHECKING:
    import argparse

HELP = "show the objects that a resource leads to, offline"
DESCRIPTION = """\
Render the objects that the operator would create for the LlamaStackDistributions in a file,
without a cluster: the generated configuration (in its ConfigMap), ServiceAccount, Service and
Deployment. They lack what only a cluster can give: owner references and the hash of Secrets.
Without -o all goes to standard output as one YAML stream.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "-f", "--filename", required=True, metavar="FILE", help="YAML or JSON; - for standard input"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        help="write one file an object into DIR, made if absent; `kubectl apply -f DIR` takes them",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the command.

    Raises:
        BadFile: nothing to render, or DIR cannot be written.
    """
    distributions = Distributions.load()
    manifests: list[dict[str, Any]] = []
    failed = False
    for resource in read_resources(arguments.filename):
        plan = make_plan(resource, distributions)
        if plan.problem is not None:
            print(*plan.errors, sep="\n", file=sys.stderr)  # noqa: T201
            failed = True
        else:
            manifests += preview(resource, plan)
    if failed:
        return 1
    if arguments.output:
        _write(Path(arguments.output), manifests)
    else:
        print(dump_all(manifests), end="")  # noqa: T201
    return 0


def _write(directory: Path, manifests: list[dict[str, Any]]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for manifest in manifests:
            metadata = manifest["metadata"]
            path = directory / f"{manifest['kind'].lower()}-{metadata['name']}.yaml"
            path.write_text(dump(manifest), encoding="utf-8")
            print(path)  # noqa: T201
    except OSError as error:
        raise BadFile(f"{error.filename}: {error.strerror}") from error
