# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Who leads: the protocol as a state machine without I/O.

What client-go's ``leaderelection.go`` does, with four deliberate differences. Every input method
takes the monotonic ``now`` of this process, and ``stamp``, the wall clock as text, which is
written to the Lease and never read back (E2). It returns the one thing to do next.

*Safety.* The only thing compared with a clock is our own: a Lease has expired when its record has
not changed, as seen by us, for the duration written in it. A leader counts from the moment it
*sent* a write that succeeded, everybody else from the moment they *saw* it, which is later; and a
leader gives up at the renew deadline, which is shorter than the lease. So clocks may differ by
any amount, and may run at different rates up to lease / renew deadline (1.5 by default). Every
write is a compare-and-swap on the resourceVersion (E3), so views that are out of date cost an
attempt and nothing else. A Lease that somebody deletes does not free its holder's term: whoever
saw it waits until it would have expired (client-go takes over at once). No fencing is promised:
see :meth:`Election.may_write`.

*Taking over.* client-go polls every 2 to 4.4 s, so a clean hand-over may take 4.4 s and one after
a crash the lease plus 8.8 s. Here a standby follows the beat of the leader (E4): after a change
it looks again a little before the next one is due; if that was too early it looks again soon
after, then ever later. So it sees a renewal within a fraction of the period for little more than
one GET per period, and it wakes up at the very moment when the Lease runs out. Bounds with the
defaults: 2 s after a clean release; after a crash the lease plus 0.3 s once the beat is known,
never more than the lease plus one period.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

from informers.backoff import exponential

JITTER_FACTOR = 1.2  # of client-go: two attempts must fit between renew deadline and lease
MOST_CONFLICTS = 2  # per attempt: read again and swap again, as when somebody edits a label
SHORTEST_WAIT_S = 0.001  # floating point must not make a wait of nothing

# How long a standby waits, as fractions of the retry period. Ranges, not numbers: several
# standbys must not march in step.
SEARCH = (0.8, 0.9)  # beat unknown: each look comes a little earlier in the leader's period
FOLLOW = (0.95, 0.98)  # beat known: still slowly earlier, so that drift never goes unnoticed
EARLY = (0.1, 0.15)  # nothing new yet: look again soon; doubles with each vain look


@dataclass(frozen=True, slots=True)
class Timings:
    """The three periods of an election (E1), in seconds.

    Attributes:
        lease_s: how long others wait after the last renewal that they saw.
        renew_deadline_s: how long a leader goes on after the last renewal that it sent.
        retry_s: between two renewals.

    Raises:
        ValueError: not ``lease_s > renew_deadline_s > 1.2 * retry_s > 0``.
    """

    lease_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_s: float = 2.0

    def __post_init__(self) -> None:
        if not self.retry_s > 0:
            raise ValueError(f"retry period {self.retry_s:g} s is not above 0")
        if not self.renew_deadline_s > JITTER_FACTOR * self.retry_s:
            raise ValueError(
                f"renew deadline {self.renew_deadline_s:g} s is not above "
                f"{JITTER_FACTOR} x retry period {self.retry_s:g} s"
            )
        if not self.lease_s > self.renew_deadline_s:
            raise ValueError(
                f"lease duration {self.lease_s:g} s is not above "
                f"renew deadline {self.renew_deadline_s:g} s"
            )

    @property
    def margin_s(self) -> float:
        """What is left of the lease when the leader must have stopped writing (E9)."""
        return self.lease_s - self.renew_deadline_s

    @property
    def request_s(self) -> float:
        """Bound of one request: a hung socket must not use up the whole renew deadline (E5)."""
        return self.renew_deadline_s / 2


