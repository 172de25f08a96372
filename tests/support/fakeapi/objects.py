# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What happens to single objects on their way into the store. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import orjson

from informers.ports import ObjectKey, Resource, key_of
from tests.support.fakeapi import failures, rules
from tests.support.fakecluster import FakeCluster

Json: TypeAlias = dict[str, Any]

_SYSTEM_FIELDS: Final = (
    *("namespace", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"),
    *("generation", "resourceVersion"),
)


def encoded(**values: str) -> dict[str, str]:
    """Data of a Secret."""
    return {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}


def copied(obj: Mapping[str, Any]) -> Json:
    """A deep copy."""
    copy = orjson.loads(orjson.dumps(obj))
    assert isinstance(copy, dict)
    return copy


def bare(obj: Json) -> Json:
    """As it is stored: its kind is its place."""
    return {name: value for name, value in obj.items() if name not in {"kind", "apiVersion"}}


def check_version(resource: Resource, live: Json, new: Json) -> None:
    """Whether a write is meant for this state of the object.

    Raises:
        Conflict: it is not.
    """
    wanted = new["metadata"].get("resourceVersion")
    if wanted and wanted != live["metadata"]["resourceVersion"]:
        raise failures.modified(resource, key_of(live).name)


def check_name(live: Json, new: Json) -> None:
    """Whether a write leaves the object its name.

    Raises:
        BadRequest: it does not.
    """
    name, other = key_of(live).name, new["metadata"].get("name")
    if other != name:
        raise failures.other_name(other, name)


def keep_system_fields(live: Json, new: Json) -> None:
    """Whatever was sent of them; another uid is refused later."""
    for name in _SYSTEM_FIELDS:
        replace_field(new["metadata"], name, live["metadata"])
    new["metadata"].setdefault("uid", live["metadata"]["uid"])


def replace_field(obj: Json, name: str, source: Json) -> None:
    """Take a field, or its absence, from another object."""
    obj.pop(name, None)
    if name in source:
        obj[name] = source[name]


def part(resource: Resource, obj: Json, subresource: str) -> Json:
    """What a write is about: a subresource alone, or the object without its status."""
    if subresource:
        return {name: value for name, value in obj.items() if name == subresource}
    mixed = resource in rules.WITH_STATUS
    return {name: value for name, value in obj.items() if name != "status" or not mixed}


def resets_managers(new: Json) -> bool:
    """Whether a write asks for managed fields to be forgotten."""
    return bool(new["metadata"].get("managedFields") == [{}])


def orphans(clusters: Mapping[Resource, FakeCluster]) -> Iterator[tuple[Resource, ObjectKey]]:
    """What has owners of which none is there any more, and is not leaving yet."""
    present = {
        obj["metadata"]["uid"] for cluster in clusters.values() for obj in cluster.objects.values()
    }
    for resource, cluster in clusters.items():
        for key, obj in cluster.objects.items():
            owners = obj["metadata"].get("ownerReferences") or ()
            leaving = obj["metadata"].get("deletionTimestamp")
            if owners and not leaving and not any(owner["uid"] in present for owner in owners):
                yield resource, key
