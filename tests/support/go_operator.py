# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The Go operator, as far as a take-over can see it: what it wrote, and how.

It creates an object by POST, which leaves an entry of the field manager ``manager``, and changes it
by server-side apply under the name of the resource, so nothing of the first write ever goes. Where
that is refused, the rest of the reconcile is left out and the objects stay as they are: the wedged
states of its users are made here by the edits that led to them (P-C1). Two exceptions: an Ingress
is replaced as a whole, and so is a Deployment that still mounts a user's configuration after the
resource named none; that takes its owner away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from controller.llamastack.objects.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    DEPLOYMENT,
    INGRESS,
    LLAMA_STACK,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    POD_DISRUPTION_BUDGET,
    ROLE_BINDING,
    SERVICE,
    SERVICE_ACCOUNT,
)
from hack.cluster.client import Client
from informers.ports import Resource
from tests.support import go_objects
from tests.support.go_objects import BUNDLE_KEY, Json, Surroundings

MANAGER: Final = "manager"
"""Its field manager where it names none: the name of its program."""

OLD_API_VERSION: Final = "llamastack.io/v1alpha1"
_APPLY: Final = "application/apply-patch+yaml"
_BY_KIND: Final = {
    resource.kind: resource
    for resource in (
        AUTOSCALER,
        CONFIG_MAP,
        DEPLOYMENT,
        INGRESS,
        NETWORK_POLICY,
        PERSISTENT_VOLUME_CLAIM,
        POD_DISRUPTION_BUDGET,
        ROLE_BINDING,
        SERVICE,
        SERVICE_ACCOUNT,
    )
}


class Failed(Exception):
    """A request that was refused; the reconcile ends with it."""


