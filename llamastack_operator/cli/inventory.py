# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a cluster has of resources and their objects, read once. Never a Secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import api
from controller.llamastack.cache.reference_index import ODH_CA_BUNDLE
from controller.llamastack.objects.kinds import (
    CONFIG_MAP,
    LLAMA_STACK,
    MANAGED_BY_SELECTOR,
    OPERATOR_CONFIG_NAME,
    ROUTE,
    SECURITY_CONTEXT_CONSTRAINTS,
)
from controller.llamastack.render.inputs import Options
from controller.llamastack.render.labels import COMPONENT
from informers.errors import Forbidden, NotFound, ServerError
from informers.ports import ObjectKey, Resource, key_of
from llamastack_operator.capabilities import api_groups
from llamastack_operator.cli.adoption import RESOURCES
from llamastack_operator.cli.errors import CommandError
from llamastack_operator.kube.rest import PAGE_LIMIT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from controller.runtime.ports import Manifest
    from informers.ports import Object
    from llamastack_operator.kube.rest import Client

OLD = Resource(api.GROUP, api.OLD_VERSION, api.KIND, api.PLURAL)


class NothingFound(CommandError):
    """The cluster has no resource to report on."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What was found.

    Attributes:
        server: address of the API server.
        resources: the custom resources, in the version that the cluster has.
        options: what shapes children besides, without what the operator's ConfigMap says.
        operator_config: data of that ConfigMap; ``None`` if it must not be read.
        children: by namespace, then by kind and name: objects with the label of children, and
            those that have the name of one.
        trusting: namespaces with certificates that all servers in them trust.
    """

    server: str
    resources: tuple[Object, ...]
    options: Options
    operator_config: dict[str, str] | None
    children: dict[str, dict[tuple[str, str], Object]] = field(default_factory=dict)
    trusting: frozenset[str] = frozenset()


async def take(client: Client, namespace: str, operator_namespace: str) -> Inventory:
    """Read it.

    Args:
        client: of the cluster.
        namespace: of the resources; empty for all.
        operator_namespace: where the operator's ConfigMap is.

    Raises:
        ApiError: a request failed.
        NothingFound: the cluster knows no version of the resource.
    """
    resources = await _resources(client, namespace)
    groups = await api_groups(client)
    options = Options(
        fixed_uids=SECURITY_CONTEXT_CONSTRAINTS.api_version not in groups,
        operator_namespace=operator_namespace,
        routes=ROUTE.api_version in groups,
    )
    children: dict[str, dict[tuple[str, str], Object]] = {}
    for resource in RESOURCES:
        if resource == ROUTE and not options.routes:
            continue
        async for obj in _children(client, resource, namespace):
            key = key_of(obj)
            children.setdefault(key.namespace, {})[resource.kind, key.name] = obj
    bundles = _pages(client, CONFIG_MAP, namespace, field_selector=f"metadata.name={ODH_CA_BUNDLE}")
    return Inventory(
        client.connection.server,
        resources,
        options,
        await _operator_config(client, operator_namespace),
        children,
        frozenset([key_of(obj).namespace async for obj in bundles]),
    )


async def complete(client: Client, found: Inventory, wanted: Iterable[Manifest]) -> None:
    """Add what has the name of a child without its label; normally there is nothing.

    Raises:
        ApiError: a request failed.
    """
    for manifest in wanted:
        key = key_of(manifest)
        there = found.children.setdefault(key.namespace, {})
        kind = next(r for r in RESOURCES if r.kind == manifest["kind"])
        if kind == CONFIG_MAP or (kind.kind, key.name) in there:
            continue
        try:
            there[kind.kind, key.name] = await client.get(kind, key)
        except NotFound:
            continue


async def _resources(client: Client, namespace: str) -> tuple[Object, ...]:
    """In the hub version, or in the old one where only that is served, or can be.

    A cluster that has our definition and no operator yet cannot convert what it stores.
    """
    failure: NotFound | ServerError | None = None
    for resource in (LLAMA_STACK, OLD):
        try:
            items = await client.list_all(resource, namespace=namespace)
        except (NotFound, ServerError) as error:
            failure = failure or error
            continue
        return tuple(_named(resource, item) for item in items)
    if isinstance(failure, ServerError):
        raise failure
    raise NothingFound(f"the cluster at {client.connection.server} does not know {api.KIND}")


async def _children(client: Client, resource: Resource, namespace: str) -> AsyncIterator[Object]:
    if resource == CONFIG_MAP:  # of bundles no more than that they are there
        selector = f"{MANAGED_BY_SELECTOR},{COMPONENT}=ca-bundle"
        async for obj in _pages(client, resource, namespace, label_selector=selector):
            yield obj
        return
    for obj in await client.list_all(
        resource, namespace=namespace, label_selector=MANAGED_BY_SELECTOR
    ):
        yield _named(resource, obj)


async def _pages(
    client: Client, resource: Resource, namespace: str, **selectors: str
) -> AsyncIterator[Object]:
    """Metadata of objects."""
    source = client.lister_watcher(resource, namespace=namespace, metadata_only=True, **selectors)
    token = ""
    while True:
        page = await source.list_page(resource_version=None, limit=PAGE_LIMIT, continue_token=token)
        for obj in page.items:
            yield _named(resource, obj)
        token = page.continue_token
        if not token:
            return


async def _operator_config(client: Client, namespace: str) -> dict[str, str] | None:
    try:
        live = await client.get(CONFIG_MAP, ObjectKey(namespace, OPERATOR_CONFIG_NAME))
    except NotFound:
        return {}
    except Forbidden:
        return None
    return dict(live.get("data") or {})


def _named(resource: Resource, obj: Object) -> Object:
    """Members of lists do not say what they are."""
    return {**obj, "apiVersion": resource.api_version, "kind": resource.kind}
