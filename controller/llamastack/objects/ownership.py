# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""May we write this object? (R-D11, G12, G15).

An object is ours if this very resource controls it. There is one exception. The Go operator took
the owner references off a Deployment when ``userConfig`` left its resource, and from then on left
it alone (P-C1). Such an orphan is adopted if nobody can have made it but that operator, for the
resource of this name (decision 0024).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import api
from api.meta import is_controlled_by, owner_reference
from controller.llamastack.objects.kinds import (
    DEPLOYMENT,
    MANAGED_BY,
    MANAGED_BY_VALUE,
    PERSISTENT_VOLUME_CLAIM,
    RETAINED_FOR,
)
from informers.ports import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from controller.runtime.ports import Manifest
    from informers.ports import Object, Resource

PREDECESSOR = "manager"
"""Field manager of what the Go operator created: the name of its program."""


class ResourceConflict(Exception):
    """An object of a child's name belongs to somebody else; it is never touched."""

    def __init__(self, resource: Resource, obj: Object, cr: Object) -> None:
        key = key_of(obj)
        owner = controller_of(obj)
        whose = f'is controlled by {owner["kind"]} "{owner["name"]}"' if owner else "has no owner"
        super().__init__(
            f'{resource.kind} "{key.name}" in namespace "{key.namespace}" {whose} and is left '
            f'alone; delete or rename it, or give {api.KIND} "{key_of(cr).name}" another name'
        )


class BeingDeleted(Exception):
    """The object of a child's name is on its way out; the child can be made when it is gone."""

    def __init__(self, resource: Resource, obj: Object) -> None:
        super().__init__(f'{resource.kind} "{key_of(obj).name}" is being deleted')


def owner_reference_to(cr: Object) -> dict[str, Any]:
    """The controller reference that children carry.

    Always of the storage version, whichever version the resource was read in: the reference must
    not change between reconciles.
    """
    metadata = cr["metadata"]
    return owner_reference(
        api_version=f"{api.GROUP}/{api.VERSION}",
        kind=api.KIND,
        name=metadata["name"],
        uid=metadata["uid"],
    )


def controller_of(obj: Object) -> Mapping[str, Any] | None:
    """The owner reference of the object's controller."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def is_owned(obj: Object, cr: Object) -> bool:
    """Whether this very resource, not its namesake of yesterday, controls the object."""
    return is_controlled_by(obj, cr["metadata"]["uid"])


def is_retained(obj: Object, name: str) -> bool:
    """Whether a claim was kept for the resource of that name, whichever incarnation of it."""
    metadata = obj["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return (
        controller_of(obj) is None
        and labels.get(MANAGED_BY) == MANAGED_BY_VALUE
        and annotations.get(RETAINED_FOR) == name
    )


def belongs(resource: Resource, obj: Object, cr: Object) -> bool:
    """Whether an object is the resource's own: controlled by it, or a claim kept for it."""
    kept = resource == PERSISTENT_VOLUME_CLAIM and is_retained(obj, cr["metadata"]["name"])
    return kept or is_owned(obj, cr)


def is_written_by_predecessor(entry: Mapping[str, Any], cr_name: str) -> bool:
    """Whether the Go operator made an entry of managed fields.

    Args:
        entry: of an object that is not ours yet; many programs call themselves ``manager``.
        cr_name: name of the resource, under which that operator applied.
    """
    written_by = entry.get("manager"), entry.get("operation")
    return written_by in {(PREDECESSOR, "Update"), (cr_name, "Apply")}


def may_be_orphan(resource: Resource, wanted: Manifest, live: Object) -> bool:
    """Whether an object looks like one that lost its owner; a cached copy tells that much.

    Args:
        resource: its kind.
        wanted: what a resource asks for.
        live: what is there under that name.
    """
    metadata = live["metadata"]
    if resource != DEPLOYMENT or metadata.get("ownerReferences"):
        return False
    if metadata.get("deletionTimestamp"):
        return False
    has = (metadata.get("labels") or {}).items()
    is_alike = live["spec"].get("selector") == wanted["spec"]["selector"]
    return bool(is_alike and wanted["metadata"]["labels"].items() <= has)


def is_orphan(resource: Resource, wanted: Manifest, live: Object, cr_name: str) -> bool:
    """Whether the Go operator made an object for the resource of that name, and lost it.

    Args:
        resource: its kind.
        wanted: what the resource asks for.
        live: the object with its managed fields.
        cr_name: name of the resource.
    """
    return may_be_orphan(resource, wanted, live) and any(
        is_written_by_predecessor(entry, cr_name)
        for entry in live["metadata"].get("managedFields") or ()
        if not entry.get("subresource")
    )


def check_writable(resource: Resource, obj: Object, cr: Object) -> None:
    """Refuse what is not ours.

    Raises:
        ResourceConflict: somebody else's.
        BeingDeleted: ours, or our deleted namesake's, and about to vanish.
    """
    owner = controller_of(obj)
    if belongs(resource, obj, cr):
        if obj["metadata"].get("deletionTimestamp"):
            raise BeingDeleted(resource, obj)
        return
    namesake = (
        owner is not None
        and owner.get("kind") == api.KIND
        and owner.get("name") == cr["metadata"]["name"]
        and str(owner.get("apiVersion", "")).startswith(f"{api.GROUP}/")
    )
    if namesake:
        # The garbage collector removes what a deleted resource of the same name left behind.
        raise BeingDeleted(resource, obj)
    raise ResourceConflict(resource, obj, cr)
