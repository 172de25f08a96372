# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``install``: what the API server must know, in the current cluster."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from api import OLD_VERSION, VERSION, webhook
from api.conditions import is_true
from configs.yaml_reader import dump_all
from controller.llamastack.objects.kinds import LLAMA_STACK
from informers.errors import NotFound, ServerError, TooManyRequests
from informers.ports import ObjectKey
from llamastack_operator.cli.arguments import add_cluster_arguments
from llamastack_operator.cli.cluster import connected
from llamastack_operator.cli.definitions import RESOURCES, documents
from llamastack_operator.kube.kinds import CRD, WEBHOOK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from controller.runtime.ports import Manifest
    from informers.ports import Object, Resource
    from llamastack_operator.kube.rest import Client

DESCRIPTION = """\
Apply the CustomResourceDefinition and the validating admission policies to the cluster, and wait
until the API server serves the resource. Safe to repeat; this is also how an upgrade is done.
Without --webhook-url, an admission webhook that an earlier run with it installed is deleted.
"""
EPILOG = """\
examples:
  python -m llamastack_operator install --context production
  python -m llamastack_operator install --dry-run > definition.yaml
  python -m llamastack_operator install --webhook-url https://127.0.0.1:9443

exit status: 0 the resource is served, 1 it did not work
"""

MANAGER = "llamastack-operator-install"
ESTABLISHED_WITHIN_S = 30.0
_POLL_S = 0.2

_NO_CONVERSION = "conversion webhook for "  # how the API server begins to say that it failed
_UNREADABLE = (
    f"there are stored objects of {OLD_VERSION}: they can be read, and are migrated to {VERSION},"
    " as soon as an operator serves the webhooks"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_cluster_arguments(parser)
    parser.add_argument(
        "--webhook-url",
        type=_webhook_url,
        metavar="URL",
        help="where an operator outside of the cluster serves its webhooks, as the API server "
        "reaches it, e.g. https://127.0.0.1:9443; whom to trust there, the operator fills in "
        "(default: conversion by the deployed operator's Service, and no admission webhook)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be applied; ask no cluster"
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status of the command.

    Raises:
        ClusterFailed: the cluster cannot be asked.
    """
    if arguments.dry_run:
        print(dump_all(documents(arguments.webhook_url or "")), end="")  # noqa: T201
        return 0
    asyncio.run(_install(arguments))
    return 0


async def _install(arguments: argparse.Namespace) -> None:
    async with connected(arguments) as client:
        await install(client, webhook_url=arguments.webhook_url or "")


def _webhook_url(text: str) -> str:
    parts = urlsplit(text)
    whole = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme != "https" or not parts.hostname or whole:
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL such as https://127.0.0.1:9443")
    return text


async def install(client: Client, *, webhook_url: str = "") -> None:
    """Apply the definitions, and wait until the resource is served.

    Args:
        client: of the cluster.
        webhook_url: where the webhooks are served, if not by the deployed operator.

    Raises:
        ApiError: a request failed.
        TimeoutError: it is not served within :data:`ESTABLISHED_WITHIN_S`.
    """
    if not webhook_url:
        await _forget_url(client)
    for document in documents(webhook_url):
        resource = RESOURCES[document["kind"]]
        await _redirect(client, resource, document)
        live = await client.apply(resource, document, manager=MANAGER)
        print(f"{resource.kind} {live['metadata']['name']} applied")  # noqa: T201
    await _established(client)
    print(f"{LLAMA_STACK.kind} {LLAMA_STACK.api_version} is served")  # noqa: T201


async def _forget_url(client: Client) -> None:
    """Nobody shall wait for an operator outside of the cluster any more.

    Its webhook would refuse every write as soon as it ends. One that leads to a Service is
    somebody else's: it comes with the deployed operator.

    Raises:
        ApiError: a request failed.
    """
    key = ObjectKey("", webhook.NAME)
    try:
        live = await client.get(WEBHOOK, key)
    except NotFound:
        return
    if any("url" in address for _, address in _addresses(live)):
        await client.delete(WEBHOOK, key, uid=live["metadata"]["uid"])
        print(f"{WEBHOOK.kind} {key} deleted: it called an operator outside of the cluster")  # noqa: T201


async def _redirect(client: Client, resource: Resource, document: Manifest) -> None:
    """Make room for another way to the webhooks.

    An address is a URL or a Service, and an apply cannot take away the one that somebody else has
    put there, as ``kubectl apply -k deploy/default`` does.

    Raises:
        ApiError: a request failed.
    """
    wanted = dict(_addresses(document))
    if not wanted:
        return
    key = ObjectKey("", document["metadata"]["name"])
    try:
        live = await client.get(resource, key)
    except NotFound:
        return
    operations = [
        {"op": "replace", "path": path, "value": wanted[path]}
        for path, address in _addresses(live)
        if path in wanted and ("url" in address) != ("url" in wanted[path])
    ]
    if operations:
        await client.json_patch(resource, key, operations, manager=MANAGER)


def _addresses(document: Object) -> Iterator[tuple[str, Any]]:
    """Where the webhooks of an object are called, by JSON pointer."""
    if "conversion" in document.get("spec", {}):
        conversion = document["spec"]["conversion"].get("webhook")
        if conversion:
            yield "/spec/conversion/webhook/clientConfig", conversion["clientConfig"]
    for index, hook in enumerate(document.get("webhooks") or ()):
        yield f"/webhooks/{index}/clientConfig", hook["clientConfig"]


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
    except ServerError as error:
        if not error.message.startswith(_NO_CONVERSION):
            raise
        print(_UNREADABLE)  # noqa: T201
    return True
