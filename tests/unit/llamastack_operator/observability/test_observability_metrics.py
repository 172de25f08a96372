# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a scraper sees: upstream's names, from the start, at little cost."""

from __future__ import annotations

from typing import Any

import prometheus_client
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from controller.runtime.metrics import ConsistencyMetrics, ControllerMetrics
from informers.metrics import Gauges, InformerMetrics, MetricsProvider
from llamastack_operator.election.elector import ElectionMetrics
from llamastack_operator.events.recorder import EventMetrics
from llamastack_operator.kube.rest import ClientMetrics
from llamastack_operator.observability.health import Exposition
from llamastack_operator.observability.metrics import Metrics
from llamastack_operator.observability.watchdog import LagMetrics
from llamastack_operator.webhooks.metrics import CertificateMetrics, WebhookMetrics
from workqueue.metrics import QueueGauges, QueueMetrics

QUEUE = {"name": "llsd", "controller": "llsd"}
LLSD = {"controller": "llsd"}


def scrape(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text, _ = metrics.render("")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, /, **labels: str) -> float:
    return scrape(metrics)[name, frozenset(labels.items())]


def everything() -> tuple[Metrics, dict[str, Any]]:
    """One of each observer; the annotations are the check that the protocols are met."""
    metrics = Metrics(version="1.2.3", client_durations=True)
    queue: QueueMetrics = metrics.queue("llsd")
    queue.bind("llsd", QueueGauges(lambda: {0: 2, -100: 7}, lambda: 1.5, lambda: 1.25))
    controller: ControllerMetrics = metrics.controller("llsd")
    tracker: ConsistencyMetrics = metrics.controller("other")
    provider: MetricsProvider = metrics
    informer: InformerMetrics = provider.informer(
        "pods", Gauges(lambda: 3, lambda: float("inf"), lambda: 0.5)
    )
    client: ClientMetrics = metrics.client("10.0.0.1:443")
    leader: ElectionMetrics = metrics.leader("llsd-lock")
    events: EventMetrics = metrics.events()
    loop: LagMetrics = metrics.loop()
    webhooks = metrics.webhooks("/convert", "/validate")
    requests: WebhookMetrics = webhooks
    certificates: CertificateMetrics = webhooks
    exposition: Exposition = metrics
    return metrics, {
        "queue": queue,
        "controller": controller,
        "tracker": tracker,
        "informer": informer,
        "client": client,
        "leader": leader,
        "events": events,
        "loop": loop,
        "requests": requests,
        "certificates": certificates,
        "exposition": exposition,
    }


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("workqueue_adds_total", QUEUE),
        ("workqueue_retries_total", QUEUE),
        ("workqueue_queue_duration_seconds_count", QUEUE),
        ("workqueue_work_duration_seconds_count", QUEUE),
        *(
            ("controller_runtime_reconcile_total", {**LLSD, "result": result})
            for result in ("success", "error", "requeue", "requeue_after")
        ),
        ("controller_runtime_reconcile_errors_total", LLSD),
        ("controller_runtime_terminal_reconcile_errors_total", LLSD),
        ("controller_runtime_reconcile_panics_total", LLSD),
        ("controller_runtime_reconcile_timeouts_total", LLSD),
        ("controller_runtime_reconcile_time_seconds_count", LLSD),
        ("controller_runtime_max_concurrent_reconciles", LLSD),
        ("controller_runtime_active_workers", LLSD),
        ("leader_election_master_status", {"name": "llsd-lock"}),
        ("leader_election_slowpath_total", {"name": "llsd-lock"}),
        ("llamastack_operator_informer_events_total", {"informer": "pods", "type": "DELETED"}),
        ("llamastack_operator_events_total", {"outcome": "dropped"}),
        *(
            ("controller_runtime_webhook_requests_total", {"webhook": path, "code": code})
            for path in ("/convert", "/validate")
            for code in ("200", "500")
        ),
        ("controller_runtime_webhook_latency_seconds_count", {"webhook": "/convert"}),
        ("controller_runtime_webhook_requests_in_flight", {"webhook": "/validate"}),
        ("controller_runtime_webhook_panics_total", {}),
        ("certwatcher_read_certificate_total", {}),
        ("certwatcher_read_certificate_errors_total", {}),
        ("llamastack_operator_event_loop_lag_seconds_count", {}),
    ],
)
def test_series_exist_with_zero_before_anything_happened(name: str, labels: dict[str, str]) -> None:
    metrics, _ = everything()

    assert value(metrics, name, **labels) == 0


