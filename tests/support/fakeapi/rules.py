# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the API server knows of single kinds, as far as this operator can tell. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from controller.llamastack.objects.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    DEPLOYMENT,
    INGRESS,
    LLAMA_STACK,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    ROLE_BINDING,
    ROUTE,
    SECRET,
    SERVICE,
)
from informers.ports import Resource
from tests.support.fakeapi.field_sets import missing_keys
from tests.support.fakeapi.merge_schema import node_of

Json: TypeAlias = dict[str, Any]
Cause: TypeAlias = tuple[str, str, str]

WITH_STATUS: Final = frozenset(
    {
        *(LLAMA_STACK, DEPLOYMENT, REPLICA_SET, POD, SERVICE, PERSISTENT_VOLUME_CLAIM),
        *(AUTOSCALER, POD_DISRUPTION_BUDGET, INGRESS, ROUTE),
    }
)
"""Kinds whose status is written by its subresource, and by nothing else."""

_WITH_GENERATION: Final = frozenset(
    {
        *(LLAMA_STACK, DEPLOYMENT, REPLICA_SET, POD, POD_DISRUPTION_BUDGET),
        *(INGRESS, NETWORK_POLICY, ROUTE),
    }
)
FINALIZERS: Final = {PERSISTENT_VOLUME_CLAIM: "kubernetes.io/pvc-protection"}
"""What an object has from its birth; a controller takes it away when nobody uses the object."""

_IMMUTABLE: Final = "field is immutable"
_IMMUTABLE_CONTENT: Final = "field is immutable when `immutable` is set"


def generation(resource: Resource, old: Json | None, new: Json) -> int | None:
    """The generation of an object after a write; ``None`` for a kind without."""
    if resource not in _WITH_GENERATION:
        return None
    if old is None:
        return 1
    before = int(old["metadata"].get("generation") or 0)
    return before + int(_intent(resource, old) != _intent(resource, new))


def _intent(resource: Resource, obj: Json) -> Any:
    if resource == LLAMA_STACK:
        return {name: value for name, value in obj.items() if name not in {"metadata", "status"}}
    spec = obj.get("spec")
    # A rollback is recorded in annotations, and counts.
    return (spec, obj["metadata"].get("annotations")) if resource == DEPLOYMENT else spec


def broken(resource: Resource, old: Json | None, new: Json) -> Iterator[Cause]:
    """The causes why a write is refused."""
    if old is not None:
        yield from _broken_update(resource, old, new)
    for path in missing_keys(new, node_of(resource)):
        yield "FieldValueRequired", path, "Required value"
    if resource == LLAMA_STACK and (nulls := list(_nulls(new, ""))):
        for path in nulls:
            yield "FieldValueTypeInvalid", path, "Invalid value: null: must not be null"
        yield "FieldValueInvalid", "<nil>", "some validation rules were not checked"
    if resource == DEPLOYMENT:
        for number, container in enumerate(_at(new, "spec.template.spec.containers") or ()):
            if not container.get("image"):
                path = f"spec.template.spec.containers[{number}].image"
                yield "FieldValueRequired", path, "Required value"


def _broken_update(resource: Resource, old: Json, new: Json) -> Iterator[Cause]:
    if new["metadata"].get("uid") != old["metadata"]["uid"]:
        yield "FieldValueInvalid", "metadata.uid", f"Invalid value: {_IMMUTABLE}"
    if old["metadata"].get("deletionTimestamp") and _finalizers(new) - _finalizers(old):
        text = "no new finalizers can be added if the object is being deleted"
        yield "FieldValueForbidden", "metadata.finalizers", f"Forbidden: {text}"
    if resource in {CONFIG_MAP, SECRET}:
        yield from _broken_content(old, new)
    for path, text in _FIXED.get(resource, {}).items():
        if _at(old, path) != _at(new, path):
            yield "FieldValueInvalid", path, f"Invalid value: {text}"
    if resource == PERSISTENT_VOLUME_CLAIM and _claim_spec(old) != _claim_spec(new, old):
        text = "spec is immutable after creation except resources.requests for bound claims"
        yield "FieldValueForbidden", "spec", f"Forbidden: {text}"


