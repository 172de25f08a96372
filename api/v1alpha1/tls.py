# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Encryption of the server's own port, and the certificates that it trusts."""

from __future__ import annotations

from pydantic import ConfigDict

from api.model import ApiModel, Bool, ObjectName, rule, rules
from api.v1alpha1.fields import LabelOrEmpty, ObjectNameOrEmpty
from api.v1alpha2 import messages, networking


class CaBundle(networking.CaBundle):
    """Certificates that the server trusts in addition to the public ones."""

    config_map_name: ObjectNameOrEmpty
    """Name of the ConfigMap with PEM certificates; empty is as if caBundle were absent."""

    config_map_namespace: LabelOrEmpty | None = None
    """Namespace of the ConfigMap; that of the resource if absent or empty. Another namespace works
    only if the operator runs with --allow-cross-namespace-config."""


class TlsConfig(ApiModel):
    """Certificates that the server trusts."""

    ca_bundle: CaBundle | None = None
    """Certificates that the server trusts when it calls others."""


class ServerTls(ApiModel):
    """Encryption of the server's own port."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.enabled) || !self.enabled || has(self.secretName)",
                f"spec.server.tls.secretName: {messages.TLS_CERTIFICATE}",
                field_path=".secretName",
                reason="FieldValueRequired",
            )
        )
    )

    enabled: Bool = False
    """Whether the server speaks HTTPS; false if absent."""

    secret_name: ObjectName | None = None
    """Name of a Secret of type kubernetes.io/tls with the certificate of the server."""
