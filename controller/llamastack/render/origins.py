# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which field of a resource a field of its Deployment was taken from. Pure.

What users write for their pods is passed on as it is, and some of it only the API server can judge.
It names the Deployment's field; whoever wrote the resource looks for his own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from api.v1alpha2 import Spec
    from controller.runtime.ports import Manifest

_STEP: Final = re.compile(r'\.?([A-Za-z0-9_]+)|\[(\d+)\]|\[[A-Za-z]+="([^"]*)"[^\]]*\]')
_PATH: Final = re.compile(r'(?<![\w.])\.?spec\.template\.(?:[\w.]|\[[^\]"]*(?:"[^"]*"[^\]"]*)*\])+')
_POD: Final = ("spec", "template", "spec")
_METADATA: Final = ("spec", "template", "metadata")
_OVERRIDES: Final = "spec.workload.overrides"

_OF_POD: Final = {
    "volumes": f"{_OVERRIDES}.volumes",
    "imagePullSecrets": f"{_OVERRIDES}.imagePullSecrets",
    "nodeSelector": f"{_OVERRIDES}.nodeSelector",
    "tolerations": f"{_OVERRIDES}.tolerations",
    "affinity": f"{_OVERRIDES}.affinity",
    "serviceAccountName": f"{_OVERRIDES}.serviceAccountName",
    "terminationGracePeriodSeconds": f"{_OVERRIDES}.terminationGracePeriodSeconds",
    "topologySpreadConstraints": "spec.workload.topologySpreadConstraints",
    "resourceClaims": "spec.workload.resources.claims",
}
_OF_CONTAINER: Final = {
    "name": f"{_OVERRIDES}.containerName",
    "image": "spec.distribution.image",
    "env": f"{_OVERRIDES}.env",
    "volumeMounts": f"{_OVERRIDES}.volumeMounts",
    "command": f"{_OVERRIDES}.command",
    "args": f"{_OVERRIDES}.args",
    "resources": "spec.workload.resources",
    "startupProbe": f"{_OVERRIDES}.startupProbe",
    "readinessProbe": f"{_OVERRIDES}.readinessProbe",
    "livenessProbe": f"{_OVERRIDES}.livenessProbe",
    "ports": "spec.networking.port",
}
_KEYED: Final = {"volumes": "name", "env": "name", "volumeMounts": "mountPath"}
"""Lists that hold items of ours, too; and what tells an item."""


def origin_of(message: str, manifest: Manifest, spec: Spec) -> str:
    """The first field of the resource that an answer of the API server is about.

    Args:
        message: names fields of the Deployment, by index or by key.
        manifest: of the Deployment that was refused.
        spec: that it was made from.

    Returns:
        A path, as short as it has to be to lead to something; empty if what is refused is ours.
    """
    given = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    for match in _PATH.finditer(message):
        steps = list(_steps(match.group()))
        if found := _origin(steps, manifest, {"spec": given}):
            return found
    return ""


def _steps(path: str) -> Iterator[str | int]:
    """Fields, indices, and keys of items as ``=key``."""
    for match in _STEP.finditer(path):
        field, index, key = match.groups()
        yield field or (int(index) if index is not None else f"={key}")


def _origin(steps: Sequence[str | int], manifest: Manifest, given: Mapping[str, Any]) -> str:
    of, rest = tuple(steps[: len(_POD)]), list(steps[len(_POD) :])
    if of == _METADATA and rest:
        return _existing(f"{_OVERRIDES}.{rest[0]}", rest[1:], given)
    if of != _POD or not rest:
        return ""
    table = _OF_POD
    node: Any = manifest["spec"]["template"]["spec"]
    if rest[0] == "containers":
        table, node, rest = _OF_CONTAINER, node["containers"][0], rest[2:]
    if not rest or rest[0] not in table:
        return ""
    field, rest = str(rest[0]), rest[1:]
    target = table[field]
    if field not in _KEYED or not rest:
        return _existing(target, rest, given)
    key = _key_of(node.get(field) or (), rest[0], _KEYED[field])
    items = _at(given, target) or ()
    for index, item in enumerate(items):
        if item.get(_KEYED[field]) == key:
            return _existing(f"{target}[{index}]", rest[1:], given)
    return ""


def _key_of(items: Sequence[Mapping[str, Any]], step: str | int, key: str) -> str:
    if isinstance(step, str):
        return step.removeprefix("=")
    return str(items[step].get(key, "")) if step < len(items) else ""


def _existing(path: str, steps: Sequence[str | int], given: Mapping[str, Any]) -> str:
    """The path with as many steps as lead to something, and the one that is missing there."""
    if _at(given, path) is None:
        return ""
    for step in steps:
        more = f"[{step}]" if isinstance(step, int) else f".{step}"
        if isinstance(step, str) and step.startswith("="):
            return path
        node = _at(given, path)
        if not isinstance(node, list if isinstance(step, int) else dict):
            return path
        if _at(given, path + more) is None:
            return path + more if isinstance(step, str) else path
        path += more
    return path


def _at(node: Any, path: str) -> Any:
    for step in _steps(path):
        if isinstance(node, list) and isinstance(step, int):
            node = node[step] if step < len(node) else None
        else:
            node = node.get(step) if isinstance(node, dict) else None
    return node
