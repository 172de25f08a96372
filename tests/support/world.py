# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A control plane with our API installed, and what tests of the whole operator do in it.

The operator works as its own ServiceAccount with the rights that ``deploy/rbac`` grants, and the
namespaces enforce Pod Security ``restricted``, as in production.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from api.conditions import condition, is_current
from hack.cluster.audit import AuditedRequest, Mark
from hack.cluster.client import Client
from hack.cluster.node.pods import wait_for
from hack.cluster.plane import ControlPlane
from hack.root import ROOT

T = TypeVar("T")

DEPLOY = ROOT / "deploy"
SYSTEM = "llama-stack-k8s-operator-system"
ACCOUNT = "llama-stack-k8s-operator-controller-manager"
USER = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"

SECRET_VALUE = "hunter2-is-the-token"

_PATHS = {
    "llsd": "/apis/llamastack.io/v1alpha2/namespaces/{0}/llamastackdistributions",
    "deployment": "/apis/apps/v1/namespaces/{0}/deployments",
    "replicaset": "/apis/apps/v1/namespaces/{0}/replicasets",
    "ingress": "/apis/networking.k8s.io/v1/namespaces/{0}/ingresses",
    "networkpolicy": "/apis/networking.k8s.io/v1/namespaces/{0}/networkpolicies",
    "route": "/apis/route.openshift.io/v1/namespaces/{0}/routes",
    "rolebinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{0}/rolebindings",
    "autoscaler": "/apis/autoscaling/v2/namespaces/{0}/horizontalpodautoscalers",
    "budget": "/apis/policy/v1/namespaces/{0}/poddisruptionbudgets",
    "pod": "/api/v1/namespaces/{0}/pods",
    "service": "/api/v1/namespaces/{0}/services",
    "serviceaccount": "/api/v1/namespaces/{0}/serviceaccounts",
    "configmap": "/api/v1/namespaces/{0}/configmaps",
    "claim": "/api/v1/namespaces/{0}/persistentvolumeclaims",
    "secret": "/api/v1/namespaces/{0}/secrets",
    "event": "/apis/events.k8s.io/v1/namespaces/{0}/events",
}
_MERGE = "application/merge-patch+json"
_DEADLINE_S = 30.0
_POLL_S = 0.02
# The garbage collector asks every 30 s which kinds exist, and tries again what it could not map
# to one at twice the distance each time: what was made soon after its definition goes late.
COLLECTED_S = 90.0


def eventually(what: str, look: Callable[[], T | None], deadline_s: float = _DEADLINE_S) -> T:
    """The first answer that is neither ``None`` nor false.

    Raises:
        AssertionError: there was none in time.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        answer = look()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {deadline_s:.0f} s: {what}"
        time.sleep(_POLL_S)


def install(plane: ControlPlane) -> Path:
    """Our API, namespace and rights; the kubeconfig of the operator's ServiceAccount."""
    for base in ("crd", "policy", "namespace", "rbac"):
        plane.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(DEPLOY / base))
    plane.wait_for_definitions()
    return plane.kubeconfig_for_service_account(SYSTEM, ACCOUNT)


