# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What ``diff`` reads of a cluster: the resources, and an annotation of their Deployments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.llamastack.objects.kinds import DEPLOYMENT, LLAMA_STACK
from controller.llamastack.objects.ownership import is_owned
from controller.llamastack.planning import registry_state
from controller.llamastack.render import names
from informers.errors import Forbidden, NotFound
from informers.ports import ObjectKey, key_of
from llamastack_operator.cli.cluster import connected
from llamastack_operator.cli.errors import CommandError
from llamastack_operator.cli.files import Entry
from llamastack_operator.cli.planning import Before

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

    from informers.ports import Object
    from llamastack_operator.kube.rest import Client


class NotInstalled(CommandError):
    """The cluster does not know the resource."""


async def read_live(
    arguments: argparse.Namespace, entries: Iterable[Entry]
) -> Mapping[str, Before]:
    """The resources of the same names in the cluster; those that are not there are left out.

    Args:
        arguments: which name the cluster.
        entries: the resources in files.

    Returns:
        What was found, by the label of its entry.

    Raises:
        ClusterFailed: the cluster cannot be asked.
        NotInstalled: it does not know the resource.
    """
    async with connected(arguments) as client:
        return await read_from(client, entries)


async def read_from(client: Client, entries: Iterable[Entry]) -> Mapping[str, Before]:
    """See :func:`read_live`; from the cluster of a client.

    Raises:
        ApiError: a request failed.
        NotInstalled: the cluster does not know the resource.
    """
    found = {}
    server = client.connection.server
    for entry in entries:
        try:
            live = await client.get(LLAMA_STACK, ObjectKey(entry.namespace, entry.name))
        except NotFound as error:
            if not error.reason:  # no Status object: there is no such path at all
                raise NotInstalled(
                    f"the cluster at {server} does not know {LLAMA_STACK.kind} "
                    f"{LLAMA_STACK.api_version}; run `python -m llamastack_operator install`"
                ) from error
            continue
        registry = await _recorded(client, live)
        found[entry.label] = Before(Entry(server, dict(live)), registry)
    return found


async def _recorded(client: Client, cr: Object) -> str:
    key = key_of(cr)
    try:
        live = await client.get(DEPLOYMENT, ObjectKey(key.namespace, names.deployment(key.name)))
    except (NotFound, Forbidden):
        return ""
    return registry_state.recorded(live, lambda: ()) if is_owned(live, cr) else ""
