# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What two resources with one spec must have in common: their children, but for what is theirs.

Left out are what the API server gives each object (uid, versions, times, addresses), what others
own (status; the number of pods under an autoscaler), and what the operator notes for itself. The
name of the resource reads the same everywhere. Three things depend on the past, and are meant to:

- generated ConfigMaps that are not mounted, which wait for a rollback (R-D3);
- the number of the registry, which grows when a server would not start on the old one (R-D16c);
- a volume, which no edit deletes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from configs import defaults, registry_key
from controller.llamastack.children.table import KINDS
from controller.llamastack.objects.kinds import (
    APPLIED_HASH,
    AUTOSCALED,
    CONFIG_HASH,
    REGISTRY_STATE,
    TEMPLATE_HASH,
)

Json = dict[str, Any]

NAME: Final = "NAME"
"""What every resource is called here."""

_KEPT: Final = frozenset({"name", "labels", "annotations", "ownerReferences"})
_NOTES: Final = frozenset({APPLIED_HASH, CONFIG_HASH, REGISTRY_STATE, TEMPLATE_HASH})
_FOREIGN_ANNOTATIONS: Final = frozenset({"deployment.kubernetes.io/revision"})
_ADDRESSES: Final = frozenset({"clusterIP", "clusterIPs"})
_DATA_KINDS: Final = frozenset(kind.resource.kind for kind in KINDS if kind.retain)
_CONFIG_NAME: Final = re.compile(rf"{NAME}-config-[0-9a-f]+")


def normalised(name: str, objects: Iterable[Json]) -> dict[str, Json]:
    """The children of one resource by kind and name, comparable with those of any other.

    Args:
        name: of the resource.
        objects: that it controls, with their kinds.
    """
    children = list(objects)
    deployment = next((o for o in children if o["kind"] == "Deployment"), None)
    mounted = _config_maps_of(deployment) if deployment else set()
    suffix = _registry_suffix(deployment) if deployment else ""
    found: dict[str, Json] = {}
    for obj in children:
        metadata = obj["metadata"]
        generated = CONFIG_HASH in (metadata.get("annotations") or {})
        if generated and metadata["name"] not in mounted:
            continue
        plain = _plain(obj)
        if generated:
            plain["data"] = {key: _config(text, suffix) for key, text in obj["data"].items()}
        renamed = json.dumps(plain).replace(name, NAME)
        renamed = renamed.replace(_tables_of(metadata.get("namespace", ""), name), NAME)
        shown = json.loads(_CONFIG_NAME.sub(f"{NAME}-config", renamed))
        found[f"{shown['kind']}/{shown['metadata']['name']}"] = shown
    return found


def differences(edited: Mapping[str, Json], fresh: Mapping[str, Json]) -> list[str]:
    """Where the children of an edited resource are not those of a fresh one."""
    found = []
    for child in sorted(edited.keys() | fresh.keys()):
        if child not in edited:
            found.append(f"{child} is missing")
        elif child not in fresh:
            if child.partition("/")[0] not in _DATA_KINDS:
                found.append(f"{child} is left over")
        elif child.partition("/")[0] not in _DATA_KINDS:
            found += [f"{child} {line}" for line in _compared("", edited[child], fresh[child])]
    return found


def _compared(path: str, edited: Any, fresh: Any) -> Iterable[str]:
    if edited == fresh:
        return
    if isinstance(edited, dict) and isinstance(fresh, dict):
        for key in sorted(edited.keys() | fresh.keys()):
            yield from _compared(f"{path}.{key}", edited.get(key), fresh.get(key))
    elif isinstance(edited, list) and isinstance(fresh, list) and len(edited) == len(fresh):
        for number, (one, two) in enumerate(zip(edited, fresh, strict=True)):
            yield from _compared(f"{path}[{number}]", one, two)
    else:
        yield f"{path}: {_short(edited)} instead of {_short(fresh)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 600 else f"{text[:600]}..."


def _plain(obj: Json) -> Json:
    metadata = {key: value for key, value in obj["metadata"].items() if key in _KEPT}
    notes = _NOTES | _FOREIGN_ANNOTATIONS
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in notes}
    metadata["annotations"] = annotations
    metadata["ownerReferences"] = [
        {key: value for key, value in reference.items() if key != "uid"}
        for reference in metadata.get("ownerReferences") or ()
    ]
    plain = {key: value for key, value in obj.items() if key != "status"} | {"metadata": metadata}
    if obj["kind"] == "Service":
        plain["spec"] = {k: v for k, v in obj["spec"].items() if k not in _ADDRESSES}
    if obj["kind"] == "Deployment" and AUTOSCALED in annotations:
        plain["spec"] = {k: v for k, v in obj["spec"].items() if k != "replicas"}
    return plain


def _tables_of(namespace: str, name: str) -> str:
    """What the tables of a resource in a shared database begin with."""
    return f"llsd_{hashlib.sha256(f'{namespace}/{name}'.encode()).hexdigest()[:8]}_"


def _config_maps_of(deployment: Json) -> set[str]:
    volumes = deployment["spec"]["template"]["spec"].get("volumes") or ()
    return {v["configMap"]["name"] for v in volumes if "configMap" in v}


def _registry_suffix(deployment: Json) -> str:
    text = (deployment["metadata"].get("annotations") or {}).get(REGISTRY_STATE, "")
    state = registry_key.load(text) if text else None
    return state.suffix if state else ""


def _config(text: str, suffix: str) -> str:
    """A config with the registry that a fresh resource would have."""
    if not suffix:
        return text
    store = rf"(    metadata:\n      backend: \S+\n      namespace: \S+){suffix}\n"
    text, count = re.subn(store, r"\1\n", text)
    assert count == 1, "the registry's name is not where it was"
    return text.replace(f"/{defaults.REGISTRY_FILE}{suffix}.db", f"/{defaults.REGISTRY_FILE}.db")
