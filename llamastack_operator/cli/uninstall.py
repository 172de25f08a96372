# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``uninstall``: the current cluster forgets the resource."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from controller.llamastack.objects.kinds import LLAMA_STACK
from informers.errors import NotFound
from informers.ports import ObjectKey
from llamastack_operator.cli.arguments import add_cluster_arguments
from llamastack_operator.cli.cluster import connected
from llamastack_operator.cli.definitions import RESOURCES, everything
from llamastack_operator.cli.errors import CommandError

if TYPE_CHECKING:
    import argparse

    from llamastack_operator.kube.rest import Client

DESCRIPTION = """\
Delete the webhook, the admission policies and the CustomResourceDefinition. With the definition go
all LlamaStackDistributions and everything the operator made for them, so the command refuses while
there are any, unless --delete-resources is given.
"""
EPILOG = """\
examples:
  python -m llamastack_operator uninstall --context playground --delete-resources

exit status: 0 it is gone, 1 it was refused or did not work
"""


class Refused(CommandError):
    """The command does not do this without being told explicitly."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_cluster_arguments(parser)
    parser.add_argument(
        "--delete-resources",
        action="store_true",
        help="delete although there are LlamaStackDistributions; they and their servers go, too",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the command.

    Raises:
        ClusterFailed: the cluster cannot be asked.
        Refused: there are resources.
    """
    asyncio.run(_uninstall(arguments))
    return 0


async def _uninstall(arguments: argparse.Namespace) -> None:
    async with connected(arguments) as client:
        await uninstall(client, delete_resources=arguments.delete_resources)


async def uninstall(client: Client, *, delete_resources: bool) -> None:
    """Delete the definitions.

    Args:
        client: of the cluster.
        delete_resources: also while there are resources, which go with them.

    Raises:
        ApiError: a request failed.
        Refused: there are resources.
    """
    try:
        resources = await client.list_all(LLAMA_STACK, namespace="")
    except NotFound:
        resources = ()
    if resources and not delete_resources:
        raise Refused(
            f"{len(resources)} {LLAMA_STACK.kind} objects exist and would be deleted with "
            "their servers; repeat with --delete-resources if that is what you want"
        )
    for document in reversed(everything()):
        resource = RESOURCES[document["kind"]]
        key = ObjectKey("", document["metadata"]["name"])
        try:
            live = await client.get(resource, key)
        except NotFound:
            print(f"{resource.kind} {key} was not there")  # noqa: T201
            continue
        await client.delete(resource, key, uid=live["metadata"]["uid"])
        print(f"{resource.kind} {key} deleted")  # noqa: T201
