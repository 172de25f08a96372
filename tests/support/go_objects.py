# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The objects that the Go operator makes for a v1alpha1 resource. Pure.

Names, labels, the order of variables and volumes, annotations of the pod template and what is left
to the API server's defaults are as that operator sends them (P-A3, P-A4, P-A5, P-A6); what it left
out is left out here. :mod:`tests.support.go_operator` writes them as it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]

IMAGES: Final = {
    name: f"docker.io/llamastack/distribution-{name}:latest"
    for name in ("starter", "remote-vllm", "meta-reference-gpu", "postgres-demo")
}
"""Its distributions."""

MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "llama-stack-operator"}
LABELS: Final = {
    **MANAGED_BY,
    "app.kubernetes.io/part-of": "llama-stack",
    "llamastack.io/watch": "true",
}
SYSTEM: Final = "llama-stack-k8s-operator-system"
ANYUID: Final = "system:openshift:scc:anyuid"
BUNDLE_KEY: Final = "ca-bundle.crt"
BUNDLE_FOLDER: Final = "/etc/ssl/certs/ca-bundle"

START_SCRIPT: Final = """
set -e
VERSION_CODE=$(python -c "print(2)")
PORT=${LLS_PORT:-8321}
WORKERS=${LLS_WORKERS:-1}
exec uvicorn llama_stack.core.server.server:create_app --port "$PORT" --workers "$WORKERS" --factory
"""
"""Stands for the script that asks for the server's version; what counts is that it is a command."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the objects depend on beside their resource.

    Attributes:
        network_policies: the feature flag.
        anyuid: the cluster has the ClusterRole of OpenShift.
        bundle: the joined certificates; empty for none.
        bundle_version: resourceVersion of the ConfigMap that holds them.
        config_version: resourceVersion of the user's ConfigMap.
        operator_namespace: of the Go operator.
    """

    network_policies: bool = False
    anyuid: bool = False
    bundle: str = ""
    bundle_version: str = "1"
    config_version: str = "1"
    operator_namespace: str = SYSTEM


def objects(cr: Mapping[str, Any], around: Surroundings) -> list[Json]:
    """All but the ConfigMap of certificates and the Ingress, in the order of their writes.

    Args:
        cr: of v1alpha1, with name and namespace.
        around: what else they depend on.
    """
    return [
        {**obj, "metadata": {"namespace": _namespace(cr), **obj["metadata"]}}
        for obj in _objects(cr, around)
    ]


def _objects(cr: Mapping[str, Any], around: Surroundings) -> Iterator[Json]:
    server = _server(cr)
    if "storage" in server:
        size = server["storage"].get("size", "10Gi")
        requests = {"requests": {"storage": size}}
        claim = {"accessModes": ["ReadWriteOnce"], "resources": requests}
        yield _object("v1", "PersistentVolumeClaim", cr, "pvc", spec=claim)
    yield _object("v1", "ServiceAccount", cr, "sa")
    if has_ports(cr):
        port = {"name": "http", "protocol": "TCP", "port": port_of(cr), "targetPort": port_of(cr)}
        spec = {"type": "ClusterIP", "selector": selector(cr), "ports": [port]}
        yield _object("v1", "Service", cr, "service", spec=spec)
    if around.network_policies:
        yield _network_policy(cr, around)
    yield _deployment(cr, around)
    if "autoscaling" in server:
        yield _autoscaler(cr)
    if needs_budget(cr):
        yield _budget(cr)
    if around.anyuid:
        account = {"kind": "ServiceAccount", "name": f"{_name(cr)}-sa", "namespace": _namespace(cr)}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ANYUID}
        yield _object(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            cr,
            "rb",
            subjects=[account],
            roleRef=role,
        )


def bundle(cr: Mapping[str, Any], text: str) -> Json:
    """The ConfigMap of certificates."""
    labels = {
        **MANAGED_BY,
        "app.kubernetes.io/instance": _name(cr),
        "app.kubernetes.io/component": "ca-bundle",
        "llamastack.io/watch": "true",
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"{_name(cr)}-ca-bundle",
            "namespace": _namespace(cr),
            "labels": labels,
        },
        "data": {BUNDLE_KEY: text},
    }


def ingress(cr: Mapping[str, Any]) -> Json:
    """The Ingress of an exposed resource."""
    service = {"name": f"{_name(cr)}-service", "port": {"number": port_of(cr)}}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": f"{_name(cr)}-ingress",
            "namespace": _namespace(cr),
            "labels": {**MANAGED_BY, "app.kubernetes.io/instance": _name(cr)},
        },
        "spec": {"rules": [{"http": {"paths": [path]}}]},
    }


def is_exposed(cr: Mapping[str, Any]) -> bool:
    """Whether there is an Ingress."""
    return bool((cr["spec"].get("network") or {}).get("exposeRoute"))


def has_ports(cr: Mapping[str, Any]) -> bool:
    """Whether there is a Service: only with a port or a variable in the resource."""
    container = _container_spec(cr)
    return bool(container.get("port") or container.get("env"))