_FIXED: Final[Mapping[Resource, Mapping[str, str]]] = {
    DEPLOYMENT: {"spec.selector": _IMMUTABLE},
    SECRET: {"type": _IMMUTABLE},
    ROLE_BINDING: {"roleRef": "cannot change roleRef"},
}


def _claim_spec(claim: Json, old: Json | None = None) -> Json:
    """What of it cannot be changed; the request of a bound claim can, and a volume is set once."""
    spec: Json = dict(claim["spec"])
    if not _at(old or claim, "spec.volumeName"):
        spec.pop("volumeName", None)
    if _at(old or claim, "status.phase") == "Bound":
        spec["resources"] = {**spec.get("resources", {}), "requests": None}
    return spec


def _broken_content(old: Json, new: Json) -> Iterator[Cause]:
    if not old.get("immutable"):
        return
    for name in ("immutable", "data", "binaryData"):
        if (old.get(name) or {}) != (new.get(name) or {}):
            yield "FieldValueForbidden", name, f"Forbidden: {_IMMUTABLE_CONTENT}"


def _finalizers(obj: Json) -> frozenset[str]:
    return frozenset(obj["metadata"].get("finalizers") or ())


def _at(obj: Any, path: str) -> Any:
    for name in path.split("."):
        obj = obj.get(name) if isinstance(obj, Mapping) else None
    return obj


def _nulls(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, child in value.items():
            below = f"{path}.{name}" if path else name
            if child is None:
                yield below
            yield from _nulls(child, below)


def as_stored(resource: Resource, obj: Json) -> Json:
    """With what the API server fills in and leaves out, where somebody could tell."""
    if resource != LLAMA_STACK:
        obj = _without_nulls(obj)
    stored = {**obj, "metadata": _without_empty(obj["metadata"], *_METADATA)}
    if resource in {CONFIG_MAP, SECRET}:
        stored = _without_empty(stored, "data", "binaryData")
    if resource == SECRET:
        return {"type": "Opaque", **stored}
    if resource == DEPLOYMENT:
        return {**stored, "spec": _deployment_spec(stored["spec"])}
    if resource == SERVICE:
        return {**stored, "spec": _service_spec(stored["spec"])}
    return stored


_METADATA: Final = ("labels", "annotations", "finalizers", "ownerReferences")
_DEPLOYMENT_DEFAULTS: Final = {
    "replicas": 1,
    "revisionHistoryLimit": 10,
    "progressDeadlineSeconds": 600,
    "strategy": {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    },
}
_DELAY: Final = "initialDelaySeconds"
_SERVICE_DEFAULTS: Final = {
    "type": "ClusterIP",
    "clusterIP": "10.96.0.10",
    "clusterIPs": ["10.96.0.10"],
}


def _container(container: Json) -> Json:
    """A delay of nothing is none."""
    probes = {
        name: {field: value for field, value in probe.items() if value or field != _DELAY}
        for name in ("startupProbe", "readinessProbe", "livenessProbe")
        if (probe := container.get(name))
    }
    return {**container, **probes}


def _service_spec(spec: Json) -> Json:
    given = spec.get("ports") or ()
    ports = [{"protocol": "TCP", "targetPort": port.get("port"), **port} for port in given]
    return {**_SERVICE_DEFAULTS, **spec, "ports": ports}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {n: _without_nulls(child) for n, child in value.items() if child is not None}
    if isinstance(value, list):
        return [_without_nulls(child) for child in value]
    return value


def _without_empty(obj: Json, *names: str) -> Json:
    return {name: value for name, value in obj.items() if value or name not in names}


def _deployment_spec(spec: Json) -> Json:
    pod = spec["template"]["spec"]
    containers = [{"resources": {}, **_container(each)} for each in pod["containers"]]
    template = {**spec["template"], "spec": {**pod, "containers": containers}}
    return {**_DEPLOYMENT_DEFAULTS, **spec, "template": template}
