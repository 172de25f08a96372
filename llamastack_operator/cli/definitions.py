# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the API server must know: what ``install`` applies and ``uninstall`` deletes."""

from __future__ import annotations

from typing import Any

from api import webhook
from api.crd import custom_resource_definition
from api.policy import documents as policy_documents
from api.webhook import validating_webhook_configuration
from llamastack_operator.kube.kinds import BINDING, CRD, POLICY, WEBHOOK

RESOURCES = {resource.kind: resource for resource in (CRD, POLICY, BINDING, WEBHOOK)}
"""By kind."""


def documents(webhook_url: str = "") -> list[dict[str, Any]]:
    """What is applied, in that order.

    Args:
        webhook_url: where an operator outside of the cluster serves webhooks. Without one,
            conversion is asked of the deployed operator, and what else ``deploy/webhook`` does is
            left to it: writes must not wait for an operator that may never come.
    """
    if not webhook_url:
        return [custom_resource_definition(), *policy_documents()]
    return [
        custom_resource_definition(webhook.url(webhook_url, webhook.CONVERT)),
        *policy_documents(),
        validating_webhook_configuration(webhook.url(webhook_url, webhook.VALIDATE)),
    ]


def everything() -> list[dict[str, Any]]:
    """What may have been applied, here or by ``deploy``."""
    return [*documents(), validating_webhook_configuration()]
