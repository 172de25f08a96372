# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the API server must know: what ``install`` applies and ``uninstall`` deletes."""

from __future__ import annotations

from typing import Any

from api.crd import custom_resource_definition
from api.policy import documents as policy_documents
from informers.ports import Resource

CRD = Resource(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    namespaced=False,
)
POLICY = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
    namespaced=False,
)
BINDING = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    namespaced=False,
)
RESOURCES = {resource.kind: resource for resource in (CRD, POLICY, BINDING)}
"""By kind."""


def documents() -> list[dict[str, Any]]:
    """All of it, in the order in which it is applied."""
    return [custom_resource_definition(), *policy_documents()]