def test_queue_gauges_are_read_at_the_scrape() -> None:
    metrics = Metrics(version="1")
    depth = {0: 0}
    metrics.queue("llsd").bind("llsd", QueueGauges(lambda: depth, lambda: 1.5, lambda: 1.25))
    depth.update({0: 2, -100: 7})

    assert value(metrics, "workqueue_depth", **QUEUE, priority="0") == 2
    assert value(metrics, "workqueue_depth", **QUEUE, priority="-100") == 7
    assert value(metrics, "workqueue_unfinished_work_seconds", **QUEUE) == 1.5
    assert value(metrics, "workqueue_longest_running_processor_seconds", **QUEUE) == 1.25


def test_queue_counts_what_happens() -> None:
    metrics, parts = everything()
    parts["queue"].added()
    parts["queue"].retried()
    parts["queue"].waited(0.25)
    parts["queue"].worked(0.5)

    assert value(metrics, "workqueue_adds_total", **QUEUE) == 1
    assert value(metrics, "workqueue_retries_total", **QUEUE) == 1
    assert value(metrics, "workqueue_queue_duration_seconds_sum", **QUEUE) == 0.25
    assert value(metrics, "workqueue_work_duration_seconds_sum", **QUEUE) == 0.5
    assert value(metrics, "workqueue_work_duration_seconds_bucket", **QUEUE, le="1e-08") == 0


def test_controller_counts_what_happens() -> None:
    metrics, parts = everything()
    controller = parts["controller"]
    controller.max_concurrent(8)
    controller.active(3)
    controller.reconciled("requeue_after", 0.3)
    for happened in ("errored", "terminal", "panicked", "timed_out", "postponed"):
        getattr(controller, happened)()
    parts["tracker"].echoed(0.02)
    parts["tracker"].gave_up()

    prefix = "controller_runtime_"
    assert value(metrics, prefix + "max_concurrent_reconciles", **LLSD) == 8
    assert value(metrics, prefix + "active_workers", **LLSD) == 3
    assert value(metrics, prefix + "reconcile_total", **LLSD, result="requeue_after") == 1
    assert value(metrics, prefix + "reconcile_time_seconds_sum", **LLSD) == 0.3
    assert value(metrics, prefix + "reconcile_errors_total", **LLSD) == 1
    assert value(metrics, prefix + "terminal_reconcile_errors_total", **LLSD) == 1
    assert value(metrics, prefix + "reconcile_panics_total", **LLSD) == 1
    assert value(metrics, prefix + "reconcile_timeouts_total", **LLSD) == 1
    own = "llamastack_operator_"
    assert value(metrics, own + "reconcile_postponed_total", **LLSD) == 1
    assert value(metrics, own + "write_echo_seconds_count", controller="other") == 1
    assert value(metrics, own + "write_echo_timeouts_total", controller="other") == 1


def test_informer_counts_what_happens() -> None:
    metrics, parts = everything()
    informer = parts["informer"]
    informer.listed(seconds=0.2, items=40)
    informer.event("ADDED")
    informer.event("INVENTED")
    for happened in ("watch_opened", "watch_was_short", "malformed", "handler_failed"):
        getattr(informer, happened)()

    own, pods = "llamastack_operator_informer_", {"informer": "pods"}
    assert value(metrics, own + "list_seconds_sum", **pods) == 0.2
    assert value(metrics, own + "listed_objects_total", **pods) == 40
    assert value(metrics, own + "events_total", **pods, type="ADDED") == 1
    assert value(metrics, own + "events_total", **pods, type="other") == 1
    assert value(metrics, own + "watches_total", **pods) == 1
    assert value(metrics, own + "short_watches_total", **pods) == 1
    assert value(metrics, own + "malformed_total", **pods) == 1
    assert value(metrics, own + "handler_failures_total", **pods) == 1
    assert value(metrics, own + "objects", **pods) == 3
    assert value(metrics, own + "version_age_seconds", **pods) == float("inf")
    assert value(metrics, own + "last_event_age_seconds", **pods) == 0.5


