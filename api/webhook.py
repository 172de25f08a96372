# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the API server is told of the webhooks: whom to ask, about what, and what never.

The admission webhook fails closed (FR-076): a reconcile could only say later what the author of a
manifest should read now. So that nothing but such a write waits for the operator, the API server
decides itself what never concerns it: the match conditions leave out objects that are being
deleted, whose finalizers must come off, and updates of nothing but metadata. Status and scale are
other resources than the one that is named here. And there are namespaces that it never asks about,
so that the operator can always be brought back: its own, and that of the cluster.

Whoever is not asked is still judged: by schema, rules in CEL and policy, before, and by the
operator, later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api import ANNOTATIONS, GROUP, PLURAL, VERSIONS

NAME: Final = f"{PLURAL}.{GROUP}"
"""Name of the ValidatingWebhookConfiguration, and of the one webhook in it."""

NAMESPACE: Final = "llama-stack-k8s-operator-system"
"""Where ``deploy`` puts the operator."""

SERVICE: Final = "llama-stack-k8s-operator-webhook-service"
"""The Service before the operator's pods, in its namespace."""

CONVERT: Final = "/convert"
"""Path of the conversion webhook."""

VALIDATE: Final = "/validate"
"""Path of the admission webhook."""

TIMEOUT_S: Final = 10
"""How long the API server waits for an answer."""


def service(path: str) -> dict[str, Any]:
    """A ``clientConfig`` that leads to the deployed operator. Who signed for it, it says itself."""
    return {"service": {"namespace": NAMESPACE, "name": SERVICE, "path": path, "port": 443}}


def url(base: str, path: str) -> dict[str, Any]:
    """A ``clientConfig`` that leads to an operator outside of the cluster.

    Args:
        base: e.g. ``https://127.0.0.1:9443``.
        path: of the webhook.
    """
    return {"url": f"{base.rstrip('/')}{path}"}


def validating_webhook_configuration(client: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The configuration of the admission webhook, as plain JSON data.

    Args:
        client: its ``clientConfig``; the deployed operator if ``None``.
    """
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [
            {
                "name": NAME,
                "admissionReviewVersions": ["v1"],
                "clientConfig": dict(service(VALIDATE) if client is None else client),
                "failurePolicy": "Fail",
                # Each author is answered in the version that he wrote.
                "matchPolicy": "Exact",
                "matchConditions": list(_conditions()),
                "namespaceSelector": {
                    "matchExpressions": [
                        {
                            "key": "kubernetes.io/metadata.name",
                            "operator": "NotIn",
                            "values": ["kube-system", NAMESPACE],
                        }
                    ]
                },
                "rules": [
                    {
                        "apiGroups": [GROUP],
                        "apiVersions": list(VERSIONS),
                        "operations": ["CREATE", "UPDATE"],
                        "resources": [PLURAL],
                        "scope": "Namespaced",
                    }
                ],
                "sideEffects": "None",
                "timeoutSeconds": TIMEOUT_S,
            }
        ],
    }


def _conditions() -> tuple[dict[str, str], ...]:
    names = ", ".join(f"'{name}'" for name in ANNOTATIONS.values())
    values = " != ".join(
        f"(has({obj}.metadata.annotations) && n in {obj}.metadata.annotations"
        f" ? {obj}.metadata.annotations[n] : '')"
        for obj in ("object", "oldObject")
    )
    return (
        {
            "name": "not-being-deleted",
            "expression": "!has(object.metadata.deletionTimestamp)",
        },
        {
            "name": "spec-changed",
            "expression": "oldObject == null || has(object.spec) != has(oldObject.spec)"
            " || (has(object.spec) && object.spec != oldObject.spec)"
            f" || [{names}].exists(n, {values})",
        },
    )
