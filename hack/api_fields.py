# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``make api-fields``: what the API says of the fields of children, for the operator to compare by.

Which maps and lists are one value (atomic), by which keys the entries of a list are told apart, and
which fields exclude each other: the first two, and a few of the last, are in the OpenAPI documents
of the API server; most of the last are only in descriptions and in the validation, so they are
listed here. ``tests/apiserver/test_field_groups.py`` proves each of them by dry runs, and finds
those that are missing.

python -m hack.api_fields            # start an API server, write the file
python -m hack.api_fields --check    # change nothing; exit 1 if the file is out of date
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from controller.llamastack.children.table import RESOURCES
from controller.llamastack.objects.kinds import CONFIG_MAP, ROUTE
from hack.cluster.binaries import obtain
from hack.cluster.client import Client
from hack.cluster.plane import ControlPlane, PlaneOptions
from hack.root import ROOT
from informers.ports import Resource

Json: TypeAlias = dict[str, Any]

PATH: Final = ROOT / "controller/llamastack/objects/data/api_fields.json"
"""What is made."""

_ALL: Final = "*"

EXCLUSIVE: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "apps.v1.DeploymentStrategy": (("type", "rollingUpdate"),),
    "core.v1.EnvVar": (("value", "valueFrom"),),
    "core.v1.EnvVarSource": ((_ALL,),),
    "core.v1.FCVolumeSource": (("targetWWNs", "wwids"),),
    "core.v1.FlockerVolumeSource": ((_ALL,),),
    "core.v1.LifecycleHandler": ((_ALL,),),
    "core.v1.PodResourceClaim": (("resourceClaimName", "resourceClaimTemplateName"),),
    "core.v1.Probe": (("exec", "grpc", "httpGet", "tcpSocket"),),
    "core.v1.SecurityContext": (("allowPrivilegeEscalation", "privileged"),),
    "core.v1.ServiceSpec": (
        (
            "type",
            "allocateLoadBalancerNodePorts",
            "externalTrafficPolicy",
            "healthCheckNodePort",
            "loadBalancerClass",
            "loadBalancerSourceRanges",
        ),
    ),
    "core.v1.Volume": ((_ALL, "-name"),),
    "core.v1.VolumeMount": (("subPath", "subPathExpr"),),
    "policy.v1.PodDisruptionBudgetSpec": (("maxUnavailable", "minAvailable"),),
}
"""By type: groups of fields of which one, or one set, excludes the others, by the validation."""

DEFAULTS: Final[Mapping[str, Mapping[str, object]]] = {
    "core.v1.HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "core.v1.ObjectFieldSelector": {"apiVersion": "v1"},
    "core.v1.ResourceFieldSelector": {"divisor": "0"},
    "core.v1.ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    "core.v1.PodCertificateProjection": {"maxExpirationSeconds": 86400},
}
"""What the API server fills in without a word in its OpenAPI documents, where a field more is a
difference: inside of atomic values, and among fields that are ours even when we leave them out."""

UNIQUE: Final[Mapping[str, Mapping[str, str]]] = {"core.v1.ServiceSpec": {"ports": "name"}}
"""By type and list: another field by which entries have to differ, besides the keys."""

DISJOINT: Final[Mapping[str, Mapping[str, str]]] = {"core.v1.ConfigMap": {"data": "binaryData"}}
"""By type: maps that must not share a key."""

_ROUTE_TYPES: Final[Mapping[str, Json]] = {
    "route.v1.Route": {
        "fields": {"metadata": {"type": "meta.v1.ObjectMeta"}, "spec": {"type": "route.v1.Spec"}}
    },
    "route.v1.Spec": {"fields": {"tls": {"type": "route.v1.TLSConfig"}}},
    "route.v1.TLSConfig": {
        "groups": [
            [
                "caCertificate",
                "certificate",
                "destinationCACertificate",
                "externalCertificate",
                "key",
                "termination",
            ]
        ]
    },
}
"""Of OpenShift, by its api/route/v1 and the validation of its library-go."""

_PREFIX: Final = re.compile(r"^io\.k8s\.(api|apimachinery\.pkg\.apis)\.")
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"


def api_fields(client: Client) -> Json:
    """The content of the file.

    Args:
        client: of an API server of the version that the tests use.
    """
    schemas: Json = {}
    kinds: dict[str, str] = {}
    for resource in (*RESOURCES, CONFIG_MAP):
        if resource == ROUTE:
            continue
        group = f"apis/{resource.group}" if resource.group else "api"
        document = client.get(f"/openapi/v3/{group}/{resource.version}")
        schemas |= document["components"]["schemas"]
        kinds[resource.kind] = root_of(resource, schemas)
    types = {
        short_name(name): made
        for name in sorted(_reached(kinds.values(), schemas))
        if (made := _type(name, schemas[name]))
    }
    named = {kind: short_name(name) for kind, name in kinds.items()}
    return {
        "kinds": {**named, ROUTE.kind: "route.v1.Route"},
        "types": _worth_telling({**types, **_ROUTE_TYPES}),
    }