class GoOperator:
    """Reconciles as the Go operator does. Several threads may use one.

    Args:
        client: of the administrator; that operator's rights are not the subject.
        network_policies: its feature flag.
        anyuid: whether the cluster has the ClusterRole that it binds on OpenShift.
    """

    def __init__(
        self, client: Client, *, network_policies: bool = False, anyuid: bool = False
    ) -> None:
        self._client = client
        self._network_policies = network_policies
        self._anyuid = anyuid

    def reconcile(self, cr: Mapping[str, Any]) -> str:
        """Write the objects of a resource; why that failed half-way, empty if it did not.

        Args:
            cr: of v1alpha1, with name, namespace, and the uid that it has in the cluster.
        """
        try:
            around = self._surroundings(cr)
            for resource, suffix in self._unwanted(cr):
                self._remove(cr, resource, suffix)
            for obj in go_objects.objects(cr, around):
                self._write(cr, obj)
            self._ingress(cr)
        except Failed as error:
            return str(error)
        return ""

    def report(
        self, cr: Mapping[str, Any], *, error: str = "", version: str = LLAMA_STACK.version
    ) -> Json:
        """Write the status of a resource as it was left, and return it.

        In the Go operator's CRD the conditions are one value, with one owner; in ours each has its
        own. So the entry of managed fields is made what it is there.

        Args:
            cr: as for :meth:`reconcile`.
            error: of the last reconcile.
            version: of the API by which it is written.
        """
        resource = Resource(LLAMA_STACK.group, version, LLAMA_STACK.kind, LLAMA_STACK.plural)
        path = resource.path(namespace=_namespace(cr), name=_name(cr))
        live = self._must("GET", path)
        status = status_of(cr, error=error)
        body = {**live, "status": status}
        written = self._must("PUT", f"{path}/status?fieldManager={MANAGER}", body)
        entries = written["metadata"]["managedFields"]
        for entry in entries:
            if entry.get("subresource") == "status":
                entry["fieldsV1"]["f:status"]["f:conditions"] = {}
        patch = [{"op": "replace", "path": "/metadata/managedFields", "value": entries}]
        self._must("PATCH", path, patch, "application/json-patch+json")
        return status

    # --- parts -----------------------------------------------------------------------------

    def _surroundings(self, cr: Mapping[str, Any]) -> Surroundings:
        text = self._bundle(cr)
        bundle = self._write_bundle(cr, text) if text else None
        config = None
        if name := go_objects.user_config(cr):
            config = self._get(CONFIG_MAP, _namespace(cr), name)
            if config is None:
                raise Failed(f'failed to find ConfigMap "{name}"')
        return Surroundings(
            network_policies=self._network_policies,
            anyuid=self._anyuid,
            bundle=text,
            bundle_version=bundle["metadata"]["resourceVersion"] if bundle else "",
            config_version=config["metadata"]["resourceVersion"] if config else "",
        )

    def _bundle(self, cr: Mapping[str, Any]) -> str:
        named = (cr["spec"]["server"].get("tlsConfig") or {}).get("caBundle")
        texts: list[str] = []
        if named:
            home = named.get("configMapNamespace") or _namespace(cr)
            found = self._get(CONFIG_MAP, home, named["configMapName"])
            if found is None:
                raise Failed(f'failed to find CA bundle ConfigMap "{named["configMapName"]}"')
            texts += [found["data"][key] for key in named.get("configMapKeys") or [BUNDLE_KEY]]
        of_cluster = self._get(CONFIG_MAP, _namespace(cr), "odh-trusted-ca-bundle")
        texts += ((of_cluster or {}).get("data") or {}).values()
        return "".join(texts)

    def _write_bundle(self, cr: Mapping[str, Any], text: str) -> Json:
        wanted = go_objects.bundle(cr, text)
        live = self._get(CONFIG_MAP, _namespace(cr), wanted["metadata"]["name"])
        if live is None:
            return self._create(cr, wanted)
        if live["data"] == wanted["data"]:
            return live
        path = f"{_path(wanted)}?fieldManager={MANAGER}"
        return self._must("PATCH", path, {"data": wanted["data"]}, "application/merge-patch+json")

    def _unwanted(self, cr: Mapping[str, Any]) -> list[tuple[Resource, str]]:
        wanted = {
            (NETWORK_POLICY, "network-policy"): self._network_policies,
            (POD_DISRUPTION_BUDGET, "pdb"): go_objects.needs_budget(cr),
            (AUTOSCALER, "hpa"): "autoscaling" in cr["spec"]["server"],
        }
        return [kind for kind, asked in wanted.items() if not asked]

    def _remove(self, cr: Mapping[str, Any], resource: Resource, suffix: str) -> None:
        live = self._get(resource, _namespace(cr), go_objects.prefixed(cr, suffix))
        if live is not None and _owns(cr, live):
            key = live["metadata"]
            self._must("DELETE", resource.path(namespace=key["namespace"], name=key["name"]))

    def _write(self, cr: Mapping[str, Any], wanted: Json) -> None:
        metadata = wanted["metadata"]
        live = self._get(_BY_KIND[wanted["kind"]], metadata["namespace"], metadata["name"])
        if live is None:
            self._create(cr, wanted)
        elif not _owns(cr, live) or wanted["kind"] == PERSISTENT_VOLUME_CLAIM.kind:
            return
        elif wanted["kind"] == DEPLOYMENT.kind and _mounts_no_config_any_more(wanted, live):
            version = live["metadata"]["resourceVersion"]
            body = {**wanted, "metadata": {**metadata, "resourceVersion": version}}
            self._must("PUT", f"{_path(wanted)}?fieldManager={MANAGER}", body)
        else:
            path = f"{_path(wanted)}?fieldManager={_name(cr)}&force=true"
            self._must("PATCH", path, wanted, _APPLY)

    def _ingress(self, cr: Mapping[str, Any]) -> None:
        if not go_objects.is_exposed(cr):
            self._remove(cr, INGRESS, "ingress")
            return
        wanted = go_objects.ingress(cr)
        live = self._get(INGRESS, _namespace(cr), wanted["metadata"]["name"])
        if live is None:
            self._create(cr, wanted)
        elif _owns(cr, live):
            version = live["metadata"]["resourceVersion"]
            metadata = {**_owned(cr, wanted)["metadata"], "resourceVersion": version}
            body = {**wanted, "metadata": metadata}
            self._must("PUT", f"{_path(wanted)}?fieldManager={MANAGER}", body)

    def _create(self, cr: Mapping[str, Any], wanted: Json) -> Json:
        resource = _BY_KIND[wanted["kind"]]
        path = resource.path(namespace=_namespace(cr))
        return self._must("POST", f"{path}?fieldManager={MANAGER}", _owned(cr, wanted))

    def _get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        status, answer = self._client.raw("GET", resource.path(namespace=namespace, name=name))
        if status == 404:
            return None
        found: Json = json.loads(answer)
        return found

    def _must(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> Json:
        status, answer = self._client.raw(method, path, body, content_type=content_type)
        if status >= 400:
            raise Failed(f"{method} {path}: {status} {answer.decode()[:1000]}")
        result: Json = json.loads(answer)
        return result


def status_of(cr: Mapping[str, Any], *, error: str = "") -> Json:
    """A status as that operator leaves it: conditions without a generation, and never one removed.

    Args:
        cr: of v1alpha1.
        error: of the last reconcile.
    """
    moment = "2026-01-31T12:00:00Z"
    said = {
        "HealthCheck": ("True", "HealthCheckPassed", "Health check passed"),
        "DeploymentReady": ("True", "DeploymentReady", "Deployment is ready"),
        # Of a volume that the resource asked for once.
        "StorageReady": ("False", "StorageFailed", "PVC is not bound: Pending"),
        "ServiceReady": ("True", "ServiceReady", "Service is ready"),
    }
    if error:
        text = f"Resource reconciliation failed: {error}"
        said["DeploymentReady"] = ("False", "DeploymentFailed", text)
    conditions = [
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": moment,
        }
        for kind, (status, reason, message) in said.items()
    ]
    provider = {
        "api": "inference",
        "provider_id": "old",
        "provider_type": "remote::vllm",
        "config": {"url": "http://old.example"},
        "health": {"status": "OK", "message": ""},
    }
    distribution = cr["spec"]["server"]["distribution"]
    name, home = _name(cr), _namespace(cr)
    return {
        "phase": "Failed" if error else "Ready",
        "version": {
            "operatorVersion": "0.8.0",
            "llamaStackServerVersion": "0.5.0",
            "lastUpdated": moment,
        },
        "distributionConfig": {
            "activeDistribution": distribution.get("name") or "custom",
            "providers": [provider],
            "availableDistributions": dict(go_objects.IMAGES),
        },
        "conditions": conditions,
        "availableReplicas": go_objects.replicas(cr),
        "serviceURL": f"http://{name}-service.{home}.svc.cluster.local:{go_objects.port_of(cr)}",
        "routeURL": "",
    }


