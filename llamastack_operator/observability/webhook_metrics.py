# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Metrics of the webhooks and of their certificate, as controller-runtime has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamastack_operator.observability import buckets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llamastack_operator.observability.metrics import Maker


class WebhookFamilies:
    """The families.

    Args:
        make: makes them in one registry.
    """

    def __init__(self, make: Maker) -> None:
        prefix, label = "controller_runtime_webhook_", "webhook"
        self.requests = make.counter(
            prefix + "requests_total", "Requests to webhooks by status.", label, "code"
        )
        self.seconds = make.histogram(
            prefix + "latency_seconds",
            "Seconds of a request to a webhook.",
            label,
            bounds=buckets.WEBHOOK,
        )
        self.in_flight = make.gauge(
            prefix + "requests_in_flight", "Requests that a webhook works on.", label
        )
        self.panics = make.counter(
            prefix + "panics_total", "Requests that raised what nobody foresaw."
        )
        self.reads = make.counter(
            "certwatcher_read_certificate_total", "Reads of the webhooks' certificate."
        )
        self.failed_reads = make.counter(
            "certwatcher_read_certificate_errors_total", "Those that brought nothing to serve."
        )


class WebhookObserver:
    """See both protocols of ``llamastack_operator.webhooks.metrics``.

    Args:
        families: of all webhooks.
        names: of the webhooks.
    """

    def __init__(self, families: WebhookFamilies, names: Iterable[str]) -> None:
        self._families = families
        self._seconds = {name: families.seconds.labels(name) for name in names}
        self._in_flight = {name: families.in_flight.labels(name) for name in self._seconds}
        for name in self._seconds:
            for code in ("200", "500"):
                families.requests.labels(name, code)
        self.webhook_panicked = families.panics.inc
        self.certificate_read = families.reads.inc
        self.certificate_failed = families.failed_reads.inc

    def webhook_began(self, webhook: str) -> None:
        """One request is in work."""
        self._in_flight[webhook].inc()

    def webhook_ended(self, webhook: str, code: int, seconds: float) -> None:
        """It is answered, or its client is gone."""
        self._in_flight[webhook].dec()
        self._seconds[webhook].observe(seconds)
        self._families.requests.labels(webhook, str(code)).inc()