def render(made: Json) -> str:
    """The text of the file: a line for each type, so that a change is easy to see."""
    kinds = json.dumps(made["kinds"], indent=4, sort_keys=True).replace("\n}", "\n  }")
    lines = [
        f"    {json.dumps(name)}: {json.dumps(told, sort_keys=True)}"
        for name, told in sorted(made["types"].items())
    ]
    types = ",\n".join(lines)
    return f'{{\n  "kinds": {kinds},\n  "types": {{\n{types}\n  }}\n}}\n'


def root_of(resource: Resource, schemas: Json) -> str:
    """The type of an object of a kind."""
    wanted = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    return next(
        name
        for name, schema in schemas.items()
        if schema.get("x-kubernetes-group-version-kind") == [wanted]
    )


def short_name(name: str) -> str:
    """Of a type."""
    return _PREFIX.sub("", name)


def type_of(schema: Json) -> str:
    """The type that a field is of; empty for a plain one."""
    whole = [schema, *schema.get("allOf", ())]
    return next((part["$ref"].rpartition("/")[2] for part in whole if "$ref" in part), "")


def _reached(names: Iterable[str], schemas: Json) -> set[str]:
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        for field, schema in schemas[name].get("properties", {}).items():
            if field != "status":
                left += references(schema)
    return found


def references(schema: Json) -> Iterator[str]:
    """The types that are in a field, itself, its items or its values."""
    if name := type_of(schema):
        yield name
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            yield from references(schema[part])


def _type(name: str, schema: Json) -> Json:
    """What is to be known of a type; empty if nothing is."""
    short, properties = short_name(name), schema.get("properties", {})
    made: Json = {}
    if schema.get("x-kubernetes-map-type") == "atomic":
        made["atomic"] = True
    fields = {
        field: told
        for field, part in properties.items()
        if field != "status" and (told := _field(part))
    }
    for field, other in UNIQUE.get(short, {}).items():
        fields[field]["unique"] = other
    if fields:
        made["fields"] = fields
    if short in DISJOINT:
        made["disjoint"] = DISJOINT[short]
    if groups := list(_groups(short, schema)):
        made["groups"] = groups
    defaults = {field: part["default"] for field, part in properties.items() if _is_default(part)}
    if defaults := {**defaults, **DEFAULTS.get(short, {})}:
        made["defaults"] = defaults
    return made


def _is_default(schema: Json) -> bool:
    return not isinstance(schema.get("default", {}), dict) and bool(schema["default"])


def _groups(short: str, schema: Json) -> Iterator[list[str]]:
    for union in schema.get("x-kubernetes-unions", ()):
        members = {*union["fields-to-discriminateBy"], union.get("discriminator", "")}
        yield sorted(members - {""})
    for listed in EXCLUSIVE.get(short, ()):
        fields = set(schema["properties"]) if _ALL in listed else set(listed)
        yield sorted(fields - {name[1:] for name in listed if name.startswith("-")})


def _field(schema: Json) -> Json:
    """What is to be known of a field; empty for a plain one."""
    made: Json = {}
    name = type_of(schema)
    if name == _QUANTITY:
        return {"quantity": True}
    if name:
        made["type"] = short_name(name)
    if isinstance(schema.get("additionalProperties"), dict):
        made["map"] = _field(schema["additionalProperties"])
    if schema.get("type") == "array":
        made["list"] = schema.get("x-kubernetes-list-type", "atomic")
        if keys := schema.get("x-kubernetes-list-map-keys"):
            made["keys"] = keys
        if items := _field(schema["items"]):
            made["items"] = items
    if schema.get("x-kubernetes-map-type") == "atomic":
        made["atomic"] = True
    return made


def _worth_telling(types: dict[str, Json]) -> dict[str, Json]:
    """Without references to types of which there is nothing to tell."""
    while True:
        kept = {name: facts for name, made in types.items() if (facts := _kept(made, types))}
        if kept == types:
            return kept
        types = kept


def _kept(made: Json, types: dict[str, Json]) -> Json:
    fields = {
        name: told
        for name, told in made.get("fields", {}).items()
        if set(told) != {"type"} or told["type"] in types
    }
    rest = {name: facts for name, facts in made.items() if name != "fields"}
    return {**rest, **({"fields": fields} if fields else {})}


def main(arguments: list[str]) -> int:
    """The program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m hack.api_fields")
    parser.add_argument("--check", action="store_true", help="change nothing")
    options = parser.parse_args(arguments)
    with ControlPlane(obtain(), PlaneOptions(controller_manager=False)) as plane:
        text = render(api_fields(plane.client))
    if PATH.exists() and PATH.read_text("utf-8") == text:
        print(f"{PATH.name} says what the API says")
        return 0
    if options.check:
        print(f"error: {PATH.name} is out of date: run `make api-fields`", file=sys.stderr)
        return 1
    PATH.write_text(text, "utf-8")
    print(f"{PATH.relative_to(ROOT)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
