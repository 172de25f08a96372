# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""HTTP requests to the API server as calls: which verb on what. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from informers.ports import ObjectKey, Resource
from tests.support.fakeapi.failures import no_path

_PATCHES: Final = {
    "application/apply-patch+yaml": "apply",
    "application/json-patch+json": "json-patch",
    "application/merge-patch+json": "merge-patch",
}
_VERBS: Final = {"POST": "create", "PUT": "update", "DELETE": "delete"}


@dataclass(frozen=True)
class HttpRequest:
    """As it would go over a network."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any = None
    content_type: str = ""
    accept: str = ""


@dataclass(frozen=True)
class Call:
    """A request about objects.

    Attributes:
        verb: get, list, watch, create, update, apply, json-patch, merge-patch or delete.
        resource: their kind.
        key: of the object; of a collection the namespace alone.
        subresource: e.g. ``status``.
        manager: who writes, for managed fields.
        at: when, on the loop's clock.
    """

    verb: str
    resource: Resource
    key: ObjectKey
    subresource: str = ""
    manager: str = ""
    at: float = 0.0

    def __str__(self) -> str:
        what = "/".join(part for part in (str(self.resource), self.subresource) if part)
        return f"{self.verb} {what} {self.key}"


def read_call(served: Iterable[Resource], request: HttpRequest, at: float) -> Call:
    """The call that a request is.

    Raises:
        NotFound: nothing is served at that path.
    """
    resource, namespace, name, subresource = _target(served, request.path)
    if request.method == "POST":
        name = request.body["metadata"]["name"]
    return Call(
        _verb(request, name),
        resource,
        ObjectKey(namespace, name),
        subresource,
        request.query.get("fieldManager", ""),
        at,
    )


def _verb(request: HttpRequest, name: str) -> str:
    if request.method == "GET":
        return "get" if name else ("watch" if request.query.get("watch") else "list")
    if request.method == "PATCH":
        return _PATCHES[request.content_type]
    return _VERBS[request.method]


def _target(served: Iterable[Resource], path: str) -> tuple[Resource, str, str, str]:
    root, *rest = path.strip("/").split("/")
    group = rest.pop(0) if root == "apis" and rest else ""
    version = rest.pop(0) if rest else ""
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = [*rest, "", "", ""][:3]
    known = [r for r in served if (r.group, r.version) == (group, version)]
    for resource in known:
        if resource.plural == plural:
            return resource, namespace, name, subresource
    raise no_path(of_known_group=bool(known))
