# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which Event an occurrence belongs to, and whether it may be sent; without I/O.

The three rules of client-go's ``tools/record/events_cache.go``, in its order:

* Similar ones are combined (F2): more than 10 different notes within 10 minutes for one (object,
  type, reason), and further notes share one Event "(combined from similar events)". Without it a
  note with a counter in it fills etcd.
* Equal ones are counted (F1): the same (object, type, reason, note) is one :class:`Series`.
* Spam is filtered (F3): for each object a burst of 25, then one in 5 minutes. Filtered occurrences
  still count, so the next one that passes tells the truth.

Everything is remembered for the 4096 keys used last. The source of all occurrences is this one
process, so it is in no key. The note of a stored Event cannot change (``events.k8s.io/v1`` makes
all but the series immutable): a combined Event keeps the note that opened it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeVar

from controller.runtime.lru import LruCache

MOST_SIMILAR: Final = 10  # different notes in the window before they are combined
SIMILAR_WINDOW_S: Final = 600.0
BURST: Final = 25  # of one object
REFILL_S: Final = 300.0  # until the object may send one more
REMEMBERED: Final = 4096  # keys of each kind
COMBINED: Final = "(combined from similar events): "

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Regarding:
    """The identity of the object that something happened to."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something happened. All texts are within the limits of the API already."""

    regarding: Regarding
    type: str
    reason: str
    action: str
    note: str


@dataclass(slots=True, eq=False)
class Series:
    """One Event, stored or yet to be; itself only, whatever it says.

    Attributes:
        occurrence: what it says.
        first_seen: time of the first occurrence that it counts, as text.
        last_seen: time of the last one.
        count: occurrences so far.
        stored: how many of them the server knows of.
        name: of the stored Event; empty while there is none.
    """

    occurrence: Occurrence
    first_seen: str
    last_seen: str
    count: int = 0
    stored: int = 0
    name: str = ""

    def seen(self, stamp: str) -> None:
        """One more occurrence."""
        self.count += 1
        self.last_seen = stamp

    def was_stored(self, name: str, count: int) -> None:
        """The server has it now, with this count."""
        self.name = name
        self.stored = count

    def vanished(self) -> None:
        """The server has it no more (Events live for an hour): the rest is a new Event."""
        self.count = max(1, self.count - self.stored)
        self.stored = 0
        self.name = ""
        self.first_seen = self.last_seen


class Correlator:
    """The memory of one recorder.

    Args:
        capacity: how many keys of each kind are remembered.
    """

    def __init__(self, capacity: int = REMEMBERED) -> None:
        self._series: LruCache[tuple[Regarding, str, str, str], Series] = LruCache(capacity)
        self._similar: LruCache[tuple[Regarding, str, str], dict[str, float]] = LruCache(capacity)
        self._tokens: LruCache[Regarding, tuple[float, float]] = LruCache(capacity)

    def observe(self, occurrence: Occurrence, now: float, stamp: str) -> Series | None:
        """Count an occurrence.

        Args:
            occurrence: what happened.
            now: monotonic seconds.
            stamp: the wall clock as text; passed through.

        Returns:
            The series to send, or ``None`` if the object has used up what it may send.
        """
        individual = self._is_individual(occurrence, now)
        note = occurrence.note if individual else COMBINED
        key = (occurrence.regarding, occurrence.type, occurrence.reason, note)
        series = self._series.get(key)
        if series is None:
            if not individual:
                occurrence = replace(occurrence, note=COMBINED + occurrence.note)
            series = Series(occurrence, stamp, stamp)
            self._series.put(key, series)
        series.seen(stamp)
        return series if self._may_send(occurrence.regarding, now) else None

    def _is_individual(self, occurrence: Occurrence, now: float) -> bool:
        key = (occurrence.regarding, occurrence.type, occurrence.reason)
        notes = self._similar.get(key) or {}
        notes = {note: at for note, at in notes.items() if now - at < SIMILAR_WINDOW_S}
        individual = occurrence.note in notes or len(notes) < MOST_SIMILAR
        if individual:
            notes[occurrence.note] = now
        self._similar.put(key, notes)
        return individual

    def _may_send(self, regarding: Regarding, now: float) -> bool:
        tokens, at = self._tokens.get(regarding) or (float(BURST), now)
        tokens = min(float(BURST), tokens + (now - at) / REFILL_S)
        allowed = tokens >= 1.0
        self._tokens.put(regarding, (tokens - 1.0 if allowed else tokens, now))
        return allowed
