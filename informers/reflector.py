# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""List and watch as a state machine: what to ask next, and what it means for the store.

Sans-I/O, shaped like kube-rs ``watcher.rs`` with the rules of client-go ``reflector.go``::

                    ┌──────────────── sync ────────────────┐
    Idle ── Started ┤                                      │ 410, too long silent, …
                    ▼                                      │
        Listing (pages)  or  Opening → Initial (streamed) ─┤
                    │ Replace              │ Replace       │
                    ▼                      ▼               │
                 Opening ───────────────► Watching ────────┘
                    ▲  ended, broken, silent   │ Apply, Delete, SeenUpTo
                    └──────────────────────────┘            any failure → Waiting → again

One input gives at most one action (:mod:`informers.reflector_messages`). Failures that leave the
position in the event stream intact are answered by watching again from there, never by a list:
after a restart of the API server a thousand clients must not all list (A12). Lists ask for "not
older than what was seen" and are refused if they are older all the same (A1); only when the server
says that it has no such version, or is too silent to be believed, is the bound given up (A5, A6).
"""

from __future__ import annotations

from informers import resource_version as rv
from informers.backoff import Rng
from informers.decoder import Decoder, Event, EventType
from informers.errors import (
    ApiError,
    BadRequest,
    Gone,
    Invalid,
    LineTooLong,
    NotFound,
    ProtocolError,
    ResourceVersionTooLarge,
    ServerError,
    StatusError,
    TransportError,
    Unauthorized,
)
from informers.metrics import InformerMetrics
from informers.options import ReflectorOptions
from informers.ports import Object, ObjectKey, Page
from informers.reflector_messages import (
    Apply,
    Delete,
    Failed,
    Input,
    Line,
    ListPage,
    OpenWatch,
    Output,
    PageArrived,
    Replace,
    SeenUpTo,
    Silent,
    Started,
    StreamEnded,
    Wait,
    WaitOver,
    WatchOpened,
)
from informers.reflector_states import (
    Idle,
    Initial,
    Listing,
    Opening,
    State,
    Waiting,
    Want,
    Watching,
)
from informers.retry_delays import RetryDelays
from informers.status import describe

_REFUSALS = (BadRequest, NotFound, Invalid)
"""Answers that mean "I do not do streaming lists" (A3)."""


class Reflector:
    """Keeps a store in step with the API server; see the module's docstring.

    Args:
        decoder: decodes and checks what arrives.
        rng: for time-outs and jitter.
        metrics: counts lists and watches.
        tuning: numbers of the protocol.
    """

    def __init__(
        self, decoder: Decoder, *, rng: Rng, metrics: InformerMetrics, tuning: ReflectorOptions
    ) -> None:
        self._decoder = decoder
        self._rng = rng
        self._metrics = metrics
        self._tuning = tuning
        self._delays = RetryDelays(rng=rng, initial_s=tuning.backoff_s)
        self._state: State = Idle()
        self._seen = ""  # the position: last version seen (A7)
        self._bound_refused = False  # the server does not have that version: ask without it
        self._streaming = tuning.streaming_list
        self._broken_initials = 0
        self._silent_s = 0.0
        self._internal_since: float | None = None
        self._retried_401 = False
        self._moved_since_sync = False
        self._expired_unmoved = False  # before the last list, and nothing has moved since
        self._sync_began = 0.0

    @property
    def position(self) -> str:
        """The last resource version seen; empty before the first list."""
        return self._seen

    def read_deadline(self) -> float:
        """When to give up waiting for the open stream, on the clock of ``now`` (A9)."""
        match self._state:
            case Initial(ends_at=ends_at, quiet_until=quiet_until):
                return min(ends_at, quiet_until)
            case Watching(ends_at=ends_at):
                return ends_at
            case _:
                raise self._misuse("a read")

    def step(self, message: Input, now: float) -> tuple[Output, ...]:
        """One transition.

        Args:
            message: what happened.
            now: monotonic seconds.

        Returns:
            Deltas for the store in order, then at most one action.

        Raises:
            RuntimeError: the message does not answer the last action; a bug of the caller.
        """
        match message:
            case Line(data):
                return self._line(data, now)
            case PageArrived(page):
                return self._page(page, now)
            case WatchOpened():
                return self._opened(now)
            case StreamEnded(dropped):
                return self._ended(dropped, now)
            case Failed(error):
                return self._failed(error, now)
            case Silent():
                return self._silent(now)
            case WaitOver():
                if not isinstance(self._state, Waiting):
                    raise self._misuse("the end of a wait")
                return self._begin(self._state.then, now)
            case Started():
                return self._begin(Want.WATCH if self._seen else Want.SYNC, now)

    # --- actions ---------------------------------------------------------------------------

    def _begin(self, want: Want, now: float) -> tuple[Output, ...]:
        if want is Want.WATCH:
            return self._open(initial=False, bound=self._seen)
        bound = None if self._bound_refused or not self._seen else self._seen
        if want is Want.SYNC:
            self._sync_began = now
            if self._streaming:
                return self._open(initial=True, bound=bound)
        self._state = Listing(bound)
        limit = None if want is Want.FULL_LIST else self._tuning.page_size
        return (ListPage(bound, limit),)

    def _open(self, *, initial: bool, bound: str | None) -> tuple[Output, ...]:
        timeout_s = self._rng.randint(*self._tuning.watch_timeout_s)
        self._state = Opening(initial, bound, timeout_s)
        return (OpenWatch(bound, timeout_s, initial),)

    def _wait(self, then: Want, now: float, reason: str) -> tuple[Output, ...]:
        self._state = Waiting(then)
        return (Wait(self._delays.next(now), reason),)

    def _at_once(self, then: Want, reason: str) -> tuple[Output, ...]:
        self._state = Waiting(then)
        return (Wait(0.0, reason, routine=True),)

    # --- the whole state -------------------------------------------------------------------

    def _page(self, page: Page, now: float) -> tuple[Output, ...]:
        state = self._state
        if not isinstance(state, Listing):
            raise self._misuse("a page")
        state.version = state.version or page.resource_version
        if not state.version:
            return self._failed(ProtocolError("the list has no resourceVersion"), now)
        for item in page.items:
            admitted = self._decoder.admit(item)
            if admitted is not None and admitted.obj is not None:
                state.items[admitted.key] = admitted.obj
        if page.continue_token:
            state.on_later_page = True
            return (ListPage(state.bound, self._tuning.page_size, page.continue_token),)
        if self._is_stale(state.version, state.bound):
            return self._wait(Want.SYNC, now, _STALE)
        replaced = self._replace(state.items, state.version, now)
        return (replaced, *self._begin(Want.WATCH, now))

    @staticmethod
    def _is_stale(version: str, bound: str | None) -> bool:
        """Whether a list breaks its promise; it must not turn back the store (A1)."""
        return bound is not None and rv.older(version, bound)

    def _replace(self, items: dict[ObjectKey, Object], version: str, now: float) -> Replace:
        history_lost = rv.older(version, self._seen)
        self._seen = version
        self._bound_refused = False
        self._moved_since_sync = False
        self._broken_initials = 0
        self._silent_s = 0.0
        self._internal_since = None
        self._retried_401 = False
        self._metrics.listed(seconds=now - self._sync_began, items=len(items))
        return Replace(items, version, history_lost)

    def _initial_line(self, state: Initial, event: Event, now: float) -> tuple[Output, ...]:
        """Collect; nothing reaches the store before the list is complete (A2)."""
        match event.type:
            case EventType.BOOKMARK:
                if not (event.ends_initial_events and event.resource_version):
                    return ()
                if self._is_stale(event.resource_version, state.bound):
                    return self._wait(Want.SYNC, now, _STALE)
                # The same connection goes on as a watch.
                self._state = Watching(state.opened_at, state.ends_at, alive=True)
                return (self._replace(state.items, event.resource_version, now),)
            case EventType.ADDED:
                # Initial events are all ADDED; others may keep a stream busy for ever.
                state.quiet_until = now + self._tuning.initial_quiet_s
            case _:
                pass
        admitted = self._decoder.admit(event.raw)
        if admitted is None:
            return ()
        if event.type is EventType.DELETED or admitted.obj is None:
            state.items.pop(admitted.key, None)
        else:
            state.items[admitted.key] = admitted.obj
        return ()

    # --- the stream ------------------------------------------------------------------------

    def _opened(self, now: float) -> tuple[Output, ...]:
        state = self._state
        if not isinstance(state, Opening):
            raise self._misuse("an opened watch")
        self._metrics.watch_opened()
        ends_at = now + state.timeout_s + self._tuning.idle_margin_s
        if state.initial:
            quiet_until = now + self._tuning.initial_quiet_s
            self._state = Initial(state.bound, now, ends_at, quiet_until)
        else:
            self._state = Watching(now, ends_at)
        return ()

    def _line(self, data: bytes, now: float) -> tuple[Output, ...]:
        state = self._state
        if not isinstance(state, (Initial, Watching)):
            raise self._misuse("a line")
        event = self._decoder.event(data)
        if event is None:
            return ()
        if event.type is EventType.ERROR:
            return self._failed(event.error, now)
        if isinstance(state, Initial):
            return self._initial_line(state, event, now)
        return self._watch_line(state, event)

    def _watch_line(self, state: Watching, event: Event) -> tuple[Output, ...]:
        version = event.resource_version
        if version and rv.compare(version, self._seen) in {-1, 0}:
            # Seen before: versions of one resource only grow, so this is a repetition (B3).
            state.alive = state.alive or version == self._seen
            return ()
        state.alive = True
        self._internal_since = None
        self._retried_401 = False
        if version:
            self._seen = version
            state.progressed = self._moved_since_sync = True
            self._expired_unmoved = False
        admitted = None if event.type is EventType.BOOKMARK else self._decoder.admit(event.raw)
        if admitted is None:
            return (SeenUpTo(version),) if version else ()
        if event.type is EventType.DELETED or admitted.obj is None:
            return (Delete(admitted.key, admitted.obj, version),)
        return (Apply(admitted.key, admitted.obj, version),)

    def _ended(self, dropped: int, now: float) -> tuple[Output, ...]:
        state = self._state
        if dropped:
            return self._failed(TransportError("the stream ended in the middle of an event"), now)
        if isinstance(state, Initial):
            return self._failed(TransportError("the streaming list ended unfinished"), now)
        if not isinstance(state, Watching):
            raise self._misuse("the end of a stream")
        if not state.progressed and now - state.opened_at < self._tuning.short_watch_s:
            self._metrics.watch_was_short()
            return self._wait(Want.WATCH, now, "the watch ended at once, without an event")
        return self._begin(self._after(state, now), now)

    def _silent(self, now: float) -> tuple[Output, ...]:
        state = self._state
        if isinstance(state, Initial):
            self._streaming = False
            return self._at_once(Want.SYNC, "the streaming list stalled")
        if not isinstance(state, Watching):
            raise self._misuse("silence")
        return self._begin(self._after(state, now), now)

    def _after(self, state: Watching, now: float) -> Want:
        """Go on with the next watch, unless the silence has lasted too long (A6)."""
        self._silent_s = 0.0 if state.alive else self._silent_s + now - state.opened_at
        if self._silent_s < self._tuning.silence_limit_s:
            return Want.WATCH
        self._silent_s = 0.0
        return Want.SYNC

    # --- failures --------------------------------------------------------------------------

    def _failed(self, error: ApiError, now: float) -> tuple[Output, ...]:
        match self._state:
            case Listing() as state:
                return self._sync_failed(error, state.bound, now)
            case Opening(initial=True, bound=bound) | Initial(bound=bound):
                return self._initial_failed(error, bound, now)
            case Opening():
                return self._watch_failed(error, Want.WATCH, now)
            case Watching() as state:
                after = self._after(state, now)
                if state.progressed and isinstance(error, TransportError):
                    return self._begin(after, now)
                return self._watch_failed(error, after, now)
            case _:
                raise self._misuse("a failure")

    def _initial_failed(self, error: ApiError, bound: str | None, now: float) -> tuple[Output, ...]:
        if isinstance(self._state, Initial) and not isinstance(error, StatusError):
            self._broken_initials += 1
        if (
            isinstance(error, (*_REFUSALS, LineTooLong))
            or self._broken_initials >= self._tuning.broken_initial_limit
        ):
            self._streaming = False  # for the rest of the process (A3)
            return self._at_once(Want.SYNC, describe(error))
        return self._sync_failed(error, bound, now)

    def _sync_failed(self, error: ApiError, bound: str | None, now: float) -> tuple[Output, ...]:
        match error:
            case Gone() if isinstance(self._state, Listing) and self._state.on_later_page:
                # One full list instead of a mix of two snapshots (A4).
                return self._begin(Want.FULL_LIST, now)
            case Gone() | ResourceVersionTooLarge() if bound is not None:
                self._bound_refused = True
                return self._at_once(Want.SYNC, describe(error))
            case NotFound():
                # The kind itself is missing, which says nothing about streaming lists.
                self._streaming = self._tuning.streaming_list
            case _:
                pass
        return self._retry(Want.SYNC, error, now)

    def _watch_failed(self, error: ApiError, after: Want, now: float) -> tuple[Output, ...]:
        match error:
            case Gone() | ResourceVersionTooLarge():
                if self._moved_since_sync:
                    return self._at_once(Want.SYNC, describe(error))
                # Not at once, so that nobody lists without end. A position grows old where nothing
                # happens, which is normal; that a list does not help is not.
                routine = isinstance(error, Gone) and not self._expired_unmoved
                self._expired_unmoved = True
                return self._retry(Want.SYNC, error, now, routine=routine)
            case ServerError() if isinstance(self._state, Watching):
                return self._internal_error(error, now)
            case LineTooLong():
                self._streaming = False  # it would meet the same line
                after = Want.SYNC
            case BadRequest() | NotFound() | Invalid():
                after = Want.SYNC
            case _:
                pass
        return self._retry(after, error, now)

    def _internal_error(self, error: ServerError, now: float) -> tuple[Output, ...]:
        """The server failed inside an accepted watch: patience first, then a list (A12)."""
        if self._internal_since is None:
            self._internal_since = now
        if now - self._internal_since < self._tuning.internal_error_limit_s:
            return self._retry(Want.WATCH, error, now)
        self._internal_since = None
        return self._retry(Want.SYNC, error, now)

    def _retry(
        self, want: Want, error: ApiError, now: float, *, routine: bool = False
    ) -> tuple[Output, ...]:
        if isinstance(error, Unauthorized) and not self._retried_401:
            self._retried_401 = True  # the transport re-reads its token (A13)
            return self._at_once(want, describe(error))
        self._state = Waiting(want)
        return (Wait(self._delays.after(error, now), describe(error), routine),)

    def _misuse(self, what: str) -> RuntimeError:
        return RuntimeError(f"{what} does not fit the state {type(self._state).__name__}")


_STALE = "the list is older than what was seen before"