def needs_budget(cr: Mapping[str, Any]) -> bool:
    """Whether there is a PodDisruptionBudget."""
    return "podDisruptionBudget" in _server(cr) or replicas(cr) > 1


def names_bundle(cr: Mapping[str, Any]) -> bool:
    """Whether the resource names certificates."""
    return bool((_server(cr).get("tlsConfig") or {}).get("caBundle"))


def user_config(cr: Mapping[str, Any]) -> str:
    """Name of the user's ConfigMap; empty without."""
    return str((_server(cr).get("userConfig") or {}).get("configMapName", ""))


def replicas(cr: Mapping[str, Any]) -> int:
    """Of the resource."""
    return int(cr["spec"].get("replicas", 1))


def port_of(cr: Mapping[str, Any]) -> int:
    """Of the server."""
    return int(_container_spec(cr).get("port") or 8321)


def selector(cr: Mapping[str, Any]) -> dict[str, str]:
    """Of the pods."""
    return {"app": "llama-stack", "app.kubernetes.io/instance": _name(cr)}


# --- parts -------------------------------------------------------------------------------------


def _deployment(cr: Mapping[str, Any], around: Surroundings) -> Json:
    template: Json = {"metadata": {"labels": selector(cr)}, "spec": _pod(cr, around)}
    annotations = {}
    if name := user_config(cr):
        annotations["configmap.hash/user-config"] = f"{around.config_version}-{name}"
    if names_bundle(cr):
        version = f"{around.bundle_version}-{_name(cr)}-ca-bundle"
        annotations["configmap.hash/ca-bundle"] = version
    template["metadata"]["annotations"] = annotations
    spec: Json = {"selector": {"matchLabels": selector(cr)}, "template": template}
    if "autoscaling" not in _server(cr):
        spec["replicas"] = replicas(cr)
    if "storage" in _server(cr):
        spec["strategy"] = {"type": "Recreate"}
    made = _object("apps/v1", "Deployment", cr, "", spec=spec)
    made["metadata"]["name"] = _name(cr)
    return made


def _pod(cr: Mapping[str, Any], around: Surroundings) -> Json:
    server = _server(cr)
    overrides = server.get("podOverrides") or {}
    data: Json = {"emptyDir": {}}
    if "storage" in server:
        data = {"persistentVolumeClaim": {"claimName": f"{_name(cr)}-pvc"}}
    volumes = [{"name": "lls-storage", **data}]
    if around.bundle:
        items = [{"key": BUNDLE_KEY, "path": BUNDLE_KEY}]
        source = {"name": f"{_name(cr)}-ca-bundle", "items": items}
        volumes.append({"name": "ca-bundle", "configMap": source})
    if name := user_config(cr):
        volumes.append({"name": "user-config", "configMap": {"name": name}})
    pod: Json = {
        "containers": [_container(cr, around)],
        "securityContext": {"fsGroup": 1001},
        "serviceAccountName": overrides.get("serviceAccountName") or f"{_name(cr)}-sa",
        "volumes": [*volumes, *overrides.get("volumes", ())],
    }
    if "terminationGracePeriodSeconds" in overrides:
        pod["terminationGracePeriodSeconds"] = overrides["terminationGracePeriodSeconds"]
    return pod | _placement(cr)


def _container(cr: Mapping[str, Any], around: Surroundings) -> Json:
    server, given = _server(cr), _container_spec(cr)
    path = (server.get("storage") or {}).get("mountPath") or "/.llama"
    probe = {"httpGet": {"path": "/v1/health", "port": port_of(cr)}}
    times = {"initialDelaySeconds": 15, "timeoutSeconds": 30, "failureThreshold": 3}
    container: Json = {
        "name": given.get("name", "llama-stack"),
        "image": _image(server["distribution"]),
        "ports": [{"containerPort": port_of(cr)}],
        "startupProbe": {**probe, **times, "successThreshold": 1},
        "env": [*_environment(cr, around, path), *given.get("env", ())],
        "resources": _resources(given.get("resources") or {}, server.get("workers")),
        "volumeMounts": [{"name": "lls-storage", "mountPath": path}],
    }
    if user_config(cr):
        mount = {"name": "user-config", "mountPath": "/etc/llama-stack/", "readOnly": True}
        container["volumeMounts"].append(mount)
        container["command"] = ["/bin/sh", "-c", START_SCRIPT]
    if around.bundle:
        mount = {"name": "ca-bundle", "mountPath": BUNDLE_FOLDER, "readOnly": True}
        container["volumeMounts"].append(mount)
    container["volumeMounts"] += (server.get("podOverrides") or {}).get("volumeMounts", ())
    for field in ("command", "args"):
        if given.get(field):
            container[field] = given[field]
    return container


