# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Field ownership of objects that were not written by server-side apply from the start (G7).

A field that entered an object by create or update belongs to an ``Update`` entry in
``managedFields``, and an apply that leaves it out does not remove it. So before the first apply
to such an object these entries are folded into our ``Apply`` entry; then whatever we no longer
send really goes. The same step adopts objects of the Go operator, whose entries are named
``manager`` (create) and after the resource (apply).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.llamastack.objects.guard import guarded
from controller.llamastack.objects.kinds import APPLIED_HASH, FIELD_MANAGER
from controller.llamastack.objects.ownership import is_written_by_predecessor

if TYPE_CHECKING:
    from informers.ports import Object


def ownership_patch(live: Object, *, cr_name: str) -> list[dict[str, Any]]:
    """JSON patch that makes the fields ours; empty if there is nothing to do.

    Args:
        live: the object with its managed fields (cached copies have none).
        cr_name: name of the resource, which the Go operator used as a field manager.
    """
    metadata = live["metadata"]
    entries = metadata.get("managedFields") or []
    adopted = APPLIED_HASH not in (metadata.get("annotations") or {})
    foldable = [e for e in entries if _is_ours(e, adopted=adopted, cr_name=cr_name)]
    if not foldable:
        return []
    ours = next((e for e in entries if _is_applied_by(e, FIELD_MANAGER)), None)
    folded = dict(ours or foldable[0])
    folded["manager"], folded["operation"] = FIELD_MANAGER, "Apply"
    fields: dict[str, Any] = {}
    for entry in [*foldable, *([ours] if ours else [])]:
        fields = _union(fields, entry.get("fieldsV1") or {})
    folded["fieldsV1"] = fields
    rest = [e for e in entries if e not in foldable and e is not ours]
    merged = {"op": "replace", "path": "/metadata/managedFields", "value": [folded, *rest]}
    return guarded(live, [merged])


def _is_ours(entry: dict[str, Any], *, adopted: bool, cr_name: str) -> bool:
    if entry.get("subresource"):
        return False
    if (entry.get("manager"), entry.get("operation")) == (FIELD_MANAGER, "Update"):
        return True
    return adopted and is_written_by_predecessor(entry, cr_name)


def _is_applied_by(entry: dict[str, Any], manager: str) -> bool:
    return (
        entry.get("manager") == manager
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
    )


def _union(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """The union of two fieldsV1 trees."""
    merged = dict(a)
    for name, value in b.items():
        merged[name] = _union(merged[name], value) if name in merged else value
    return merged
