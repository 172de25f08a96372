# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The CRD and the policy in a control plane, for the time of some tests."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator

from api.conditions import condition
from api.crd import NAME as CRD
from api.crd import custom_resource_definition
from api.policy import documents
from api.v1alpha2 import API_VERSION
from hack.cluster.errors import ClusterError
from hack.cluster.plane import ControlPlane
from tests.support.apicase import Json, resource

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"

CREATED, REFUSED = 201, 422


def until(condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Wait for the API server; it tells nobody when a CRD or a policy is in force."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the API server did not get there"
        time.sleep(0.05)


def apply(plane: ControlPlane, path: str, document: Json) -> None:
    """Server-side apply of a cluster-scoped object."""
    plane.client.request(
        "PATCH",
        f"{path}/{document['metadata']['name']}?fieldManager=test&force=true",
        document,
        content_type=APPLY,
    )


def collection(namespace: str = "default") -> str:
    """The path of our resources in a namespace."""
    return f"/apis/{API_VERSION}/namespaces/{namespace}/llamastackdistributions"


def answer(plane: ControlPlane, obj: Json) -> tuple[int, str]:
    """Status and message of a creation that is not carried out."""
    code, body = plane.client.raw("POST", f"{collection()}?dryRun=All", obj)
    return code, json.loads(body).get("message", "")


def crd_condition(plane: ControlPlane, kind: str) -> str | None:
    """The status of a condition of the CRD."""
    return condition(plane.client.get(f"{CRDS}/{CRD}"), kind).get("status")


@contextlib.contextmanager
def crd_installed(plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane with our CRD; afterwards it is as it was before."""
    there = plane.client.exists(f"{CRDS}/{CRD}")
    apply(plane, CRDS, custom_resource_definition())
    until(lambda: crd_condition(plane, "Established") == "True")
    until(lambda: plane.client.exists(f"/apis/{API_VERSION}/llamastackdistributions"))
    yield plane
    if not there:
        plane.client.delete(f"{CRDS}/{CRD}")
        until(lambda: not plane.client.exists(f"{CRDS}/{CRD}"))


@contextlib.contextmanager
def policy_in_force(plane: ControlPlane) -> Iterator[ControlPlane]:
    """The policy beside the CRD; afterwards it is gone."""
    wrong = resource(providers={"inference": 4})
    for document in documents():
        path = POLICIES if document["kind"] == "ValidatingAdmissionPolicy" else BINDINGS
        apply(plane, path, document)
    until(lambda: answer(plane, wrong)[0] == REFUSED)
    yield plane
    for path in (BINDINGS, POLICIES):
        for name in {document["metadata"]["name"] for document in documents()}:
            with contextlib.suppress(ClusterError):
                plane.client.delete(f"{path}/{name}")
    until(lambda: answer(plane, wrong)[0] == CREATED)
