# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Metrics of informers, which have no counterpart in controller-runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llamastack_operator.observability import buckets

if TYPE_CHECKING:
    from llamastack_operator.observability.metrics import Maker

WATCH_EVENTS: Final = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")


class InformerFamilies:
    """The families.

    Args:
        make: makes them in one registry.
    """

    def __init__(self, make: Maker) -> None:
        prefix, label = "llamastack_operator_informer_", "informer"
        self.lists = make.histogram(
            prefix + "list_seconds",
            "Seconds of a list, paged or streamed, until it is in the store.",
            label,
            bounds=buckets.LIST,
        )
        self.listed = make.counter(
            prefix + "listed_objects_total", "Objects that lists brought.", label
        )
        self.watches = make.counter(prefix + "watches_total", "Watches that were accepted.", label)
        self.short = make.counter(
            prefix + "short_watches_total", "Watches that ended at once, without event.", label
        )
        self.events = make.counter(prefix + "events_total", "Events of watches.", label, "type")
        self.malformed = make.counter(
            prefix + "malformed_total", "Objects and events that were skipped.", label
        )
        self.failures = make.counter(
            prefix + "handler_failures_total", "Handlers and index functions failing.", label
        )


class InformerObserver:
    """See ``informers.metrics.InformerMetrics``.

    Args:
        families: of all informers.
        name: of one.
    """

    def __init__(self, families: InformerFamilies, name: str) -> None:
        self._lists = families.lists.labels(name)
        self._listed = families.listed.labels(name)
        self._events = {kind: families.events.labels(name, kind) for kind in WATCH_EVENTS}
        self._other = families.events.labels(name, "other")
        self.watch_opened = families.watches.labels(name).inc
        self.watch_was_short = families.short.labels(name).inc
        self.malformed = families.malformed.labels(name).inc
        self.handler_failed = families.failures.labels(name).inc

    def listed(self, *, seconds: float, items: int) -> None:
        """A list is in the store."""
        self._lists.observe(seconds)
        self._listed.inc(items)

    def event(self, type: str) -> None:
        """One event; what the server invents next shares one series."""
        self._events.get(type, self._other).inc()
