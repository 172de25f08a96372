# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""All metrics of the process, and the only module that imports prometheus_client.

The parts of the program know small observer protocols, each beside the part that calls it; the
observers here implement them. Names, labels and buckets are those of client-go and
controller-runtime wherever there is one, so that existing dashboards and alerts work; what has no
counterpart there begins with ``llamastack_operator_``.

Cost: an observer binds its label values once, so the hot path is an addition and never a look-up.
Gauges that somebody can compute are pulled at a scrape (:class:`_Pulled`) and cost nothing in
between. Every series whose labels are known exists from the start with 0: an alert on
``increase()`` sees the first failure. Labels never hold names of objects.

The registry is not the library's global one: two operators in one test process do not meet.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Final, cast, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder

from controller.runtime.metrics import ReconcileResult
from llamastack_operator.events.recorder import Outcome
from llamastack_operator.observability import buckets
from llamastack_operator.observability.informer_metrics import InformerFamilies, InformerObserver
from llamastack_operator.observability.webhook_metrics import WebhookFamilies, WebhookObserver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.core import Metric

    from informers.metrics import Gauges
    from workqueue.metrics import QueueGauges

OWN: Final = "llamastack_operator_"


class Metrics:
    """The registry, and a maker of observers.

    Args:
        version: of the operator, for the build info.
        client_durations: also measure how long requests to the API take; opt-in as upstream,
            for what a histogram a verb costs.
    """

    def __init__(self, *, version: str, client_durations: bool = False) -> None:
        # The library's own switch, and untyped: "_created" doubles the series, nobody reads it.
        cast("Callable[[], None]", disable_created_metrics)()
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._pulled = _Pulled()
        self._registry.register(self._pulled)
        make = Maker(self._registry)
        self._queue = _QueueFamilies(make)
        self._controller = _ControllerFamilies(make)
        self._informer = InformerFamilies(make)
        self._webhooks = WebhookFamilies(make)
        self._requests = make.counter(
            "rest_client_requests_total", "Requests to the API.", "code", "method", "host"
        )
        self._durations = (
            make.histogram(
                "rest_client_request_duration_seconds",
                "Seconds from a request to the API to its answer.",
                *("verb", "host"),
                bounds=buckets.REQUEST,
            )
            if client_durations
            else None
        )
        self._leading = make.gauge(
            "leader_election_master_status", "1 if this process leads, else 0.", "name"
        )
        self._slow_paths = make.counter(
            "leader_election_slowpath_total", "Renewals that had to read the lease first.", "name"
        )
        self._events = make.counter(
            OWN + "events_total", "Events reported, by what became of them.", "outcome"
        )
        self._lag = make.histogram(
            OWN + "event_loop_lag_seconds",
            "How much later than asked for the event loop woke the watchdog.",
            bounds=buckets.LAG,
        )
        build = make.gauge(OWN + "build_info", "Which build runs.", "version", "python")
        build.labels(version, platform.python_version()).set(1)

    def render(self, accept: str) -> tuple[bytes, str]:
        """All metrics as text.

        Args:
            accept: the scraper's Accept header; OpenMetrics is given to whoever asks for it.

        Returns:
            The text and its content type.
        """
        try:
            encode, content_type = choose_encoder(accept)
        except (ValueError, TypeError):  # a version that is none
            encode, content_type = choose_encoder("")
        return encode(self._registry), content_type

    def queue(self, controller: str) -> QueueObserver:
        """For one work queue: ``workqueue.metrics.QueueMetrics``."""
        return QueueObserver(self._queue, self._pulled, controller)

    def controller(self, name: str) -> ControllerObserver:
        """For one controller and its tracker: both protocols of ``controller.runtime.metrics``."""
        return ControllerObserver(self._controller, name)

    def informer(self, name: str, gauges: Gauges) -> InformerObserver:
        """For one informer: this class is the ``informers.metrics.MetricsProvider``."""
        self._pulled.informers[name] = gauges
        return InformerObserver(self._informer, name)

    def client(self, host: str) -> ClientObserver:
        """For one API server: ``llamastack_operator.kube.rest.ClientMetrics``."""
        return ClientObserver(self._requests, self._durations, host)

    def leader(self, name: str) -> LeaderObserver:
        """For one lease: ``llamastack_operator.election.elector.ElectionMetrics``."""
        return LeaderObserver(self._leading.labels(name), self._slow_paths.labels(name))

    def events(self) -> EventObserver:
        """For the recorder: ``llamastack_operator.events.recorder.EventMetrics``."""
        return EventObserver(self._events)

    def webhooks(self, *names: str) -> WebhookObserver:
        """For the webhooks: both protocols of ``llamastack_operator.webhooks.metrics``.

        Args:
            names: of all that are served.
        """
        return WebhookObserver(self._webhooks, names)

    def loop(self) -> LoopObserver:
        """For the watchdog: ``llamastack_operator.observability.watchdog.LagMetrics``."""
        return LoopObserver(self._lag)