@dataclass(frozen=True, slots=True)
class Record:
    """What a Lease says.

    Attributes:
        holder: identity of the leader; empty when the lease is free.
        duration_s: how long the holder may stay silent.
        acquire_time: when the holder took over; opaque text.
        renew_time: when it last renewed; opaque text, compared for equality only (E2).
        transitions: how often the leader changed.
    """

    holder: str
    duration_s: int
    acquire_time: str
    renew_time: str
    transitions: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A record as stored, and the version to swap against."""

    record: Record
    resource_version: str


@dataclass(frozen=True, slots=True)
class Get:
    """Read the Lease."""


@dataclass(frozen=True, slots=True)
class Create:
    """Create the Lease; it must not exist."""

    record: Record


@dataclass(frozen=True, slots=True)
class Update:
    """Replace the Lease if it still has this version."""

    record: Record
    resource_version: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Come back after a time drawn evenly from this range (seconds)."""

    at_least_s: float
    at_most_s: float


@dataclass(frozen=True, slots=True)
class Stop:
    """It is over: leadership was lost, or the Lease was released."""

    reason: str


Request: TypeAlias = Get | Create | Update
Action: TypeAlias = Request | Wait | Stop


class Election:
    """One candidate, from standby to leader to the end of its term.

    Feed what happened, do what comes back: :meth:`wake` at the start and after a :class:`Wait`,
    then :meth:`read`, :meth:`written`, :meth:`conflicted` or :meth:`failed`.

    Args:
        identity: unique to this process, not only to this pod (E12).
        timings: see :class:`Timings`.
    """

    def __init__(self, identity: str, timings: Timings) -> None:
        self.identity = identity
        self.timings = timings
        self.leading = False
        self.slow_paths = 0
        self.lease: Lease | None = None
        self.maybe_held = False
        self._changed_at = 0.0
        self._vain_looks = 0
        self._beat_known = False
        self._renewed_at = 0.0
        self._woke_at = 0.0
        self._sent_at = 0.0
        self._conflicts = 0

    @property
    def holder(self) -> str:
        """Who leads, as far as we saw; empty for nobody."""
        return self.lease.record.holder if self.lease else ""

    def may_write(self, now: float) -> bool:
        """Whether a write that leaves now arrives while nobody else can lead (E9).

        Asked before each write, because after a stall of the event loop a worker may run before
        the elector does. It is not a fence: a request that is already under way is not stopped.
        """
        return self.leading and now - self._renewed_at < (
            self.timings.lease_s - self.timings.margin_s
        )

    def overdue_s(self, now: float) -> float:
        """Seconds since our lease ran out while we still think that we lead (E10); else 0."""
        if not self.leading:
            return 0.0
        return max(0.0, now - self._renewed_at - self.timings.lease_s)

    def budget_s(self, now: float) -> float:
        """Bound of a request that starts now (E5). Zero or less: there is no time left."""
        if not self.leading:
            return self.timings.request_s
        return min(self.timings.request_s, self._deadline() - now)

    def wake(self, now: float, stamp: str) -> Action:
        """A wait is over. A leader renews with the version it wrote last, without reading (E4)."""
        self._woke_at = now
        self._conflicts = 0
        if not self.leading or self.lease is None:
            return Get()
        if now >= self._deadline():
            return self._lose(self._unrenewed)
        return self._claim(self.lease, now, stamp)

    def read(self, lease: Lease | None, now: float, stamp: str) -> Action:
        """The Lease was read; ``None`` means that there is none."""
        if lease is None:
            return self._vanished(now, stamp)
        self._observe(lease, now)
        holder = lease.record.holder
        if holder in {"", self.identity}:
            return self._claim(lease, now, stamp)
        self.maybe_held = False
        if self.leading:
            return self._lose(f"{holder} leads")
        if self._left_s(lease, now) > 0:
            return self._follow(lease, now)
        return self._claim(lease, now, stamp)

    def written(self, lease: Lease, now: float) -> Action:
        """The swap succeeded: we hold the Lease, counted from when the request left."""
        self._observe(lease, now)
        if now - self._sent_at >= self.timings.renew_deadline_s:
            # The answer came after a stall: the others may count us out already.
            if self.leading:
                return self._lose("the renewal was answered too late")
            return Wait(0.0, 0.0)
        self.leading = True
        self._renewed_at = self._sent_at
        return self._next_renewal(now)

    def conflicted(self, now: float) -> Action:
        """The swap failed: somebody wrote in between, or our own lost answer did."""
        self._conflicts += 1
        if self.leading and self._conflicts == 1:
            self.slow_paths += 1
        if self._conflicts <= MOST_CONFLICTS:
            return Get()
        return self.failed(now)

    def failed(self, now: float) -> Action:
        """A request failed, was refused or timed out: a failed attempt (E6)."""
        if not self.leading:
            return self._periods(SEARCH)
        if now >= self._deadline():
            return self._lose(self._unrenewed)
        return self._next_renewal(now)

    def _deadline(self) -> float:
        return self._renewed_at + self.timings.renew_deadline_s

    def _lose(self, reason: str) -> Stop:
        self.leading = False
        return Stop(reason)

    @property
    def _unrenewed(self) -> str:
        return f"no renewal succeeded within {self.timings.renew_deadline_s:g} s"

    def _observe(self, lease: Lease, now: float) -> None:
        """Remember the lease; only a changed *record* is a sign of life, not a new version."""
        if self.lease is not None and lease.record == self.lease.record:
            self._vain_looks += 1
            self._beat_known = True
        else:
            if self.lease is None or lease.record.holder != self.lease.record.holder:
                self._beat_known = False
            self._changed_at = now
            self._vain_looks = 0
        self.lease = lease

    def _left_s(self, lease: Lease, now: float) -> float:
        """Seconds until the holder's term is over, by our clock (E2)."""
        duration = lease.record.duration_s
        return self._changed_at + (duration if duration > 0 else self.timings.lease_s) - now

    def _vanished(self, now: float, stamp: str) -> Action:
        """The Lease is gone; a term that we saw begin is not."""
        lease = self.lease
        if lease is not None and lease.record.holder not in {"", self.identity}:
            if self.leading:
                return self._lose(f"{self.holder} leads")
            if self._left_s(lease, now) > 0:
                return self._follow(lease, now)
        self._sending(now)
        return Create(self._record(stamp))

    def _follow(self, lease: Lease, now: float) -> Wait:
        """Somebody else leads: wait for the next beat, or for the end of the term."""
        if self._vain_looks:
            low, high = (
                exponential(early, self._vain_looks - 1, cap_s=search)
                for early, search in zip(EARLY, SEARCH, strict=True)
            )
            wait = self._periods((low, high))
        else:
            wait = self._periods(FOLLOW if self._beat_known else SEARCH)
        left = self._left_s(lease, now)
        if left <= wait.at_most_s:
            exact = max(left, SHORTEST_WAIT_S)
            return Wait(exact, exact)
        return wait

    def _claim(self, lease: Lease, now: float, stamp: str) -> Update:
        self._sending(now)
        return Update(self._record(stamp), lease.resource_version)

    def _sending(self, now: float) -> None:
        self._sent_at = now
        self.maybe_held = True  # even if no answer arrives

    def _record(self, stamp: str) -> Record:
        """Our record: a new term counts as a transition, a renewal keeps its start (E11)."""
        duration = math.ceil(self.timings.lease_s)
        old = self.lease.record if self.lease else None
        if old is not None and old.holder == self.identity:
            return replace(old, duration_s=duration, renew_time=stamp)
        return Record(
            holder=self.identity,
            duration_s=duration,
            acquire_time=stamp,
            renew_time=stamp,
            transitions=old.transitions + 1 if old else 0,
        )

    def _next_renewal(self, now: float) -> Wait:
        """One period after the attempt began, at the deadline at the latest."""
        at = min(self._woke_at + self.timings.retry_s, self._deadline())
        wait = max(at - now, SHORTEST_WAIT_S)
        return Wait(wait, wait)

    def _periods(self, span: tuple[float, float]) -> Wait:
        return Wait(span[0] * self.timings.retry_s, span[1] * self.timings.retry_s)
