# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The cores of an informer, joined without an event loop, following a model of an API server.

One call of :meth:`Follower.advance` is what the network and the loop would do next; everything
that can happen in between, and every way in which a stream can be cut, is the caller's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from informers.dispatch import Dispatcher, Handler, Registration
from informers.errors import ApiError, TransportError
from informers.indexers import IndexFunc
from informers.lines import LineSplitter
from informers.metrics import NO_METRICS, Gauges
from informers.options import ReflectorOptions
from informers.ports import Object, ObjectKey, key_of
from informers.reflector_messages import (
    Action,
    Apply,
    Delete,
    Failed,
    Input,
    Line,
    ListPage,
    OpenWatch,
    PageArrived,
    Replace,
    SeenUpTo,
    Started,
    StreamEnded,
    Wait,
    WaitOver,
    WatchOpened,
)
from informers.store import Change, Store
from tests.support.fakecluster import FakeCluster
from tests.support.reflecting import Driven


class View:
    """A handler that rebuilds the state from what it is told."""

    def __init__(self) -> None:
        self.objects: dict[ObjectKey, Object] = {}
        self.versions: dict[ObjectKey, list[str]] = {}
        self.log: list[tuple[str, ObjectKey]] = []
        self.initial: list[ObjectKey] = []

    def on_add(self, obj: Object, *, initial: bool) -> None:
        key = self._saw("add", obj)
        if initial:
            self.initial.append(key)
        self.objects[key] = obj

    def on_update(self, old: Object, new: Object) -> None:
        key = self._saw("update", new)
        assert self.objects[key] is old, "the old state is the one that was reported before"
        self.objects[key] = new

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        key = self._saw("lost" if final_state_unknown else "delete", obj)
        self.objects.pop(key, None)

    def _saw(self, what: str, obj: Object) -> ObjectKey:
        key = key_of(obj)
        self.log.append((what, key))
        seen = self.versions.setdefault(key, [])
        version = obj["metadata"]["resourceVersion"]
        if what != "lost":  # that one repeats the last state
            seen.append(version)
        return key


class Follower:
    """A reflector, a store and handlers.

    Args:
        cluster: what is followed.
        tuning: of the reflector.
        indexers: of the store.
        keep: of the store.
        on_error: of the store.
    """

    def __init__(
        self,
        cluster: FakeCluster,
        *,
        tuning: ReflectorOptions,
        indexers: Mapping[str, IndexFunc] | None = None,
        keep: Callable[[Object], bool] | None = None,
        on_error: Callable[[str, ObjectKey, Exception], None] | None = None,
    ) -> None:
        self.cluster = cluster
        self.driven = Driven(tuning, cluster.resource)
        self.store = Store(indexers=indexers, keep=keep, on_error=on_error or _unexpected)
        zero = Gauges(store_size=int, store_rv_age_s=float, last_event_age_s=float)
        self.dispatcher = Dispatcher("test", NO_METRICS.informer("test", zero))
        self.synced = False
        self.lists = 0
        self._stream: bytes | None = None  # what is under way, if a watch is open
        self._splitter = LineSplitter()
        self._version = self._position = 0
        self._action: Action | None = None
        self._give(Started())

    def join(self, view: Handler) -> Registration:
        """As ``Informer.add_handler``."""
        registration = Registration(view, resync=False)
        self.dispatcher.add(registration)
        if self.synced:
            self.dispatcher.enqueue_initial(registration, self.store.values())
        return registration

    def advance(self, size: int = 1 << 20) -> None:
        """Carry out the pending action, or read at most so many bytes from the open watch."""
        match self._action:
            case None:
                self._read(size)
            case Wait(seconds):
                self.driven.now += seconds
                self._give(WaitOver())
            case ListPage(version, limit, token):
                self.lists += 1
                try:
                    page = self.cluster.page(version, limit, token)
                except ApiError as error:
                    self._give(Failed(error))
                else:
                    self._give(PageArrived(page))
            case OpenWatch(version, _, initial):
                self._open(version, initial=initial)

    def cut(self, size: int) -> None:
        """Read so many bytes, then the end of the stream in order, wherever that is."""
        if self._action is None:
            self._read(size)
        if self._action is None:
            self._give(StreamEnded(self._splitter.eof()))

    def fail(self, error: ApiError) -> None:
        """Whatever is under way fails."""
        if not isinstance(self._action, Wait):
            self._give(Failed(error))

    def reset(self, size: int) -> None:
        """Read so many bytes, then the connection breaks."""
        if self._action is None:
            self._read(size)
        if self._action is None:
            self._give(Failed(TransportError("reset")))

    def catch_up(self) -> None:
        """Advance without faults until the last event has arrived."""
        for _ in range(100):
            self.advance()
            idle = self._action is None and not self._pending()
            if idle and self.synced:
                return
        raise AssertionError(f"did not catch up: {self._action}")

    def forget_position(self) -> None:
        """The history was cleared; the open watch goes on with what comes now."""
        self._position = 0

    # ---------------------------------------------------------------------------------------

    def _open(self, version: str | None, *, initial: bool) -> None:
        try:
            if initial:
                lines = list(self.cluster.initial(version))
                self._version = self.cluster.version
            else:
                assert version is not None
                lines = [self.cluster.check_watch(version)]
                self._version = int(version)
        except ApiError as error:
            self._give(Failed(error))
            return
        self._splitter = LineSplitter()
        self._position = self.cluster.position(self._version)
        self._stream = b"".join(lines)
        self._give(WatchOpened())

    def _pending(self) -> bytes:
        new = self.cluster.events_from(self._position, self._version)
        self._position = len(self.cluster.history)
        self._stream = (self._stream or b"") + b"".join(new)
        return self._stream

    def _read(self, size: int) -> None:
        chunk = self._pending()[:size]
        self._stream = (self._stream or b"")[size:]
        for each in self._splitter.feed(chunk):
            self._give(Line(each))
            if self._action is not None:
                return

    def _give(self, message: Input) -> None:
        self._action = None
        for output in self.driven.give(message):
            match output:
                case ListPage() | OpenWatch() | Wait():
                    self._action = output
                case Apply(key, obj, version):
                    self._changed(self.store.apply(key, obj, version))
                case Delete(key, final, version):
                    self._changed(self.store.delete(key, final, version))
                case SeenUpTo(version):
                    self.store.see(version)
                case Replace():
                    self._replace(output)
        self.dispatcher.drain(10.0)

    def _changed(self, change: Change | None) -> None:
        if change is not None:
            self.dispatcher.enqueue((change,))

    def _replace(self, delta: Replace) -> None:
        changes = self.store.replace(
            delta.items, delta.resource_version, history_lost=delta.history_lost
        )
        self.dispatcher.enqueue(changes, initial=not self.synced)
        if not self.synced:
            self.synced = True
            self.dispatcher.end_initial()


def _unexpected(who: str, key: ObjectKey, error: Exception) -> None:
    raise error
