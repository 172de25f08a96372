# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The CustomResourceDefinition, made from the models.

``deploy/crd`` holds the YAML of :func:`custom_resource_definition`; a test compares them. Versions
are a list so that v1alpha1 finds its place beside v1alpha2 without anything else changing here.

No defaults are emitted: a default in a schema is written into every stored object and can never be
changed again. The code fills them in when it reads.
"""

from __future__ import annotations

from typing import Any, Final

from api import GROUP, KIND, PLURAL, SHORT_NAMES, SINGULAR, VERSION
from api.schema import Schema, structural_schema
from api.v1alpha2.stored import StoredLlamaStackDistribution

NAME: Final = f"{PLURAL}.{GROUP}"
"""Name of the CRD, fixed by Kubernetes."""

_COLUMNS: Final = (
    ("Phase", "string", ".status.phase", "The state in one word.", 0),
    (
        "Distribution",
        "string",
        ".status.resolvedDistribution.image",
        "The image that runs.",
        1,
    ),
    (
        "Config",
        "string",
        ".status.configGeneration.configMapName",
        "The ConfigMap with the generated configuration.",
        1,
    ),
    (
        "Providers",
        "integer",
        ".status.configGeneration.providerCount",
        "Number of configured providers.",
        0,
    ),
    ("Available", "integer", ".status.availableReplicas", "Pods that serve.", 0),
    ("Age", "date", ".metadata.creationTimestamp", "Time since creation.", 0),
)

_SELECTABLE: Final = (
    # The Go operator's four, at their v1alpha2 paths: who uses this ConfigMap?
    ".spec.overrideConfig.configMapName",
    ".spec.overrideConfig.configMapNamespace",
    ".spec.networking.tls.caBundle.configMapName",
    ".spec.networking.tls.caBundle.configMapNamespace",
)


def custom_resource_definition() -> dict[str, Any]:
    """The CRD as plain JSON data, without status."""
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
            "versions": [_v1alpha2()],
        },
    }


def _v1alpha2() -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root(structural_schema(StoredLlamaStackDistribution))},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.workload.replicas",
                "statusReplicasPath": ".status.availableReplicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path, "description": text}
            | ({"priority": priority} if priority else {})
            for name, kind, path, text, priority in _COLUMNS
        ],
        "selectableFields": [{"jsonPath": path} for path in _SELECTABLE],
    }


def _root(schema: Schema) -> Schema:
    """The API server describes metadata itself and allows no more than its type here."""
    schema["properties"]["metadata"] = {"type": "object"}
    schema["required"] = ["spec"]
    return schema
