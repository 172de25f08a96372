# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the parts of the webhooks are called: in the cluster, in URLs, in metrics."""

from __future__ import annotations

from typing import Final

from api.webhook import CONVERT, NAME, SERVICE, VALIDATE

__all__ = ["CONFIGURATION", "CONVERT", "DEFINITION", "SECRET", "SERVICE", "VALIDATE"]

DEFINITION: Final = NAME
"""The CustomResourceDefinition."""

CONFIGURATION: Final = NAME
"""The ValidatingWebhookConfiguration, and the one webhook in it."""

SECRET: Final = "llama-stack-k8s-operator-webhook-cert"  # noqa: S105 -- a name
"""In the operator's namespace: the certificate and its authority, if the operator makes them."""


def service_hosts(namespace: str) -> tuple[str, ...]:
    """Names by which the Service is called; the API server uses the first."""
    name = f"{SERVICE}.{namespace}.svc"
    return (name, f"{name}.cluster.local")
