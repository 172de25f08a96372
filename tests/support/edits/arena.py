# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Many resources side by side in one namespace: written, awaited and compared in bulk.

One operator serves them all, so that hundreds of edits take seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

from api import VERSION
from api.conditions import condition, is_current
from controller.llamastack.objects.kinds import (
    CONFIG_MAP,
    LLAMA_STACK,
    MANAGED_BY,
    MANAGED_BY_VALUE,
    SECRET,
)
from hack.cluster.plane import ControlPlane
from informers.ports import Resource
from tests.support.edits import materials
from tests.support.edits.full import KINDS
from tests.support.edits.normal import normalised

Json = dict[str, Any]

_HANDS: Final = 8  # requests side by side
_POLL_S: Final = 0.2
CHILDREN: Final = tuple(dict.fromkeys((*KINDS, SECRET)))
"""What is looked at."""
_UPDATED: Final = frozenset({"ConfigGenerated", "SecretsResolved", "DeploymentUpdated"})


class Arena:
    """One namespace.

    Args:
        plane: with our API installed, and an operator at work.
        namespace: for everything; it is made if it is not there.
        version: in which resources are written; they are read in the hub version.
    """

    def __init__(self, plane: ControlPlane, namespace: str, *, version: str = VERSION) -> None:
        self._written = replace(LLAMA_STACK, version=version)
        self._client = plane.client
        self._namespace = namespace
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        status, answer = self._client.raw("POST", "/api/v1/namespaces", body)
        assert status in {201, 409}, answer

    def prepare(self, specs: Iterable[Json]) -> None:
        """Make the Secrets and ConfigMaps that specs refer to, unless they are there."""
        objects = materials.of(specs)
        self.each(objects, lambda obj: self._create(_resource_of(obj), obj))

    def create(self, specs: Mapping[str, Json]) -> None:
        """Create resources.

        Args:
            specs: by name.
        """
        self.each(specs.items(), lambda item: self._create(self._written, self._manifest(*item)))

    def edit(self, specs: Mapping[str, Json]) -> None:
        """Replace the specs of resources as a whole."""

        def edit(item: tuple[str, Json]) -> None:
            name, spec = item
            self.patch(name, [{"op": "replace", "path": "/spec", "value": spec}])

        self.each(specs.items(), edit)

    def patch(self, name: str, operations: list[Json]) -> None:
        """Change a resource by a JSON patch."""
        path = self._written.path(namespace=self._namespace, name=name)
        kind = "application/json-patch+json"
        status, answer = self._client.raw("PATCH", path, operations, content_type=kind)
        assert status == 200, f"{name}: {status} {answer.decode()[:2000]}"

    def settle(self, names: Iterable[str], patience_s: float = 10.0) -> dict[str, str]:
        """Wait until the children of the resources are what their current specs ask for.

        Args:
            names: of the resources.
            patience_s: how long to wait for those that are left since the last one was done.

        Returns:
            What stands in the way of those that are not done, by name.
        """
        waiting = set(names)
        last: set[str] = set()
        deadline = 0.0
        while True:
            trouble = {
                item["metadata"]["name"]: why
                for item in self.all(LLAMA_STACK)
                if item["metadata"]["name"] in waiting and (why := unsettled(item))
            }
            if trouble.keys() != last:
                deadline = time.monotonic() + patience_s
                last = set(trouble)
            if not trouble or time.monotonic() > deadline:
                return trouble
            time.sleep(_POLL_S)

    def children(self) -> dict[str, dict[str, Json]]:
        """The children of every resource, by its name, so that they can be compared."""
        found: dict[str, list[Json]] = {}
        for resource in CHILDREN:
            for obj in self.all(resource):
                for reference in obj["metadata"].get("ownerReferences") or ():
                    if reference.get("kind") == LLAMA_STACK.kind:
                        whole = {"kind": resource.kind, **obj}
                        found.setdefault(reference["name"], []).append(whole)
        return {name: normalised(name, objects) for name, objects in found.items()}

    def all(self, resource: Resource) -> list[Json]:
        """All objects of a kind."""
        status, answer = self._client.raw("GET", resource.path(namespace=self._namespace))
        assert status == 200, answer
        items: list[Json] = json.loads(answer)["items"]
        return items

    def delete(self, name: str) -> None:
        """Delete a resource."""
        self._client.delete(LLAMA_STACK.path(namespace=self._namespace, name=name))

    def left(self) -> list[str]:
        """Resources, and objects that our operator made."""
        found = [
            f"{resource.kind}/{obj['metadata']['name']}"
            for resource in CHILDREN
            for obj in self.all(resource)
            if (obj["metadata"].get("labels") or {}).get(MANAGED_BY) == MANAGED_BY_VALUE
        ]
        return found + [obj["metadata"]["name"] for obj in self.all(LLAMA_STACK)]

    def close(self) -> None:
        """Remove the namespace and all in it."""
        self._client.delete(f"/api/v1/namespaces/{self._namespace}")

    def each(self, items: Iterable[Any], act: Callable[[Any], None]) -> None:
        """Do something with each of many things, some of them side by side."""
        with ThreadPoolExecutor(_HANDS) as pool:
            for _ in pool.map(act, items):
                pass

    # --- parts -----------------------------------------------------------------------------

    def _create(self, resource: Resource, obj: Json) -> None:
        path = resource.path(namespace=self._namespace)
        status, answer = self._client.raw("POST", path, obj)
        made = status == 201 or (status == 409 and resource.kind != LLAMA_STACK.kind)
        assert made, f"{obj['metadata']['name']}: {status} {answer.decode()[:2000]}"

    def _manifest(self, name: str, spec: Json) -> Json:
        return {
            "apiVersion": self._written.api_version,
            "kind": self._written.kind,
            "metadata": {"name": name},
            "spec": spec,
        }


def unsettled(cr: Json) -> str:
    """Why the children are not yet, or never will be, what the spec asks for; empty if they are."""
    for kind in sorted(_UPDATED):
        found = condition(cr, kind)
        if not is_current(cr, kind):
            return f"{kind} is not of generation {cr['metadata']['generation']}"
        if found["status"] != "True":
            return f"{kind} is {found['status']}: {found['reason']}: {found['message']}"
    return ""


def _resource_of(obj: Json) -> Resource:
    return SECRET if obj["kind"] == SECRET.kind else CONFIG_MAP
