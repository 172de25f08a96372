# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The operator's caches, fed from the API in memory without informers and without an event loop.

Each is a real store behind a real decoder, and sees what the watch of its row would show. It
catches up whenever somebody reads it, unless it is told to lag.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controller.llamastack.cache.readers import CacheKey, Caches
from controller.llamastack.watches import WATCHES, Watch
from informers.decoder import Decoder, EventType
from informers.dispatch import Handler
from informers.metrics import NO_METRICS, Gauges
from informers.ports import Object, ObjectKey
from informers.store import Added, Change, Deleted, Store, Updated
from informers.transforms import drop_noise, keep_metadata
from tests.support.fakeapi.server import FakeApi
from tests.support.selection import Selection


class FakeCache:
    """One row of the watch table; implements ``controller.runtime.ports.Reader``.

    Args:
        api: what it follows.
        watch: the row.

    Attributes:
        lags: whether it stays as it is.
        handlers: are told of what happens.
    """

    def __init__(self, api: FakeApi, watch: Watch) -> None:
        self.lags = False
        self.handlers: list[Handler] = []
        self._cluster = api.cluster(watch.resource)
        self._selection = Selection(labels=watch.label_selector, metadata_only=watch.metadata_only)
        self._store = Store(indexers=watch.indexers)
        self._decoder = Decoder(
            watch.resource,
            transform=watch.transform or (keep_metadata if watch.metadata_only else drop_noise),
            metrics=NO_METRICS.informer("", Gauges(int, float, float)),
            on_error=_unexpected,
        )
        self._position = 0

    def add_handler(self, handler: Handler) -> None:
        """Tell a handler of what is going to happen, when somebody reads."""
        self.handlers.append(handler)

    def get(self, key: ObjectKey) -> Object | None:
        """See :meth:`controller.runtime.ports.Reader.get`."""
        return self.store.get(key)

    def reached(self, key: ObjectKey, resource_version: str) -> bool:
        """See :meth:`controller.runtime.ports.Reader.reached`."""
        return self.store.reached(resource_version)

    def by_index(self, index: str, value: str) -> Iterable[Object]:
        """See :meth:`controller.runtime.ports.Reader.by_index`."""
        return self.store.by_index(index, value)

    def values(self) -> Iterable[Object]:
        """All objects."""
        return self.store.values()

    @property
    def store(self) -> Store:
        """The store, up to date unless it lags."""
        if not self.lags:
            self._catch_up()
        return self._store

    def _catch_up(self) -> None:
        lines = self._cluster.events_from(self._position, 0, self._selection)
        self._position = len(self._cluster.history)
        for line in lines:
            self._take(line)
        self._store.see(str(self._cluster.version))

    def _take(self, line: bytes) -> None:
        event = self._decoder.event(line)
        assert event is not None, line
        if event.type is EventType.BOOKMARK:
            return
        admitted = self._decoder.admit(event.raw)
        assert admitted is not None, line
        key, obj, version = admitted.key, admitted.obj, event.resource_version
        if event.type is EventType.DELETED or obj is None:
            self._tell(self._store.delete(key, obj, version))
        else:
            self._tell(self._store.apply(key, obj, version))

    def _tell(self, change: Change | None) -> None:
        for handler in self.handlers:
            match change:
                case Added(obj):
                    handler.on_add(obj, initial=False)
                case Updated(old, new):
                    handler.on_update(old, new)
                case Deleted(obj, final_state_unknown):
                    handler.on_delete(obj, final_state_unknown=final_state_unknown)
                case None:
                    pass


class FakeCaches(Caches):
    """All rows.

    Unlike the operator's own, those of what is referred to hold also what nobody refers to.

    Args:
        api: what they follow.
        watches: the table.
    """

    def __init__(self, api: FakeApi, watches: Sequence[Watch] = WATCHES) -> None:
        self.rows: dict[CacheKey, FakeCache] = {w.key: FakeCache(api, w) for w in watches}
        super().__init__(self.rows)

    def lag(self, lags: bool = True) -> None:
        """Let all of them stay as they are, or go on."""
        for row in self.rows.values():
            row.lags = lags

    def catch_up(self) -> None:
        """Tell the handlers of all that happened."""
        for row in self.rows.values():
            row.store.see("")


def _unexpected(key: ObjectKey, error: Exception) -> None:
    raise error