def test_client_counts_answers_by_code_method_and_host_and_nothing_else() -> None:
    metrics, parts = everything()
    parts["client"].request("GET", "200")
    parts["client"].request("GET", "200")
    parts["client"].request("PATCH", "<error>")

    name, host = "rest_client_requests_total", "10.0.0.1:443"
    assert value(metrics, name, code="200", method="GET", host=host) == 2
    assert value(metrics, name, code="<error>", method="PATCH", host=host) == 1


def test_durations_of_requests_are_measured_only_on_request() -> None:
    opted_in, _ = everything()
    opted_in.client("h").duration("GET", 0.5)
    opted_out = Metrics(version="1")
    opted_out.client("h").duration("GET", 0.5)

    name = "rest_client_request_duration_seconds"
    assert value(opted_in, name + "_sum", verb="GET", host="h") == 0.5
    assert name not in opted_out.render("")[0].decode()


def test_leader_events_and_loop_count_what_happens() -> None:
    metrics, parts = everything()
    parts["leader"].leading(True)
    parts["leader"].slow_path()
    parts["events"].event("filtered")
    parts["loop"].lag(3.0)

    assert value(metrics, "leader_election_master_status", name="llsd-lock") == 1
    assert value(metrics, "leader_election_slowpath_total", name="llsd-lock") == 1
    assert value(metrics, "llamastack_operator_events_total", outcome="filtered") == 1
    assert value(metrics, "llamastack_operator_event_loop_lag_seconds_sum") == 3.0
    parts["leader"].leading(False)
    assert value(metrics, "leader_election_master_status", name="llsd-lock") == 0


def test_webhooks_count_what_happens() -> None:
    metrics, parts = everything()
    path = {"webhook": "/validate"}
    parts["requests"].webhook_began("/validate")
    assert value(metrics, "controller_runtime_webhook_requests_in_flight", **path) == 1

    parts["requests"].webhook_ended("/validate", 413, 0.02)
    parts["requests"].webhook_panicked()
    parts["certificates"].certificate_read()
    parts["certificates"].certificate_failed()

    assert value(metrics, "controller_runtime_webhook_requests_in_flight", **path) == 0
    total = "controller_runtime_webhook_requests_total"
    assert value(metrics, total, code="413", **path) == 1
    seconds = "controller_runtime_webhook_latency_seconds"
    assert value(metrics, f"{seconds}_sum", **path) == 0.02
    assert value(metrics, f"{seconds}_bucket", le="0.025", **path) == 1
    assert value(metrics, "controller_runtime_webhook_panics_total") == 1
    assert value(metrics, "certwatcher_read_certificate_total") == 1
    assert value(metrics, "certwatcher_read_certificate_errors_total") == 1


def test_process_platform_and_collector_metrics_are_there() -> None:
    text = Metrics(version="1.2.3").render("")[0].decode()

    assert "process_resident_memory_bytes" in text
    assert "python_gc_collections_total" in text
    assert "python_info{" in text
    assert "llamastack_operator_build_info{" in text
    assert 'version="1.2.3"' in text
    assert "_created" not in text


def test_text_format_is_valid_and_every_family_has_help() -> None:
    metrics, _ = everything()
    families = list(text_string_to_metric_families(metrics.render("")[0].decode()))

    assert len(families) > 40
    assert all(family.documentation for family in families)


def test_openmetrics_is_given_to_whoever_asks_for_it() -> None:
    metrics, _ = everything()
    text, content_type = metrics.render("application/openmetrics-text;version=1.0.0,text/plain")

    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
    parse: Any = openmetrics.text_string_to_metric_families  # it carries no types
    assert len(list(parse(text.decode()))) > 30


@pytest.mark.parametrize("accept", ["", "*/*", "application/openmetrics-text;version=x", "\0"])
def test_any_other_scraper_gets_plain_text(accept: str) -> None:
    content_type = Metrics(version="1").render(accept)[1]

    assert content_type.startswith("text/plain")


def test_two_processes_in_one_share_nothing() -> None:
    one, two = Metrics(version="1"), Metrics(version="1")
    one.events().event("sent")

    assert value(one, "llamastack_operator_events_total", outcome="sent") == 1
    assert "llamastack_operator_events_total{" not in two.render("")[0].decode()
    default = prometheus_client.generate_latest().decode()
    assert "llamastack_operator" not in default
