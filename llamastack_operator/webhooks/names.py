# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the parts of the webhooks are called: in the cluster, in URLs, in metrics."""

from __future__ import annotations

from typing import Final

from controller.llamastack.objects.kinds import LLAMA_STACK

DEFINITION: Final = str(LLAMA_STACK)
"""The CustomResourceDefinition."""

CONFIGURATION: Final = DEFINITION
"""The ValidatingWebhookConfiguration, and the one webhook in it."""

SERVICE: Final = "llama-stack-k8s-operator-webhook-service"
"""In the operator's namespace: what the API server calls."""

SECRET: Final = "llama-stack-k8s-operator-webhook-cert"  # noqa: S105 -- a name
"""In the operator's namespace: the certificate and its authority, if the operator makes them."""

CONVERT: Final = "/convert"
"""Path of the conversion, and its name in metrics."""

VALIDATE: Final = "/validate"
"""Path of the admission, and its name in metrics."""

DEFAULT_PORT: Final = 9443
"""controller-runtime's."""


def service_hosts(namespace: str) -> tuple[str, ...]:
    """Names by which the Service is called; the API server uses the first."""
    name = f"{SERVICE}.{namespace}.svc"
    return (name, f"{name}.cluster.local")
