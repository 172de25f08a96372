# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How the API reads the fields of children: what is one value, and what excludes what.

The facts are in ``data/api_fields.json``, which ``make api-fields`` makes from the API server's own
description of its types and a reviewed list of what only its validation says. What is added here is
a decision of ours, which docs/operations.md tells users: fields that say what our containers are
and how they are asked, and that therefore are ours even when we leave them empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from importlib import resources
from itertools import chain
from typing import Any, Final

import orjson

OURS: Final[Mapping[str, tuple[str, ...]]] = {
    "core.v1.Capabilities": ("add", "drop"),
    "core.v1.ConfigMapVolumeSource": ("name", "items", "optional"),
    "core.v1.Container": (
        "name",
        "args",
        "command",
        "image",
        "lifecycle",
        "livenessProbe",
        "ports",
        "readinessProbe",
        "restartPolicy",
        "startupProbe",
        "workingDir",
    ),
    "core.v1.EnvVar": ("name", "value", "valueFrom"),
    "core.v1.HTTPGetAction": ("port", "host", "httpHeaders", "path", "scheme"),
    "core.v1.Lifecycle": ("postStart", "preStop", "stopSignal"),
    "core.v1.PodSpec": ("containers", "os"),
    "core.v1.SecretVolumeSource": ("secretName", "items", "optional"),
    "core.v1.SecurityContext": ("allowPrivilegeEscalation", "privileged"),
    "core.v1.ServiceSpec": ("type", "externalName"),
    "core.v1.VolumeMount": (
        "mountPath",
        "mountPropagation",
        "readOnly",
        "recursiveReadOnly",
        "subPath",
        "subPathExpr",
    ),
    "route.v1.Spec": ("to", "path"),
}
"""By type: fields that whoever sends the first of them decides together. One that we leave out is
removed when somebody sets it. Everything else that we do not send is free for others."""

OUR_LISTS: Final[Mapping[str, frozenset[str]]] = {"core.v1.Container": frozenset({"ports"})}
"""By type: lists of named entries in which others may have none of their own."""

EXPLICIT: Final[Mapping[str, frozenset[str]]] = {
    "core.v1.PodSecurityContext": frozenset({"runAsNonRoot"}),
    "core.v1.PodSpec": frozenset({"automountServiceAccountToken", "enableServiceLinks"}),
    "core.v1.SecurityContext": frozenset(
        {"allowPrivilegeEscalation", "privileged", "readOnlyRootFilesystem", "runAsNonRoot"}
    ),
}
"""By type: fields for which no value is not the same as ``false``, unlike everywhere else."""


class Form(Enum):
    """What a value is, as far as comparing it goes."""

    PLAIN = auto()
    STRUCT = auto()
    MAP = auto()
    ENTRIES = auto()
    SET = auto()
    QUANTITY = auto()


@dataclass(slots=True)
class Shape:
    """How a value is compared.

    Attributes:
        form: of a value; a list is ``PLAIN`` if its order and length count.
        atomic: whether it is one value, so that a key more makes it another one.
        fields: of a struct, as far as there is something to know of them.
        items: of a map or a list.
        keys: by which the entries of a list are told apart.
        unique: another field by which they have to differ; empty without.
        closed: whether a list may have no entries of others.
        groups: of a struct, by field: those that exclude it, or with which it is ours even when
            empty, and itself.
        explicit: fields of a struct for which no value is not ``false``.
        disjoint: maps of a struct, and others that must not share a key with them.
        defaults: what the API server fills in, which is no difference inside of one value.
    """

    form: Form = Form.PLAIN
    atomic: bool = False
    fields: dict[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    keys: tuple[str, ...] = ()
    unique: str = ""
    closed: bool = False
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    explicit: frozenset[str] = frozenset()
    disjoint: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, object] = field(default_factory=dict)


UNKNOWN: Final = Shape()
"""Of a field of which nothing is known, or nothing needs to be."""


@cache
def shape_of(kind: str) -> Shape:
    """The shape of a child, by its kind; a plain one for a kind that is none."""
    name = _facts()["kinds"].get(kind)
    return _type(name) if name else UNKNOWN


@cache
def _facts() -> dict[str, Any]:
    path = resources.files("controller.llamastack.objects").joinpath("data/api_fields.json")
    facts: dict[str, Any] = orjson.loads(path.read_bytes())
    return facts


@cache
def _type(name: str) -> Shape:
    facts = _facts()["types"].get(name, {})
    groups = [*facts.get("groups", ()), *([OURS[name]] if name in OURS else [])]
    shape = Shape(
        Form.STRUCT,
        atomic=facts.get("atomic", False),
        groups={one: group for group in _disjoint(groups) for one in group},
        explicit=EXPLICIT.get(name, frozenset()),
        disjoint=facts.get("disjoint", {}),
        defaults=facts.get("defaults", {}),
    )
    for field_name, told in facts.get("fields", {}).items():
        closed = field_name in OUR_LISTS.get(name, ())
        shape.fields[field_name] = _field(told, closed=closed)
    return shape


def _disjoint(groups: Iterable[Iterable[str]]) -> list[frozenset[str]]:
    """Groups that share a field are one."""
    found: list[frozenset[str]] = []
    for group in groups:
        shared = [one for one in found if not one.isdisjoint(group)]
        found = [one for one in found if one not in shared]
        found.append(frozenset(chain(group, *shared)))
    return found


def _field(told: Mapping[str, Any], *, closed: bool = False) -> Shape:
    atomic = told.get("atomic", False)
    if "quantity" in told:
        return Shape(Form.QUANTITY)
    if "map" in told:
        return Shape(Form.MAP, atomic=atomic, items=_field(told["map"]))
    if "list" in told:
        forms = {"map": Form.ENTRIES, "set": Form.SET}
        return Shape(
            forms.get(told["list"], Form.PLAIN),
            items=_field(told["items"]) if "items" in told else UNKNOWN,
            keys=tuple(told.get("keys", ())),
            unique=told.get("unique", ""),
            closed=closed,
        )
    return _type(told["type"]) if "type" in told else UNKNOWN