def operator_config(namespace: str, *, network_policies: bool, **overrides: str) -> Json:
    """Its ConfigMap, as it makes it, and as an administrator completes it.

    Args:
        namespace: of the operator.
        network_policies: the feature flag.
        overrides: images, by the name of a distribution.
    """
    flag = "true" if network_policies else "false"
    data = {"featureFlags": f"enableNetworkPolicy:\n    enabled: {flag}\n"}
    if overrides:
        lines = [f"{name}: {image}\n" for name, image in overrides.items()]
        data["image-overrides"] = "".join(lines)
    labels = {"llamastack.io/watch": "true"}
    metadata = {"name": "llama-stack-operator-config", "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _owned(cr: Mapping[str, Any], obj: Json) -> Json:
    reference = {
        "apiVersion": OLD_API_VERSION,
        "kind": LLAMA_STACK.kind,
        "name": _name(cr),
        "uid": cr["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": [reference]}}


def _owns(cr: Mapping[str, Any], obj: Json) -> bool:
    references = obj["metadata"].get("ownerReferences") or ()
    return any(reference["uid"] == cr["metadata"]["uid"] for reference in references)


def _mounts_no_config_any_more(wanted: Json, live: Json) -> bool:
    def mounts(obj: Json) -> bool:
        volumes = obj["spec"]["template"]["spec"].get("volumes") or ()
        return any(volume["name"] == "user-config" for volume in volumes)

    return mounts(live) and not mounts(wanted)


def _path(obj: Json) -> str:
    metadata = obj["metadata"]
    resource = _BY_KIND[obj["kind"]]
    return resource.path(namespace=metadata["namespace"], name=metadata["name"])


def _name(cr: Mapping[str, Any]) -> str:
    return str(cr["metadata"]["name"])


def _namespace(cr: Mapping[str, Any]) -> str:
    return str(cr["metadata"]["namespace"])
