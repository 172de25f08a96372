# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The informers of this process: one for each row of a watch table and each namespace."""

from __future__ import annotations

import asyncio
import functools
import itertools
from typing import TYPE_CHECKING, Any

import structlog

from informers.informer import Informer
from informers.interning import LIMIT, Sharing
from informers.ports import ObjectKey
from informers.transforms import compose, drop_noise, keep_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from controller.llamastack.cache.readers import CacheKey
    from controller.llamastack.watches import Watch
    from informers.dispatch import Handler
    from informers.metrics import MetricsProvider
    from informers.mutation_check import MutationDetector
    from informers.ports import Object, Resource
    from llamastack_operator.kube.rest import Client

log = structlog.get_logger(__name__)

EVERYWHERE = ""


class NotSynced(Exception):
    """The caches did not fill in time."""


class NotCached(KeyError):
    """Asked for what no informer watches, which says nothing about the cluster (B11)."""


class ScopedReader:
    """One resource, from one informer or from one a namespace; implements ``Reader``.

    Args:
        informers: by namespace; the key :data:`EVERYWHERE` for a cluster-wide one.
    """

    def __init__(self, informers: Mapping[str, Informer]) -> None:
        self._informers = dict(informers)
        self._everywhere = self._informers.get(EVERYWHERE)

    def _of(self, namespace: str) -> Informer:
        if self._everywhere is not None:
            return self._everywhere
        try:
            return self._informers[namespace]
        except KeyError:
            raise NotCached(f"namespace {namespace!r} is not watched") from None

    def get(self, key: ObjectKey) -> Object | None:
        """See :meth:`controller.runtime.ports.Reader.get`."""
        return self._of(key.namespace).store.get(key)

    def reached(self, key: ObjectKey, resource_version: str) -> bool:
        """See :meth:`controller.runtime.ports.Reader.reached`."""
        return self._of(key.namespace).store.reached(resource_version)

    def by_index(self, index: str, value: str) -> Iterable[Object]:
        """See :meth:`controller.runtime.ports.Reader.by_index`."""
        stores = (informer.store for informer in self._informers.values())
        return itertools.chain.from_iterable(store.by_index(index, value) for store in stores)

    def values(self) -> Iterable[Object]:
        """All cached objects."""
        stores = (informer.store for informer in self._informers.values())
        return itertools.chain.from_iterable(store.values() for store in stores)


class InformerSet:
    """Makes, runs and reads the informers of a watch table.

    Args:
        client: lists and watches.
        watches: the table.
        namespaces: to be watched; empty for all.
        referenced: whether an object of a kind is referred to, for rows that keep no others.
        metrics: makes their counters.
        resync_period_s: see :class:`informers.informer.Informer`.
        detector: makes a mutation detector for each informer; for tests.
    """

    def __init__(
        self,
        client: Client,
        watches: Sequence[Watch],
        *,
        namespaces: Sequence[str],
        referenced: Callable[[Resource, Object], bool],
        metrics: MetricsProvider,
        resync_period_s: float,
        detector: Callable[[], MutationDetector] | None = None,
    ) -> None:
        self._rows: list[tuple[Watch, dict[str, Informer]]] = []
        ours = Sharing()  # one for all: owner references and labels are the same everywhere
        others = Sharing(owners_limit=LIMIT)  # whose owners have nothing else here
        for watch in watches:
            informers = {}
            for namespace in namespaces or (EVERYWHERE,):
                source = client.lister_watcher(
                    watch.resource,
                    namespace=namespace,
                    label_selector=watch.label_selector,
                    metadata_only=watch.metadata_only,
                )
                informers[namespace] = Informer(
                    source,
                    name="/".join(part for part in (str(watch.key), namespace) if part),
                    transform=compose(
                        _transform_of(watch), others if watch.referenced_only else ours
                    ),
                    indexers=watch.indexers,
                    keep=functools.partial(referenced, watch.resource)
                    if watch.referenced_only
                    else None,
                    resync_period_s=resync_period_s,
                    metrics=metrics,
                    mutation_detector=detector() if detector else None,
                )
            self._rows.append((watch, informers))
        self.readers = {watch.key: ScopedReader(informers) for watch, informers in self._rows}
        if len(self.readers) != len(self._rows):
            raise ValueError("two rows of the watch table name the same cache")

    def add_handler(self, key: CacheKey, handler: Handler, *, resync: bool = False) -> None:
        """Tell a handler about all objects of a cache."""
        for informer in self._of(key):
            informer.add_handler(handler, resync=resync)

    def add_progress_listener(self, key: CacheKey, listener: Callable[..., None]) -> None:
        """Call back when a store moved without a change.

        Args:
            key: which stores.
            listener: gets ``Store.reached`` and, by keyword, the ``namespace`` of the store.
        """
        for watch, informers in self._rows:
            if watch.key == key:
                for namespace, informer in informers.items():
                    informer.add_progress_listener(
                        functools.partial(listener, informer.store.reached, namespace=namespace)
                    )

    def _of(self, key: CacheKey) -> list[Informer]:
        return [
            informer
            for watch, informers in self._rows
            if watch.key == key
            for informer in informers.values()
        ]

    async def run(self) -> None:
        """Run all informers until cancelled.

        Rows that keep only what is referred to start when the others have synced: before, nothing
        would be referred to.
        """
        first = [i for watch, row in self._rows if not watch.referenced_only for i in row.values()]
        then = [i for watch, row in self._rows if watch.referenced_only for i in row.values()]
        async with asyncio.TaskGroup() as group:
            for informer in first:
                group.create_task(informer.run(), name=f"informers-{informer.name}")
            await _synced(first)
            for informer in then:
                group.create_task(informer.run(), name=f"informers-{informer.name}")

    def has_synced(self) -> bool:
        """Whether every cache is complete (B5)."""
        return all(i.has_synced() for _, row in self._rows for i in row.values())

    async def wait_synced(self, *, deadline_s: float) -> None:
        """Until every cache is complete.

        Raises:
            NotSynced: not in time; the message names those that are not.
        """
        try:
            async with asyncio.timeout(deadline_s):
                for _, informers in self._rows:
                    await _synced(informers.values())
        except TimeoutError:
            late = [i.name for _, row in self._rows for i in row.values() if not i.has_synced()]
            raise NotSynced(
                f"caches did not fill within {deadline_s:.0f} s: {', '.join(late)}; "
                "see the log above for the reason"
            ) from None


def _transform_of(watch: Watch) -> Callable[[dict[str, Any]], Object | None]:
    if watch.transform is not None:
        return watch.transform
    return keep_metadata if watch.metadata_only else drop_noise


async def _synced(informers: Iterable[Informer]) -> None:
    for informer in informers:
        await informer.wait_synced()
