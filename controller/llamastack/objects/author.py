# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which version the author of a resource writes.

Resources are read in the hub version, whatever they were written in, so what we tell about a field
would name a path that the author of a v1alpha1 manifest has never seen. Managed fields say in which
version the spec was last written; of them no more than that is kept in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from api import GROUP, OLD_VERSION
from api.conversion import convert
from api.conversion.paths import WrittenPaths
from informers.transforms import drop_noise

if TYPE_CHECKING:
    from informers.ports import Object

_OLD: Final = f"{GROUP}/{OLD_VERSION}"
_WITH_MESSAGES: Final = ("conditions", "externalProviders")


def keep_version(obj: dict[str, Any]) -> Object:
    """A resource without noise, but with the version that it was written in, if that is v1alpha1.

    A transform of an informer: the object may be changed.
    """
    written_in = _written_in(obj)
    kept = drop_noise(obj)
    if written_in == _OLD:
        kept["metadata"]["managedFields"] = [{"apiVersion": _OLD}]
    return kept


def in_version_of_author(status: dict[str, Any], obj: Object) -> dict[str, Any]:
    """A status whose messages name fields as the author of the resource wrote them."""
    if not writes_v1alpha1(obj):
        return status
    paths = WrittenPaths(view_of(obj))
    told = {
        field: [{**each, "message": paths.text(each["message"])} for each in status[field]]
        for field in _WITH_MESSAGES
        if status.get(field)
    }
    return {**status, **told} if told else status


def note_to_author(note: str, obj: Object) -> str:
    """The note of an Event, likewise."""
    return WrittenPaths(view_of(obj)).text(note) if note and writes_v1alpha1(obj) else note


def writes_v1alpha1(obj: Object) -> bool:
    """Whether the author of a cached resource writes v1alpha1."""
    return bool(obj["metadata"].get("managedFields") == [{"apiVersion": _OLD}])


def view_of(obj: Object) -> dict[str, Any]:
    """The resource as its author sees it, without its status."""
    return convert({part: obj[part] for part in obj if part != "status"}, OLD_VERSION)


def _written_in(obj: Mapping[str, Any]) -> str:
    """The version of the last write to the spec; empty if nobody knows."""
    entries = [
        entry
        for entry in obj["metadata"].get("managedFields") or ()
        if "f:spec" in (entry.get("fieldsV1") or ()) and not entry.get("subresource")
    ]
    # The API server sorts them by time, and what has the same time by name.
    last = max(entries, key=lambda entry: entry.get("time") or "", default=None)
    return str(last.get("apiVersion")) if last else ""
