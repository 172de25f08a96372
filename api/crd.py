# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The CustomResourceDefinition, made from the models.

``deploy/crd`` holds the YAML of :func:`custom_resource_definition`; a test compares them.

A default in a schema is written into every stored object and can never be changed again, so
v1alpha2 has none: the code fills them in when it reads. v1alpha1 has the Go operator's, because
that is what its clients see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api import GROUP, KIND, OLD_VERSION, PLURAL, SHORT_NAMES, SINGULAR, VERSION
from api.model import ApiModel
from api.schema import Schema, structural_schema
from api.v1alpha1.stored import StoredLlamaStackDistribution as OldStored
from api.v1alpha2.stored import StoredLlamaStackDistribution
from api.webhook import CONVERT, service

NAME: Final = f"{PLURAL}.{GROUP}"
"""Name of the CRD, fixed by Kubernetes."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of ``kubectl get``.

    Attributes:
        name: its heading.
        type: of the value.
        path: of the value.
        text: what it tells.
        priority: 1 for columns that only ``-o wide`` shows.
    """

    name: str
    type: str
    path: str
    text: str
    priority: int = 0

    def document(self) -> dict[str, Any]:
        """The column as the CRD has it."""
        column = {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.path,
            "description": self.text,
        }
        return column | ({"priority": self.priority} if self.priority else {})


_PHASE: Final = Column("Phase", "string", ".status.phase", "The state in one word.")
_AVAILABLE: Final = Column("Available", "integer", ".status.availableReplicas", "Pods that serve.")
_AGE: Final = Column("Age", "date", ".metadata.creationTimestamp", "Time since creation.")

_COLUMNS: Final = (
    _PHASE,
    Column(
        "Distribution",
        "string",
        ".status.resolvedDistribution.image",
        "The image that runs.",
        priority=1,
    ),
    Column(
        "Config",
        "string",
        ".status.configGeneration.configMapName",
        "The ConfigMap with the generated configuration.",
        priority=1,
    ),
    Column(
        "Providers",
        "integer",
        ".status.configGeneration.providerCount",
        "Number of configured providers.",
    ),
    _AVAILABLE,
    _AGE,
)

_OLD_COLUMNS: Final = (
    # The Go operator's, in its order.
    _PHASE,
    Column(
        "Operator Version",
        "string",
        ".status.version.operatorVersion",
        "Version of the operator that wrote the status.",
    ),
    Column(
        "Server Version",
        "string",
        ".status.version.llamaStackServerVersion",
        "Version that the server reports.",
    ),
    _AVAILABLE,
    _AGE,
)

# The Go operator's four, in both versions: who uses this ConfigMap?
_SELECTABLE: Final = (
    ".spec.overrideConfig.configMapName",
    ".spec.overrideConfig.configMapNamespace",
    ".spec.networking.tls.caBundle.configMapName",
    ".spec.networking.tls.caBundle.configMapNamespace",
)
_OLD_SELECTABLE: Final = (
    ".spec.server.userConfig.configMapName",
    ".spec.server.userConfig.configMapNamespace",
    ".spec.server.tlsConfig.caBundle.configMapName",
    ".spec.server.tlsConfig.caBundle.configMapNamespace",
)

# Not in v1alpha1: a version with it refuses every update of an object whose replicas are negative,
# even one of its finalizers, and the Go operator admits such objects.
_SCALE: Final = {
    "specReplicasPath": ".spec.workload.replicas",
    "statusReplicasPath": ".status.availableReplicas",
    "labelSelectorPath": ".status.selector",
}


def custom_resource_definition(client: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The CRD as plain JSON data, without status.

    Args:
        client: the ``clientConfig`` of the conversion webhook, e.g. a ``url`` and a ``caBundle``;
            the deployed operator if ``None``.
    """
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": SINGULAR,
                "shortNames": list(SHORT_NAMES),
            },
            "versions": [
                _version(
                    VERSION,
                    StoredLlamaStackDistribution,
                    subresources={"status": {}, "scale": dict(_SCALE)},
                    columns=_COLUMNS,
                    selectable=_SELECTABLE,
                ),
                _version(
                    OLD_VERSION,
                    OldStored,
                    subresources={"status": {}},
                    columns=_OLD_COLUMNS,
                    selectable=_OLD_SELECTABLE,
                ),
            ],
            "conversion": {
                "strategy": "Webhook",
                "webhook": {
                    "clientConfig": dict(service(CONVERT) if client is None else client),
                    "conversionReviewVersions": ["v1"],
                },
            },
        },
    }


def _version(
    name: str,
    model: type[ApiModel],
    *,
    subresources: dict[str, Any],
    columns: tuple[Column, ...],
    selectable: tuple[str, ...],
) -> dict[str, Any]:
    return {
        "name": name,
        "served": True,
        "storage": name == VERSION,
        "schema": {"openAPIV3Schema": _root(structural_schema(model))},
        "subresources": subresources,
        "additionalPrinterColumns": [column.document() for column in columns],
        "selectableFields": [{"jsonPath": path} for path in selectable],
    }


def _root(schema: Schema) -> Schema:
    """The API server describes metadata itself and allows no more than its type here."""
    schema["properties"]["metadata"] = {"type": "object"}
    schema["required"] = ["spec"]
    return schema
