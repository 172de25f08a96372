# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a controller lets its owner measure, as ports: the program plugs its library in.

The names in the docstrings are those of controller-runtime (``pkg/internal/controller/metrics``),
so that existing dashboards work. One observer belongs to one controller, whose name is a label;
whoever implements it sets all series to 0 at the start, so that the first failure is a step and
not the birth of a series. No object names in labels.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol, TypeAlias

ReconcileResult: TypeAlias = Literal["success", "error", "requeue", "requeue_after"]
"""The values of the label ``result``."""


class ControllerMetrics(Protocol):
    """The observer of one controller. Never blocks, never raises."""

    def max_concurrent(self, workers: int) -> None:
        """``controller_runtime_max_concurrent_reconciles``: set once, at the start."""
        ...

    def active(self, workers: int) -> None:
        """``controller_runtime_active_workers``: how many are in a reconcile now."""
        ...

    def reconciled(self, result: ReconcileResult, seconds: float) -> None:
        """``controller_runtime_reconcile_total`` and ``…_reconcile_time_seconds``."""
        ...

    def errored(self) -> None:
        """``controller_runtime_reconcile_errors_total``: of any kind, the following included."""
        ...

    def terminal(self) -> None:
        """``controller_runtime_terminal_reconcile_errors_total``: not retried."""
        ...

    def panicked(self) -> None:
        """``controller_runtime_reconcile_panics_total``: an exception nobody foresaw."""
        ...

    def timed_out(self) -> None:
        """``controller_runtime_reconcile_timeouts_total``: longer than a reconcile may take."""
        ...

    def postponed(self) -> None:
        """Not upstream's: a reconcile was put off until the cache shows our own writes (B13)."""
        ...


class ConsistencyMetrics(Protocol):
    """The observer of a consistency tracker; not upstream's. Never blocks, never raises."""

    def echoed(self, seconds: float) -> None:
        """A watch showed one of our writes that long after its answer; 0 if it was faster."""
        ...

    def gave_up(self) -> None:
        """A write did not show in time, and its owner is reconciled nevertheless."""
        ...


class NoMetrics:
    """Observes nothing, for controllers and trackers."""

    def max_concurrent(self, workers: int) -> None:
        """Nothing."""

    def active(self, workers: int) -> None:
        """Nothing."""

    def reconciled(self, result: ReconcileResult, seconds: float) -> None:
        """Nothing."""

    def errored(self) -> None:
        """Nothing."""

    def terminal(self) -> None:
        """Nothing."""

    def panicked(self) -> None:
        """Nothing."""

    def timed_out(self) -> None:
        """Nothing."""

    def postponed(self) -> None:
        """Nothing."""

    def echoed(self, seconds: float) -> None:
        """Nothing."""

    def gave_up(self) -> None:
        """Nothing."""


NO_METRICS: Final = NoMetrics()
"""For whoever does not measure."""