class Maker:
    """Makes families in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """A counter."""
        return Counter(name, text, labels, registry=self._registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """A gauge."""
        return Gauge(name, text, labels, registry=self._registry)

    def histogram(self, name: str, text: str, *labels: str, bounds: tuple[float, ...]) -> Histogram:
        """A histogram with upper bounds of buckets, in seconds."""
        return Histogram(name, text, labels, buckets=bounds, registry=self._registry)


class _Pulled:
    """Gauges that are computed when somebody scrapes."""

    def __init__(self) -> None:
        self.queues: dict[tuple[str, str], QueueGauges] = {}
        self.informers: dict[str, Gauges] = {}

    def describe(self) -> Iterable[Metric]:
        """The families without their values, to guard against equal names."""
        yield from self._families().values()

    def collect(self) -> Iterable[Metric]:
        """The values of now."""
        families = self._families()
        for labels, queue in self.queues.items():
            for priority, depth in queue.depth().items():
                families["depth"].add_metric([*labels, str(priority)], depth)
            families["unfinished"].add_metric(labels, queue.unfinished_s())
            families["longest"].add_metric(labels, queue.longest_running_s())
        for name, informer in self.informers.items():
            families["objects"].add_metric([name], informer.store_size())
            families["version_age"].add_metric([name], informer.store_rv_age_s())
            families["event_age"].add_metric([name], informer.last_event_age_s())
        yield from families.values()

    @staticmethod
    def _families() -> dict[str, GaugeMetricFamily]:
        def family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(name, text, labels=labels)

        queue, informer = "workqueue_", OWN + "informer_"
        of_queue = ("name", "controller")
        return {
            "depth": family(
                queue + "depth", "Keys that are ready, not handed out.", *of_queue, "priority"
            ),
            "unfinished": family(
                queue + "unfinished_work_seconds", "Seconds of all keys in work.", *of_queue
            ),
            "longest": family(
                queue + "longest_running_processor_seconds", "Seconds of the oldest.", *of_queue
            ),
            "objects": family(informer + "objects", "Objects in the store.", "informer"),
            "version_age": family(
                informer + "version_age_seconds", "Seconds since its version moved.", "informer"
            ),
            "event_age": family(
                informer + "last_event_age_seconds", "Seconds since the last event.", "informer"
            ),
        }


class _QueueFamilies:
    def __init__(self, make: Maker) -> None:
        prefix, labels = "workqueue_", ("name", "controller")
        self.adds = make.counter(prefix + "adds_total", "Keys that became ready.", *labels)
        self.retries = make.counter(
            prefix + "retries_total", "Keys that were added with a delay.", *labels
        )
        self.waited = make.histogram(
            prefix + "queue_duration_seconds",
            "Seconds from ready to handed out.",
            *labels,
            bounds=buckets.QUEUE,
        )
        self.worked = make.histogram(
            prefix + "work_duration_seconds",
            "Seconds from handed out to done.",
            *labels,
            bounds=buckets.QUEUE,
        )


class QueueObserver:
    """See ``workqueue.metrics.QueueMetrics``."""

    def __init__(self, families: _QueueFamilies, pulled: _Pulled, controller: str) -> None:
        self._families = families
        self._pulled = pulled
        self._controller = controller

    def bind(self, name: str, gauges: QueueGauges) -> None:
        """The queue says who it is; nothing else is called before."""
        labels = (name, self._controller)
        self._pulled.queues[labels] = gauges
        self.added = self._families.adds.labels(*labels).inc
        self.retried = self._families.retries.labels(*labels).inc
        self.waited = self._families.waited.labels(*labels).observe
        self.worked = self._families.worked.labels(*labels).observe


class _ControllerFamilies:
    def __init__(self, make: Maker) -> None:
        prefix, label = "controller_runtime_", "controller"
        reconcile = prefix + "reconcile_"
        self.total = make.counter(reconcile + "total", "Reconciles by result.", label, "result")
        self.errors = make.counter(reconcile + "errors_total", "Reconciles that failed.", label)
        self.terminal = make.counter(
            prefix + "terminal_reconcile_errors_total", "Failures that no retry can help.", label
        )
        self.panics = make.counter(
            reconcile + "panics_total", "Reconciles that raised what nobody foresaw.", label
        )
        self.timeouts = make.counter(
            reconcile + "timeouts_total", "Reconciles that took longer than they may.", label
        )
        self.seconds = make.histogram(
            reconcile + "time_seconds", "Seconds of a reconcile.", label, bounds=buckets.RECONCILE
        )
        self.most = make.gauge(prefix + "max_concurrent_reconciles", "Workers.", label)
        self.active = make.gauge(
            prefix + "active_workers", "Workers that are in a reconcile.", label
        )
        self.postponed = make.counter(
            OWN + "reconcile_postponed_total",
            "Reconciles put off until the cache shows our own writes.",
            label,
        )
        self.echo = make.histogram(
            OWN + "write_echo_seconds",
            "Seconds from the answer to a write until a watch showed it.",
            label,
            bounds=buckets.LAG,
        )
        self.lost_echoes = make.counter(
            OWN + "write_echo_timeouts_total", "Writes that no watch showed in time.", label
        )


class ControllerObserver:
    """See ``ControllerMetrics`` and ``ConsistencyMetrics`` in ``controller.runtime.metrics``."""

    def __init__(self, families: _ControllerFamilies, name: str) -> None:
        self._results = {
            result: families.total.labels(name, result) for result in get_args(ReconcileResult)
        }
        self._seconds = families.seconds.labels(name)
        self.max_concurrent = families.most.labels(name).set
        self.active = families.active.labels(name).set
        self.errored = families.errors.labels(name).inc
        self.terminal = families.terminal.labels(name).inc
        self.panicked = families.panics.labels(name).inc
        self.timed_out = families.timeouts.labels(name).inc
        self.postponed = families.postponed.labels(name).inc
        self.echoed = families.echo.labels(name).observe
        self.gave_up = families.lost_echoes.labels(name).inc

    def reconciled(self, result: ReconcileResult, seconds: float) -> None:
        """One reconcile ended."""
        self._results[result].inc()
        self._seconds.observe(seconds)


class ClientObserver:
    """See ``llamastack_operator.kube.rest.ClientMetrics``."""

    def __init__(self, requests: Counter, durations: Histogram | None, host: str) -> None:
        self._requests = requests
        self._durations = durations
        self._host = host
        self._known: dict[tuple[str, str], Counter] = {}

    def request(self, method: str, code: str) -> None:
        """One answer, or ``<error>``."""
        child = self._known.get((method, code))
        if child is None:
            child = self._requests.labels(code, method, self._host)
            self._known[method, code] = child
        child.inc()

    def duration(self, method: str, seconds: float) -> None:
        """How long one took; nothing unless opted in."""
        if self._durations is not None:
            self._durations.labels(method, self._host).observe(seconds)


class LeaderObserver:
    """See ``llamastack_operator.election.elector.ElectionMetrics``."""

    def __init__(self, status: Gauge, slow_paths: Counter) -> None:
        self._status = status
        self.slow_path = slow_paths.inc

    def leading(self, value: bool) -> None:
        """We lead, or not."""
        self._status.set(1 if value else 0)


class EventObserver:
    """See ``llamastack_operator.events.recorder.EventMetrics``."""

    def __init__(self, events: Counter) -> None:
        self._outcomes = {outcome: events.labels(outcome) for outcome in get_args(Outcome)}

    def event(self, outcome: Outcome) -> None:
        """What became of one."""
        self._outcomes[outcome].inc()


class LoopObserver:
    """See ``llamastack_operator.observability.watchdog.LagMetrics``."""

    def __init__(self, lag: Histogram) -> None:
        self.lag = lag.observe
