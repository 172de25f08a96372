# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What every object has: metadata, owner references, and the type of a condition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from api.conditions import MAX_MESSAGE, ConditionStatus
from api.model import ApiModel, Bool, Int64, Timestamp


class OwnerReference(ApiModel):
    """Who owns an object."""

    api_version: str
    """Group and version of the owner."""

    kind: str
    """Kind of the owner."""

    name: str
    """Name of the owner, in the same namespace or cluster scoped."""

    uid: str
    """What tells the owner from an older object of the same name."""

    controller: Bool = False
    """Whether this is the one owner that manages the object."""


class ObjectMeta(ApiModel):
    """The metadata that we read. Everything else stays in the raw object."""

    name: str = ""
    """Empty only in a manifest that asks for ``generateName``."""

    generate_name: str = ""
    """Prefix of a name that the API server makes up."""

    namespace: str = ""
    """Empty in a manifest that leaves the namespace to kubectl."""

    uid: str = ""
    """Tells an object from a later one of the same name."""

    generation: Int64 = 0
    """Changes with the spec, never with metadata or status."""

    resource_version: str = ""
    """Opaque."""

    creation_timestamp: str | None = None
    """RFC 3339."""

    deletion_timestamp: str | None = None
    """RFC 3339; set while the object is being deleted."""

    labels: dict[str, str] = Field(default_factory=dict)
    """Labels."""

    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations."""

    finalizers: tuple[str, ...] = ()
    """What must happen before the object is gone."""

    owner_references: tuple[OwnerReference, ...] = ()
    """Owners."""


class Condition(ApiModel):
    """One aspect of the state of the resource."""

    type: Annotated[
        str,
        Field(
            max_length=316,
            pattern=(
                r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
                r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
            ),
        ),
    ]
    """Name of the aspect, e.g. ConfigGenerated."""

    status: ConditionStatus
    """True, False or Unknown."""

    reason: Annotated[
        str,
        Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"),
    ]
    """Why, in one word for programs."""

    message: Annotated[str, Field(max_length=MAX_MESSAGE)]
    """Why, in a sentence for people: which field, which object, what to do."""

    last_transition_time: Timestamp
    """When status last changed."""

    observed_generation: Annotated[Int64, Field(ge=0)] = 0
    """The generation of the spec that this was judged by."""


def owner_reference(*, api_version: str, kind: str, name: str, uid: str) -> dict[str, Any]:
    """The controller reference that a child carries.

    ``blockOwnerDeletion`` is set as the garbage collector wants it for foreground deletion.
    """
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_controlled_by(obj: Mapping[str, Any], uid: str) -> bool:
    """Whether the object's controller reference is the owner with that uid.

    By uid, not by name: a deleted and recreated owner is somebody else. Takes raw objects of any
    kind, so it does not assume that they are well formed.
    """
    metadata = obj.get("metadata")
    references = metadata.get("ownerReferences") if isinstance(metadata, Mapping) else None
    return any(
        isinstance(reference, Mapping)
        and reference.get("controller") is True
        and reference.get("uid") == uid
        for reference in references or ()
    )
