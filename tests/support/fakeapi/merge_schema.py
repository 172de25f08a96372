# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How server-side apply merges each kind: which lists have keys, and what is replaced as a whole.

``merge_schema.json`` has what the API server's OpenAPI documents say of the kinds that the operator
touches, as far as it differs from the rule: objects merge by field, lists are replaced as a whole.
A test compares the file with a real API server. To write it again::

    python -m tests.support.fakeapi.merge_schema KUBECONFIG
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from api.crd import custom_resource_definition
from controller.llamastack.objects import kinds
from informers.ports import Resource
from llamastack_operator.election.lease import LEASES
from llamastack_operator.kube.config import Source, connect
from llamastack_operator.kube.rest import Client

FILE: Final = Path(__file__).with_name("merge_schema.json")

BUILT_IN: Final = (
    kinds.DEPLOYMENT,
    kinds.REPLICA_SET,
    kinds.POD,
    kinds.SERVICE,
    kinds.SERVICE_ACCOUNT,
    kinds.CONFIG_MAP,
    kinds.PERSISTENT_VOLUME_CLAIM,
    kinds.SECRET,
    kinds.AUTOSCALER,
    kinds.POD_DISRUPTION_BUDGET,
    kinds.INGRESS,
    kinds.NETWORK_POLICY,
    kinds.ROLE_BINDING,
    kinds.CLUSTER_ROLE,
    kinds.EVENT,
    LEASES,
)
"""The kinds of the API server itself."""

_META: Final = "ObjectMeta"


@dataclass(frozen=True)
class Node:
    """How a value is merged.

    Attributes:
        atomic: an object that is replaced as a whole.
        keys: of a list whose items are told apart by these fields.
        key_defaults: what an item has that does not say it.
        is_set: a list of distinct scalars.
        is_map: an object whose keys are data and no fields of a schema.
        fields: of an object, where they differ from the rule.
        items: of a list, or values of a map.
    """

    atomic: bool = False
    keys: tuple[str, ...] = ()
    key_defaults: Mapping[str, Any] = field(default_factory=dict)
    is_set: bool = False
    is_map: bool = False
    fields: Mapping[str, Node] = field(default_factory=dict)
    items: Node | None = None

    def child(self, element: str) -> Node:
        """Of what a path element of ``fieldsV1`` names."""
        if element.startswith("f:") and not self.is_map:
            return self.fields.get(element[2:], PLAIN)
        return self.items or PLAIN

    @property
    def is_list(self) -> bool:
        """Whether items of a list are merged one by one."""
        return self.is_set or bool(self.keys)


PLAIN: Final = Node()
"""The rule."""


def node_of(resource: Resource) -> Node:
    """How objects of a kind are merged; one without a schema has at least its metadata."""
    return _NODES.get(resource.kind) or Node(fields={"metadata": _NODES[_META]})


# --- from OpenAPI --------------------------------------------------------------------------------


def _definition(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a schema says of merging; empty where it follows the rule."""
    if "allOf" in schema:
        (schema,) = schema["allOf"]
    if "$ref" in schema:
        return {"is": _short(schema["$ref"])}
    if schema.get("x-kubernetes-map-type") == "atomic":
        return {"atomic": True}
    if schema.get("x-kubernetes-list-type") == "set":
        return {"set": True}
    if schema.get("x-kubernetes-list-type") == "map":
        return {"keys": schema["x-kubernetes-list-map-keys"], "items": schema["items"]}
    if isinstance(values := schema.get("additionalProperties"), Mapping):
        return {"map": True, "items": values}
    return {"fields": schema["properties"]} if schema.get("properties") else {}


def _short(name: str) -> str:
    return name.rpartition(".")[2]


class _Reader:
    """Makes compact definitions of OpenAPI schemas.

    Args:
        schemas: by short name.
    """

    def __init__(self, schemas: Mapping[str, Mapping[str, Any]]) -> None:
        self._schemas = schemas
        self.named: dict[str, Any] = {}

    def compact(self, schema: Mapping[str, Any]) -> Any:
        """A name, or a definition, or ``None`` where the rule holds."""
        found = _definition(schema)
        if "is" in found:
            return self.name(found["is"])
        if "fields" in found:
            fields = {name: self.compact(value) for name, value in found["fields"].items()}
            found["fields"] = {name: value for name, value in fields.items() if value}
        if "keys" in found:
            found["key_defaults"] = self._defaults(found["items"], found["keys"])
        if "items" in found:
            found["items"] = self.compact(found["items"])
        kept = {name: value for name, value in found.items() if value}
        return kept if kept.keys() != {"map"} else None

    def name(self, name: str) -> str | None:
        """The name of a schema, if that says anything; its definition is in `named` then."""
        if name not in self.named:
            self.named[name] = None
            self.named[name] = self.compact(self._schemas[name]) or None
        return name if self.named[name] else None

    def _defaults(self, items: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
        found = _definition(items)
        schema = self._schemas[found["is"]] if "is" in found else items
        fields = schema.get("properties", {})
        return {key: fields[key]["default"] for key in keys if "default" in fields.get(key, {})}


def definitions(documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The content of ``merge_schema.json``, from OpenAPI documents of version 3."""
    schemas: dict[str, Mapping[str, Any]] = {}
    names: dict[Resource, str] = {}
    for document in documents:
        for name, schema in document["components"]["schemas"].items():
            schemas[_short(name)] = schema
            for gvk in schema.get("x-kubernetes-group-version-kind", ()):
                for resource in BUILT_IN:
                    if gvk == {
                        "group": resource.group,
                        "version": resource.version,
                        "kind": resource.kind,
                    }:
                        names[resource] = _short(name)
    reader = _Reader(schemas)
    for resource in BUILT_IN:
        reader.name(names[resource])
    return {name: reader.named[name] for name in sorted(reader.named) if reader.named[name]}


async def documents(client: Client) -> list[Any]:
    """The OpenAPI documents of the groups that `BUILT_IN` is of."""
    roots = {resource.path().rpartition("/")[0] for resource in BUILT_IN}
    return [await client.request("GET", f"/openapi/v3{root}") for root in sorted(roots)]


# --- from the file -------------------------------------------------------------------------------


def _nodes() -> Iterator[tuple[str, Node]]:
    known = json.loads(FILE.read_text("utf-8"))

    def node(definition: Any) -> Node:
        if definition is None:
            return PLAIN
        if isinstance(definition, str):
            return node(known[definition])
        return Node(
            atomic=definition.get("atomic", False),
            keys=tuple(definition.get("keys", ())),
            key_defaults=definition.get("key_defaults", {}),
            is_set=definition.get("set", False),
            is_map=definition.get("map", False),
            fields={name: node(value) for name, value in definition.get("fields", {}).items()},
            items=node(definition.get("items")),
        )

    for name in known:
        yield name, node(name)
    # The storage version: the fake API server serves no other.
    (version,) = [v for v in custom_resource_definition()["spec"]["versions"] if v["storage"]]
    ours = _Reader({}).compact(version["schema"]["openAPIV3Schema"])
    ours["fields"]["metadata"] = _META
    yield kinds.LLAMA_STACK.kind, node(ours)


_NODES: Final = MappingProxyType(dict(_nodes())) if FILE.exists() else MappingProxyType({})


async def _write(kubeconfig: str) -> None:
    connection = await connect(Source(kubeconfig))
    async with Client(connection, user_agent="merge-schema") as client:
        found = definitions(await documents(client))
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in found.items())
    FILE.write_text(f"{{\n{lines}\n}}\n", "utf-8")


if __name__ == "__main__":
    asyncio.run(_write(sys.argv[1]))
