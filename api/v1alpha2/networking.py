# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How the server is reached, and by whom."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from api.model import (
    ApiModel,
    Bool,
    LabelKey,
    Matching,
    NamespaceName,
    NonEmpty,
    ObjectName,
    Polymorphic,
    Port,
    UniqueItems,
    rule,
    rules,
)
from api.v1alpha2 import messages, normalize

CaKey: TypeAlias = Annotated[
    str,
    Field(max_length=253),
    Matching(r"^[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?$", "a key such as ca-bundle.crt"),
]
"""A key of a ConfigMap that is safe as a file name."""


DEFAULT_CA_KEYS: Final = ("ca-bundle.crt",)
"""Where certificates are looked for in a ConfigMap when no key is named."""


ALLOWED_NAMESPACE: Final = r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$"
"""The name of a namespace, or all of them."""


class CaBundle(ApiModel):
    """Certificates that the server trusts in addition to the public ones."""

    config_map_name: ObjectName
    """Name of the ConfigMap with PEM certificates."""

    config_map_namespace: NamespaceName | None = None
    """Namespace of the ConfigMap; that of the resource if absent. Another namespace works only if
    the operator runs with --allow-cross-namespace-config."""

    config_map_keys: Annotated[
        tuple[CaKey, ...],
        Field(max_length=50),
        AfterValidator(lambda keys: keys or DEFAULT_CA_KEYS),
    ] = DEFAULT_CA_KEYS
    """Keys of the ConfigMap; ca-bundle.crt if absent."""


class Tls(ApiModel):
    """Encryption of the server's own port, and the certificates that it trusts."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.enabled) || !self.enabled || has(self.secretName)",
                f"spec.networking.tls.secretName: {messages.TLS_CERTIFICATE}",
                field_path=".secretName",
                reason="FieldValueRequired",
            )
        )
    )

    enabled: Bool = False
    """Whether the server speaks HTTPS; false if absent."""

    secret_name: ObjectName | None = None
    """Name of a Secret of type kubernetes.io/tls with the certificate of the server."""

    ca_bundle: CaBundle | None = None
    """Certificates that the server trusts when it calls others."""


class Expose(ApiModel):
    """Access from outside the cluster, by an Ingress or a Route."""

    enabled: Bool = True
    """Whether the server is exposed; true if absent, so an empty object means yes."""

    hostname: NonEmpty | None = None
    """Host name; the ingress controller decides if absent."""

    ingress_class_name: NonEmpty | None = None
    """Class of the Ingress; the cluster's default if absent."""

    annotations: dict[LabelKey, str] = Field(default_factory=dict)
    """Annotations of the Ingress or Route."""

    tls_secret_name: ObjectName | None = None
    """Secret with the certificate that the Ingress shows to clients."""


class AllowedFrom(ApiModel):
    """Who may connect, when the operator manages network policies."""

    namespaces: Annotated[
        tuple[
            Annotated[
                str,
                Field(max_length=63),
                Matching(ALLOWED_NAMESPACE, "the name of a namespace, or *"),
            ],
            ...,
        ],
        Field(max_length=256),
        UniqueItems(),
    ] = ()
    """Names of namespaces; * is all of them."""

    labels: Annotated[tuple[LabelKey, ...], Field(max_length=64), UniqueItems()] = ()
    """Label keys: a namespace that has any of them may connect."""


class Networking(ApiModel):
    """How the server is reached, and by whom."""

    port: Port = 8321
    """Port of the server and of its Service; 8321 if absent."""

    tls: Tls | None = None
    """Encryption and trusted certificates."""

    expose: (
        Annotated[Expose, BeforeValidator(normalize.switch), Polymorphic("A boolean or an object")]
        | None
    ) = None
    """Access from outside the cluster."""

    allowed_from: AllowedFrom | None = None
    """Who may connect, when the operator manages network policies."""
