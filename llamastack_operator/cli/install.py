# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``install`` and ``uninstall``: what the API server must know, in the current cluster."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from api.conditions import is_true
from api.crd import custom_resource_definition
from api.policy import documents as policy_documents
from configs.yaml_reader import dump_all
from controller.llamastack.objects.kinds import LLAMA_STACK
from informers.errors import NotFound, TooManyRequests
from informers.ports import ObjectKey, Resource
from llamastack_operator.cli.cluster import add_cluster_arguments, connected

if TYPE_CHECKING:
    import argparse

    from llamastack_operator.kube.rest import Client

HELP = "teach the cluster the custom resource"
DESCRIPTION = """\
Apply the CustomResourceDefinition and the validating admission policy to the cluster, and wait
until the API server serves the resource. Safe to repeat; this is also how an upgrade is done.
"""
UNINSTALL_HELP = "take the custom resource out of the cluster"
UNINSTALL_DESCRIPTION = """\
Delete the admission policy and the CustomResourceDefinition. With the definition go all
LlamaStackDistributions and everything the operator made for them, so the command refuses while
there are any, unless --delete-resources is given.
"""

MANAGER = "llamastack-operator-install"
CRD = Resource(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    namespaced=False,
)
POLICY = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
    namespaced=False,
)
BINDING = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    namespaced=False,
)
_RESOURCES = {resource.kind: resource for resource in (CRD, POLICY, BINDING)}

ESTABLISHED_WITHIN_S = 30.0
_POLL_S = 0.2


class Refused(Exception):
    """The command does not do this without being told explicitly."""


def add_install_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``install``."""
    add_cluster_arguments(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be applied; ask no cluster"
    )


def add_uninstall_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``uninstall``."""
    add_cluster_arguments(parser)
    parser.add_argument(
        "--delete-resources",
        action="store_true",
        help="delete although there are LlamaStackDistributions; they and their servers go, too",
    )


def documents() -> list[dict[str, Any]]:
    """Everything that ``install`` applies, in order."""
    return [custom_resource_definition(), *policy_documents()]


def run_install(arguments: argparse.Namespace) -> int:
    """Exit status of ``install``."""
    if arguments.dry_run:
        print(dump_all(documents()), end="")  # noqa: T201
        return 0
    asyncio.run(_install(arguments))
    return 0


async def _install(arguments: argparse.Namespace) -> None:
    async with connected(arguments) as client:
        for document in documents():
            resource = _RESOURCES[document["kind"]]
            live = await client.apply(resource, document, manager=MANAGER)
            print(f"{resource.kind} {live['metadata']['name']} applied")  # noqa: T201
        await _established(client)
        print(f"{LLAMA_STACK.kind} {LLAMA_STACK.api_version} is served")  # noqa: T201


async def _established(client: Client) -> None:
    """Until the API server serves the resource.

    Raises:
        TimeoutError: not within :data:`ESTABLISHED_WITHIN_S`.
    """
    async with asyncio.timeout(ESTABLISHED_WITHIN_S):
        crd = ObjectKey("", str(LLAMA_STACK))
        while True:
            if is_true(await client.get(CRD, crd), "Established") and await _is_listed(client):
                return
            await asyncio.sleep(_POLL_S)


async def _is_listed(client: Client) -> bool:
    """Whether the storage is ready, too; for a second after "established" it is not."""
    source = client.lister_watcher(LLAMA_STACK)
    try:
        await source.list_page(resource_version=None, limit=1, continue_token="")
    except (NotFound, TooManyRequests):
        return False
    return True


def run_uninstall(arguments: argparse.Namespace) -> int:
    """Exit status of ``uninstall``."""
    asyncio.run(_uninstall(arguments))
    return 0


async def _uninstall(arguments: argparse.Namespace) -> None:
    async with connected(arguments) as client:
        try:
            resources = await client.list_all(LLAMA_STACK, namespace="")
        except NotFound:
            resources = ()
        if resources and not arguments.delete_resources:
            raise Refused(
                f"{len(resources)} {LLAMA_STACK.kind} objects exist and would be deleted with "
                "their servers; repeat with --delete-resources if that is what you want"
            )
        for document in reversed(documents()):
            resource = _RESOURCES[document["kind"]]
            key = ObjectKey("", document["metadata"]["name"])
            try:
                live = await client.get(resource, key)
            except NotFound:
                print(f"{resource.kind} {key} was not there")  # noqa: T201
                continue
            await client.delete(resource, key, uid=live["metadata"]["uid"])
            print(f"{resource.kind} {key} deleted")  # noqa: T201
