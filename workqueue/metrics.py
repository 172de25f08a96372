# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a queue lets its owner measure, as a port: the program plugs its metrics library in.

The names in the docstrings are those of client-go's ``util/workqueue/metrics.go`` and of
controller-runtime, so that existing dashboards work. Counters and histograms are updated as things
happen. Gauges are callables that are read at a scrape. client-go refreshes "unfinished" and
"longest running" every 0.5 s instead; on demand they are always fresh, cost nothing in between, and
need no timer that would wake an idle process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class QueueGauges:
    """Values of one queue, to be read at any time on the thread of its loop.

    Attributes:
        depth: ``workqueue_depth``: keys that are ready and not handed out, by priority. A
            priority that was once seen stays, with 0. A key that waits for a deadline does not
            count; one that was added while it is being processed does.
        unfinished_s: ``workqueue_unfinished_work_seconds``: sum of the seconds that the keys
            handed out so far have been out. Grows without end if a worker is stuck.
        longest_running_s: ``workqueue_longest_running_processor_seconds``: the largest of them.
    """

    depth: Callable[[], Mapping[int, int]]
    unfinished_s: Callable[[], float]
    longest_running_s: Callable[[], float]


class QueueMetrics(Protocol):
    """The observer of one queue. Never blocks, never raises."""

    def bind(self, name: str, gauges: QueueGauges) -> None:
        """Called once, by the constructor of the queue; ``name`` is a label."""
        ...

    def added(self) -> None:
        """``workqueue_adds_total``: a key became ready that was not ready before."""
        ...

    def waited(self, seconds: float) -> None:
        """``workqueue_queue_duration_seconds``: from ready to handed out."""
        ...

    def worked(self, seconds: float) -> None:
        """``workqueue_work_duration_seconds``: from handed out to done."""
        ...

    def retried(self) -> None:
        """``workqueue_retries_total``: a key was added with a delay, for whatever reason."""
        ...


class NoMetrics:
    """Observes nothing."""

    def bind(self, name: str, gauges: QueueGauges) -> None:
        """Nothing."""

    def added(self) -> None:
        """Nothing."""

    def waited(self, seconds: float) -> None:
        """Nothing."""

    def worked(self, seconds: float) -> None:
        """Nothing."""

    def retried(self) -> None:
        """Nothing."""


NO_METRICS: Final = NoMetrics()
"""For whoever does not measure."""