def _environment(cr: Mapping[str, Any], around: Surroundings, path: str) -> Iterator[Json]:
    yield {"name": "HF_HOME", "value": path}
    if around.bundle:
        yield {"name": "SSL_CERT_FILE", "value": f"{BUNDLE_FOLDER}/{BUNDLE_KEY}"}
    yield {"name": "LLS_WORKERS", "value": str(_server(cr).get("workers") or 1)}
    yield {"name": "LLS_PORT", "value": str(port_of(cr))}
    yield {"name": "LLAMA_STACK_CONFIG", "value": "/etc/llama-stack/config.yaml"}


def _resources(given: Json, workers: int | None) -> Json:
    requests = {"cpu": str(workers or 1), "memory": "1Gi", **given.get("requests", {})}
    limits = dict(given.get("limits", {}))
    if workers:
        limits = {"cpu": requests["cpu"], "memory": requests["memory"], **limits}
    return {**given, "requests": requests, **({"limits": limits} if limits else {})}


def _placement(cr: Mapping[str, Any]) -> Json:
    labels = {"matchLabels": {"app.kubernetes.io/instance": _name(cr)}}
    node = "kubernetes.io/hostname"
    keys = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", node)
    spread = _server(cr).get("topologySpreadConstraints") or []
    if replicas(cr) <= 1:
        return {"topologySpreadConstraints": spread} if spread else {}
    spread = spread or [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": labels,
        }
        for key in keys
    ]
    term = {"labelSelector": labels, "topologyKey": node}
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    apart = {"preferredDuringSchedulingIgnoredDuringExecution": preferred}
    return {"topologySpreadConstraints": spread, "affinity": {"podAntiAffinity": apart}}


def _network_policy(cr: Mapping[str, Any], around: Surroundings) -> Json:
    def named(namespace: str) -> Json:
        return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}

    network = cr["spec"].get("network")
    allowed = (network or {}).get("allowedFrom") or {}
    namespaces = allowed.get("namespaces") or []
    peers: list[Json] = [{"podSelector": {}}, named(around.operator_namespace)]
    peers += [named(namespace) for namespace in namespaces]
    peers += [
        {"namespaceSelector": {"matchExpressions": [{"key": key, "operator": "Exists"}]}}
        for key in allowed.get("labels") or ()
    ]
    if network is not None:
        routers = {"network.openshift.io/policy-group": "ingress"}
        peers.append({"namespaceSelector": {"matchLabels": routers}})
    if "*" in namespaces:
        peers = [{"namespaceSelector": {}}]
    spec = {
        "podSelector": {"matchLabels": selector(cr)},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": peers, "ports": [{"protocol": "TCP", "port": port_of(cr)}]}],
    }
    return _object("networking.k8s.io/v1", "NetworkPolicy", cr, "network-policy", spec=spec)


def _autoscaler(cr: Mapping[str, Any]) -> Json:
    given = _server(cr)["autoscaling"]
    targets = {
        "cpu": given.get("targetCPUUtilizationPercentage"),
        "memory": given.get("targetMemoryUtilizationPercentage"),
    }
    if not any(targets.values()):
        targets["cpu"] = 80
    metrics = [
        {
            "type": "Resource",
            "resource": {
                "name": name,
                "target": {"type": "Utilization", "averageUtilization": percent},
            },
        }
        for name, percent in targets.items()
        if percent
    ]
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": _name(cr)},
        "minReplicas": max(1, replicas(cr), given.get("minReplicas", 1)),
        "maxReplicas": given["maxReplicas"],
        "metrics": metrics,
    }
    return _labelled(_object("autoscaling/v2", "HorizontalPodAutoscaler", cr, "hpa", spec=spec))


def _budget(cr: Mapping[str, Any]) -> Json:
    numbers = _server(cr).get("podDisruptionBudget") or {"maxUnavailable": 1}
    spec = {**numbers, "selector": {"matchLabels": selector(cr)}}
    return _labelled(_object("policy/v1", "PodDisruptionBudget", cr, "pdb", spec=spec))


def _labelled(obj: Json) -> Json:
    """Two kinds have the labels of pods besides, one of them empty."""
    obj["metadata"]["labels"] |= {"app": "llama-stack", "app.kubernetes.io/instance": ""}
    return obj


def _object(
    api_version: str, kind: str, cr: Mapping[str, Any], suffix: str, **content: Any
) -> Json:
    metadata = {"name": prefixed(cr, suffix), "labels": dict(LABELS)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def prefixed(cr: Mapping[str, Any], name: str) -> str:
    """Name of an object: that of the resource before it, unless it begins with it already."""
    return name if name.startswith(f"{_name(cr)}-") else f"{_name(cr)}-{name}"


def _image(distribution: Mapping[str, Any]) -> str:
    return str(distribution.get("image") or IMAGES[distribution["name"]])


def _server(cr: Mapping[str, Any]) -> Json:
    server: Json = cr["spec"]["server"]
    return server


def _container_spec(cr: Mapping[str, Any]) -> Json:
    return _server(cr).get("containerSpec") or {}


def _name(cr: Mapping[str, Any]) -> str:
    return str(cr["metadata"]["name"])


def _namespace(cr: Mapping[str, Any]) -> str:
    return str(cr["metadata"]["namespace"])
