# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whom the API server trusts when it calls us: ``caBundle`` in objects that name us. Pure.

Only client configurations that lead to us are touched; where somebody else was asked to keep the
bundle, it is theirs. A change is a JSON patch that holds only for what it was made from.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from informers.ports import Object

INJECTED: Final = (
    "cert-manager.io/inject-ca-from",
    "cert-manager.io/inject-ca-from-secret",
    "cert-manager.io/inject-apiserver-ca",
    "service.beta.openshift.io/inject-cabundle",
)
"""Annotations of which one says that the bundle is the business of cert-manager or OpenShift."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where we are called.

    Attributes:
        namespace: of the Service; empty for none.
        service: its name.
        hosts: of URLs.
    """

    namespace: str
    service: str
    hosts: frozenset[str]

    def is_called_by(self, config: Mapping[str, Any]) -> bool:
        """Whether a client configuration leads to us."""
        service = config.get("service")
        if isinstance(service, Mapping):
            named = service.get("namespace"), service.get("name")
            return bool(self.namespace) and named == (self.namespace, self.service)
        url = config.get("url")
        return isinstance(url, str) and urlsplit(url).hostname in self.hosts


def is_injected(obj: Object) -> bool:
    """Whether somebody else was asked to keep the object's bundles."""
    annotations = obj["metadata"].get("annotations") or {}
    return any(name in annotations for name in INJECTED)


def is_called(obj: Object, address: Address) -> bool:
    """Whether a webhook of the object leads to us."""
    return any(address.is_called_by(config) for _, config in _client_configs(obj))


def trusts(obj: Object, address: Address, authority: bytes) -> bool:
    """Whether everybody who calls us according to the object knows an authority.

    Args:
        obj: names webhooks.
        address: ours.
        authority: PEM.
    """
    return all(
        authority in _bundle_of(config)
        for _, config in _client_configs(obj)
        if address.is_called_by(config)
    )


def corrections(obj: Object, address: Address, bundle: bytes) -> list[dict[str, Any]]:
    """The JSON patch that makes the bundles right; empty if they are.

    Args:
        obj: a CustomResourceDefinition or a ValidatingWebhookConfiguration.
        address: ours.
        bundle: PEM.
    """
    if is_injected(obj):
        return []
    wanted = base64.b64encode(bundle).decode("ascii")
    operations: list[dict[str, Any]] = []
    for path, config in _client_configs(obj):
        if address.is_called_by(config) and config.get("caBundle") != wanted:
            operations += (
                {"op": "test", "path": path, "value": config},
                {"op": "add", "path": f"{path}/caBundle", "value": wanted},
            )
    return operations


def keep_client_configs(obj: dict[str, Any]) -> Object:
    """Of an object only what is looked at here; the schemas of a definition are a megabyte."""
    kept: dict[str, Any] = {
        part: obj[part] for part in ("apiVersion", "kind", "metadata") if part in obj
    }
    kept["metadata"] = {n: v for n, v in kept["metadata"].items() if n != "managedFields"}
    if "webhooks" in obj:
        kept["webhooks"] = [
            {"clientConfig": hook.get("clientConfig") or {}} for hook in obj["webhooks"] or ()
        ]
    conversion = (obj.get("spec") or {}).get("conversion")
    if conversion:
        kept["spec"] = {"conversion": conversion}
    return kept


def _client_configs(obj: Object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """With their paths."""
    for number, hook in enumerate(obj.get("webhooks") or ()):
        yield f"/webhooks/{number}/clientConfig", hook.get("clientConfig") or {}
    conversion = (obj.get("spec") or {}).get("conversion") or {}
    config = (conversion.get("webhook") or {}).get("clientConfig")
    if config:
        yield "/spec/conversion/webhook/clientConfig", config


def _bundle_of(config: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(config.get("caBundle") or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        return b""
