# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which server is asked when, and its last report. No I/O, no clock, no dice.

* A server is asked when there is an occasion (``controller.llamastack.server.probe_port``), one
  request a server at a time, in the order of the occasions.
* A server that did not answer is asked again after a back-off, a few times; then only on the next
  occasion, or with a reconcile much later. Repeats never take more than a part of the places, so
  that a crowd of silent servers does not keep new ones waiting.
* A failure is reported only when it has repeated itself: right after a rollout the network may need
  a moment. Until then the last report of the same pod template stands.
* An answer that comes after the template has changed is thrown away.
* The first answer of a template is worth a moment's waiting: most servers give it soon, and then it
  goes with the write that says they are ready. A server that fails twice is not waited for.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from informers.backoff import exponential

if TYPE_CHECKING:
    from controller.llamastack.server.probe_port import Server, ServerReport

MOST_TRIES: Final = 5  # over 20 to 25 s, beside the time-outs
REPORTED_AFTER: Final = 3
FIRST_REST_S: Final = 0.5  # the Service may learn of a pod a moment later than we do
REST_GROWS: Final = 3.0
LATER_S: Final = 600.0
AWAITED_S: Final = 3.0  # a server that has just started takes one or two for its first answer
AWAITED_TRIES: Final = 2
SPREAD: Final = 0.25  # of a rest, so that servers which failed together do not come together


@dataclass(slots=True)
class _Entry:
    """One server.

    Attributes:
        server: as it was seen last.
        ready: whether it may be asked.
        open: whether the occasion calls for an answer that is not there yet.
        due: monotonic seconds; not to be asked before.
        ticket: its valid place in a queue; older ones are void.
        failures: in a row.
        gave_up_at: monotonic seconds.
        report: the last one; ``None`` if there is none yet.
        asked_from: monotonic seconds; since when the first answer of this template is expected.
    """

    server: Server
    ready: bool = False
    open: bool = False
    due: float = 0.0
    ticket: int = 0
    failures: int = 0
    gave_up_at: float = 0.0
    report: ServerReport | None = None
    asked_from: float | None = None


