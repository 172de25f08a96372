# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What an OpenShift cluster has and ours lacks, as far as the operator looks at it.

Routes are a CustomResourceDefinition here and an aggregated API there; fields and defaults are
those of github.com/openshift/api ``route/v1/types.go``, as far as the operator or a test uses them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from hack.cluster.plane import ControlPlane
from tests.support.world import DEPLOY, eventually

TEXT = {"type": "string"}
_HOST_AND_CONDITIONS = {
    "type": "object",
    "properties": {
        "host": TEXT,
        "routerName": TEXT,
        "conditions": {
            "type": "array",
            "items": {"type": "object", "properties": {"type": TEXT, "status": TEXT}},
        },
    },
}
_BACKEND = {
    "type": "object",
    "properties": {
        "kind": {**TEXT, "default": "Service"},
        "name": TEXT,
        "weight": {"type": "integer", "default": 100},
    },
}
_TLS = {
    "type": "object",
    "required": ["termination"],
    "properties": {
        "termination": {**TEXT, "enum": ["edge", "reencrypt", "passthrough"]},
        "certificate": TEXT,
        "key": TEXT,
        "caCertificate": TEXT,
        "destinationCACertificate": TEXT,
        "insecureEdgeTerminationPolicy": TEXT,
        "externalCertificate": {"type": "object", "properties": {"name": TEXT}},
    },
}
_SPEC = {
    "type": "object",
    "required": ["to"],
    "properties": {
        "host": TEXT,
        "path": TEXT,
        "to": _BACKEND,
        "port": {
            "type": "object",
            "properties": {"targetPort": {"x-kubernetes-int-or-string": True}},
        },
        "tls": _TLS,
        "wildcardPolicy": {**TEXT, "default": "None"},
    },
}
_STATUS = {
    "type": "object",
    "properties": {"ingress": {"type": "array", "items": _HOST_AND_CONDITIONS}},
}

ROUTES: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "routes.route.openshift.io"},
    "spec": {
        "group": "route.openshift.io",
        "names": {"kind": "Route", "plural": "routes", "singular": "route"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": _SPEC, "status": _STATUS},
                    }
                },
            }
        ],
    },
}

SECURITY: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "securitycontextconstraints.security.openshift.io"},
    "spec": {
        "group": "security.openshift.io",
        "names": {
            "kind": "SecurityContextConstraints",
            "plural": "securitycontextconstraints",
            "singular": "securitycontextconstraints",
        },
        "scope": "Cluster",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}

ANYUID: dict[str, Any] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "system:openshift:scc:anyuid"},
    "rules": [
        {
            "apiGroups": ["security.openshift.io"],
            "resources": ["securitycontextconstraints"],
            "resourceNames": ["anyuid"],
            "verbs": ["use"],
        }
    ],
}


def _groups(plane: ControlPlane) -> set[str]:
    return {group["name"] for group in plane.client.get("/apis")["groups"]}


@contextlib.contextmanager
def served(plane: ControlPlane, definition: dict[str, Any]) -> Iterator[None]:
    """A definition, as long as the block lasts, and the API with it."""
    group = definition["spec"]["group"]
    plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(definition))
    eventually(f"{group} is served", lambda: group in _groups(plane))
    try:
        yield
    finally:
        plane.kubectl("delete", "crd", definition["metadata"]["name"])
        eventually(f"{group} is gone", lambda: group not in _groups(plane))


@contextlib.contextmanager
def anyuid(plane: ControlPlane, *, granted: bool = True) -> Iterator[None]:
    """OpenShift's ClusterRole, and the operator's right to bind it."""
    overlay = str(DEPLOY / "openshift-anyuid")
    plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(ANYUID))
    if granted:
        plane.kubectl("apply", "--server-side", "-k", overlay)
    try:
        yield
    finally:
        if granted:
            plane.kubectl("delete", "-k", overlay)
        plane.kubectl("delete", "clusterrole", ANYUID["metadata"]["name"])