class World:
    """One namespace of a control plane.

    Args:
        plane: with our API installed.
        namespace: in which everything happens.
    """

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane = plane
        self.namespace = namespace
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        patch = {"metadata": {"labels": labels}}
        self._request("PATCH", f"/api/v1/namespaces/{namespace}", patch)

    @property
    def client(self) -> Client:
        """The administrator."""
        return self.plane.client

    def path(self, kind: str, name: str = "") -> str:
        """Of the collection, or of one object."""
        return "/".join(part for part in (_PATHS[kind].format(self.namespace), name) if part)

    def _request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        content_type = _MERGE if method == "PATCH" else "application/json"
        status, answer = self.client.raw(method, path, body, content_type=content_type)
        assert status < 300, f"{method} {path}: {status} {answer.decode()[:500]}"
        result: dict[str, Any] = json.loads(answer)
        return result

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The live object, if it is there."""
        status, answer = self.client.raw("GET", self.path(kind, name))
        if status == 404:
            return None
        assert status == 200, f"{kind} {name}: {status}"
        result: dict[str, Any] = json.loads(answer)
        return result

    def must_get(self, kind: str, name: str) -> dict[str, Any]:
        """The live object, which must be there."""
        obj = self.get(kind, name)
        assert obj is not None, f"there is no {kind} {name}"
        return obj

    def all(self, kind: str) -> list[dict[str, Any]]:
        """All live objects."""
        items: list[dict[str, Any]] = self._request("GET", self.path(kind))["items"]
        return items

    def create(self, kind: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Create an object."""
        return self._request("POST", self.path(kind), manifest)

    def patch(self, kind: str, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        """Merge a patch into an object."""
        return self._request("PATCH", self.path(kind, name), patch)

    def patch_patiently(self, kind: str, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        """Likewise, again and again, as clients do.

        The API server may just have lost the webhook's replica that it was asking, or not have
        heard of a change to the webhook.
        """
        path = self.path(kind, name)
        return wait_for(
            "a write", lambda: self.client.request("PATCH", path, patch, content_type=_MERGE)
        )

    def delete(self, kind: str, name: str) -> None:
        """Delete an object."""
        self._request("DELETE", self.path(kind, name))

    def wait_collected(self, kind: str, name: str) -> None:
        """Until Kubernetes has taken away what belonged to a deleted object."""
        what = f"{kind} {name} is collected"
        eventually(what, lambda: self.get(kind, name) is None, COLLECTED_S)

    # --- ours ------------------------------------------------------------------------------

    def secret(self, name: str = "creds", **data: str) -> dict[str, Any]:
        """A Secret with a token."""
        return self.create(
            "secret",
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name},
                "stringData": data or {"token": SECRET_VALUE},
            },
        )

    def resource(self, name: str = "demo", *models: str, **spec: Any) -> dict[str, Any]:
        """A LlamaStackDistribution with one provider whose key is in the Secret ``creds``."""
        return self.create("llsd", manifest(name, *models, **spec))

    def wait_ready(self, name: str = "demo", deadline_s: float = _DEADLINE_S) -> dict[str, Any]:
        """The resource, once it is Ready for its current generation."""
        return eventually(f"{name} is Ready", lambda: self._ready(name), deadline_s)

    def _ready(self, name: str) -> dict[str, Any] | None:
        cr = self.must_get("llsd", name)
        answer = condition(cr, "Ready")
        current = answer.get("observedGeneration") == cr["metadata"]["generation"]
        return cr if answer.get("status") == "True" and current else None

    def wait_condition(self, kind: str, status: str, name: str = "demo") -> Mapping[str, Any]:
        """The condition, once it has the status for the resource's current generation."""

        def look() -> Mapping[str, Any] | None:
            cr = self.must_get("llsd", name)
            answer = condition(cr, kind)
            return answer if answer.get("status") == status and is_current(cr, kind) else None

        return eventually(f"{kind} of {name} is {status}", look)

    def config_maps(self, name: str = "demo") -> list[str]:
        """Names of the generated ConfigMaps, oldest first."""
        return [
            c["metadata"]["name"]
            for c in sorted(
                self.all("configmap"), key=lambda c: int(c["metadata"]["resourceVersion"])
            )
            if c["metadata"]["name"].startswith(f"{name}-config-")
        ]

    def events(self, name: str = "demo") -> list[tuple[str, str]]:
        """Type and reason of the Events about a resource, in the order of their creation."""
        found = [e for e in self.all("event") if e["regarding"].get("name") == name]
        found = [e for e in found if e["regarding"].get("kind") == "LlamaStackDistribution"]
        found.sort(key=lambda e: int(e["metadata"]["resourceVersion"]))
        return [(e["type"], e["reason"]) for e in found]

    def requests_since(self, mark: Mark) -> list[AuditedRequest]:
        """What the operator asked of this namespace, or of the whole cluster, since a mark."""
        mine = {self.namespace, ""}
        return [r for r in self.plane.audit.since(mark) if r.user == USER and r.namespace in mine]

    def writes_since(self, mark: Mark) -> list[AuditedRequest]:
        """Those of them that may have changed something; reviews of rights change nothing."""
        return [r for r in self.requests_since(mark) if r.is_write and not is_review(r)]


def is_review(request: AuditedRequest) -> bool:
    """Whether a create only asks a question."""
    return request.group == "authorization.k8s.io"


def manifest(name: str, *models: str, **spec: Any) -> dict[str, Any]:
    """A LlamaStackDistribution with one provider whose key is in the Secret ``creds``."""
    provider = {
        "provider": "vllm",
        "endpoint": "http://vllm.example:8000/v1",
        "apiKey": {"secretKeyRef": {"name": "creds", "key": "token"}},
    }
    return {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": name},
        "spec": {
            "distribution": {"name": "starter"},
            "providers": {"inference": provider},
            "resources": {"models": list(models) or ["llama"]},
            **spec,
        },
    }