class Schedule:
    """See the module.

    Args:
        most_repeats: servers that are asked again at a time.
    """

    def __init__(self, *, most_repeats: int = 8) -> None:
        self._most_repeats = most_repeats
        self._entries: dict[str, _Entry] = {}
        self._tickets = 0
        self._first: deque[tuple[int, str]] = deque()  # ticket, uid
        self._repeats: list[tuple[float, int, str]] = []  # a heap: due, ticket, uid
        self._running: dict[str, bool] = {}  # uid: whether it is a repeat; outlives the entry

    def __len__(self) -> int:
        return len(self._entries)

    def look(self, server: Server, *, ready: bool, known: bool, now: float) -> ServerReport | None:
        """See ``controller.llamastack.server.probe_port.ServerProber.look``.

        Args:
            server: as it is now.
            ready: whether it may be asked.
            known: whether there is no need to, if nothing is remembered of it.
            now: monotonic seconds.
        """
        entry = self._entries.get(server.uid)
        changed = entry is None or entry.ready != ready
        if entry is None:
            entry = self._entries[server.uid] = _Entry(server, open=not known, due=now)
        elif entry.server.occasion != server.occasion:
            if entry.server.template != server.template:
                entry.report = entry.asked_from = None
            entry.open, entry.due, entry.failures, changed = True, now, 0, True
        elif not entry.open and entry.failures and now - entry.gave_up_at >= LATER_S:
            entry.open, entry.due, entry.failures, changed = True, now, MOST_TRIES - 1, True
        entry.server, entry.ready = server, ready
        if ready and entry.open and entry.asked_from is None:
            entry.asked_from = now
        if changed:
            self._queue(entry)
        return entry.report

    def awaited_s(self, uid: str, *, now: float) -> float:
        """See ``controller.llamastack.server.probe_port.ServerProber.awaited_s``.

        Args:
            uid: of the resource.
            now: monotonic seconds.
        """
        entry = self._entries.get(uid)
        if entry is None or entry.asked_from is None or entry.report is not None:
            return 0.0
        if not (entry.open and entry.ready) or entry.failures >= AWAITED_TRIES:
            return 0.0
        return max(0.0, entry.asked_from + AWAITED_S - now)

    def report_of(self, uid: str) -> ServerReport | None:
        """The last report of a server, if there is one."""
        entry = self._entries.get(uid)
        return entry.report if entry else None

    def forget(self, uid: str) -> None:
        """The resource is gone."""
        self._entries.pop(uid, None)

    def take(self, now: float) -> Server | None:
        """The next server to ask; counts as being asked until ``answered`` or ``refused``."""
        while self._first:
            ticket, uid = self._first.popleft()
            if self._is_valid(ticket, uid):
                self._running[uid] = False
                return self._entries[uid].server
        while self._may_repeat() and self._repeats and self._repeats[0][0] <= now:
            _, ticket, uid = heapq.heappop(self._repeats)
            if self._is_valid(ticket, uid):
                self._running[uid] = True
                return self._entries[uid].server
        return None

    def next_due(self) -> float | None:
        """When ``take`` may have something; None: not before an answer or another look."""
        if self._first:
            return 0.0
        return self._repeats[0][0] if self._repeats and self._may_repeat() else None

    def answered(self, asked: Server, report: ServerReport, *, now: float, spread: float) -> bool:
        """What came of a question; whether there is something else to tell, or nothing to wait for.

        Args:
            asked: from ``take``.
            report: the answer, with a problem if it is not a whole one.
            now: monotonic seconds.
            spread: 0 to 1, at random.
        """
        awaited = self.awaited_s(asked.uid, now=now) > 0
        entry = self._finished(asked, now)
        if entry is None:
            return False
        if not report.problem:
            entry.open, entry.failures = False, 0
        else:
            entry.failures += 1
            if entry.failures >= MOST_TRIES:
                entry.open, entry.gave_up_at = False, now
            rest = exponential(FIRST_REST_S, entry.failures - 1, factor=REST_GROWS, cap_s=LATER_S)
            entry.due = now + rest * (1.0 + SPREAD * spread)
            self._queue(entry)
            if entry.failures < REPORTED_AFTER:
                return awaited and not self.awaited_s(asked.uid, now=now)
        before, entry.report = entry.report, report
        return before != report

    def refused(self, asked: Server, *, now: float) -> bool:
        """We are not allowed to ask: it is not tried again soon. Whether somebody waits for it."""
        awaited = self.awaited_s(asked.uid, now=now) > 0
        entry = self._finished(asked, now)
        if entry is not None:
            entry.open, entry.failures, entry.gave_up_at = False, MOST_TRIES, now
        return awaited

    def _may_repeat(self) -> bool:
        return sum(self._running.values()) < self._most_repeats

    def _is_valid(self, ticket: int, uid: str) -> bool:
        entry = self._entries.get(uid)
        if entry is None or entry.ticket != ticket or uid in self._running:
            return False
        return entry.open  # one that is not ready has no valid ticket

    def _queue(self, entry: _Entry) -> None:
        """Give it a place, unless it is not to be asked; in any case the last one is void."""
        self._tickets += 1
        entry.ticket = self._tickets
        uid = entry.server.uid
        if not (entry.open and entry.ready):
            return
        if entry.failures:
            heapq.heappush(self._repeats, (entry.due, entry.ticket, uid))
        else:
            self._first.append((entry.ticket, uid))

    def _finished(self, asked: Server, now: float) -> _Entry | None:
        """The entry that an answer is for; None if it is for what is no more."""
        del self._running[asked.uid]
        entry = self._entries.get(asked.uid)
        if entry is None or entry.server.occasion == asked.occasion:
            return entry
        # Another occasion has come meanwhile; the answer may be older than it.
        entry.due = now
        self._queue(entry)
        return None
