# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What informers count, as a port: the program plugs its metrics library in.

Gauges are callables that are read when metrics are scraped: ages grow by themselves, and the
path of an event does not pay for them. No object names in labels: the only label is the
informer's name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Gauges:
    """Values of one informer, to be read at any time.

    Attributes:
        store_size: number of objects in the store.
        store_rv_age_s: seconds since the store's "seen up to" version last moved; infinite
            before the first list.
        last_event_age_s: seconds since the last event; infinite before the first.
    """

    store_size: Callable[[], int]
    store_rv_age_s: Callable[[], float]
    last_event_age_s: Callable[[], float]


class InformerMetrics(Protocol):
    """The counters of one informer."""

    def listed(self, *, seconds: float, items: int) -> None:
        """A list, paged or streamed, was completed and handed to the store."""
        ...

    def watch_opened(self) -> None:
        """The API server accepted a watch."""
        ...

    def watch_was_short(self) -> None:
        """A watch ended in less than a second without any event (A10)."""
        ...

    def event(self, type: str) -> None:
        """One event of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""
        ...

    def malformed(self) -> None:
        """An object or event was skipped: not what the API promises, or a failing transform."""
        ...

    def handler_failed(self) -> None:
        """A handler, index function, predicate or listener raised."""
        ...


class MetricsProvider(Protocol):
    """Makes the counters of informers."""

    def informer(self, name: str, gauges: Gauges) -> InformerMetrics:
        """Called once by each informer.

        Args:
            name: the only label.
            gauges: to be read at each scrape.
        """
        ...


class _NoMetrics:
    def informer(self, name: str, gauges: Gauges) -> InformerMetrics:
        return self

    def listed(self, *, seconds: float, items: int) -> None:
        pass

    def watch_opened(self) -> None:
        pass

    def watch_was_short(self) -> None:
        pass

    def event(self, type: str) -> None:
        pass

    def malformed(self) -> None:
        pass

    def handler_failed(self) -> None:
        pass


NO_METRICS: MetricsProvider = _NoMetrics()
"""Counts nothing."""
