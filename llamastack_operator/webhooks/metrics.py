# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the webhooks count; ``llamastack_operator.observability.metrics`` implements it."""

from __future__ import annotations

from typing import Protocol


class CertificateMetrics(Protocol):
    """Reads of certificates (``certwatcher_…``)."""

    def certificate_read(self) -> None:
        """One read of a new certificate and its key."""
        ...

    def certificate_failed(self) -> None:
        """One that brought nothing to serve."""
        ...


class WebhookMetrics(Protocol):
    """Requests (``controller_runtime_webhook_…``). ``webhook`` is the path of one of ours."""

    def webhook_began(self, webhook: str) -> None:
        """One request is in work."""
        ...

    def webhook_ended(self, webhook: str, code: int, seconds: float) -> None:
        """It is answered, or its client is gone."""
        ...

    def webhook_panicked(self) -> None:
        """One raised what nobody foresaw."""
        ...
