# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A small, faithful model of LIST and WATCH: history, snapshots, compaction, bookmarks.

:class:`FakeCluster` holds the objects of one resource and everything that ever happened to them.
It answers questions and has no I/O, so that sans-I/O tests can drive a reflector with it;
``fakelist`` puts it behind a port and ``fakehttp`` behind a socket. What is modelled follows
kube-apiserver 1.36:

* one counter of versions; a list is a snapshot; pages of one list share it, and a continue token
  expires when its snapshot is compacted;
* "not older than" a version that does not exist yet is ResourceVersionTooLarge; a watch from there
  is accepted and silent; a watch from a compacted version is 410, as status or as ERROR event;
* a streaming list sends ADDED in no particular order, then the annotated bookmark;
* items of lists carry no kind (built-in resources).
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from informers.decoder import INITIAL_EVENTS_END
from informers.errors import Gone, Invalid, ResourceVersionTooLarge
from informers.ports import ObjectKey, Page, Resource
from tests.support.selection import EVERYTHING, Selection

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps")

Json = dict[str, Any]


class Versions:
    """The counter of versions, which the resources of one API server share."""

    def __init__(self) -> None:
        self.current = 100

    def next(self) -> int:
        """Something was written."""
        self.current += 1
        return self.current


class Happening(NamedTuple):
    """One entry of the history.

    Attributes:
        version: of the event; of the present for what is sent without one.
        data: the event's line.
        live: no event, but a bookmark or the like: only for watches that are open.
        change: type, object and old object of an event.
    """

    version: int
    data: bytes
    live: bool = False
    change: tuple[str, Json, Json | None] | None = None


def too_large(wanted: int, current: int) -> ResourceVersionTooLarge:
    """What the API server says to a version from the future."""
    return ResourceVersionTooLarge(
        f"Too large resource version: {wanted}, current: {current}",
        code=504,
        reason="Timeout",
        retry_after=1.0,
        causes=(("ResourceVersionTooLarge", "", "Too large resource version"),),
    )


def expired() -> Gone:
    """What the API server says to a version from before the last compaction."""
    return Gone("too old resource version", code=410, reason="Expired")


def line(type_: str, obj: Mapping[str, Any]) -> bytes:
    """One watch event, with its newline."""
    return orjson.dumps({"type": type_, "object": obj}) + b"\n"


class FakeCluster:
    """The objects of one resource and their history.

    Args:
        resource: their kind.
        versions: the counter; one of its own if there is no other resource.
        streaming: whether streaming lists are known.
        expired_as_event: 410 comes as an ERROR event after a 200, instead of as a status.
    """

    def __init__(
        self,
        resource: Resource = CONFIG_MAPS,
        *,
        versions: Versions | None = None,
        streaming: bool = True,
        expired_as_event: bool = False,
    ) -> None:
        self.resource = resource
        self.streaming = streaming
        self.expired_as_event = expired_as_event
        self.versions = versions or Versions()
        self.compacted = 0  # watches and tokens from before this version are refused
        self.objects: dict[ObjectKey, Json] = {}
        self.history: list[Happening] = []
        self._uids = 0
        self._snapshots: dict[int, list[Json]] = {}
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def version(self) -> int:
        """Of the present."""
        return self.versions.current

    @version.setter
    def version(self, version: int) -> None:
        self.versions.current = version

    # --- what users do ---------------------------------------------------------------------

    def create(self, name: str, namespace: str = "default", **fields: Any) -> Json:
        """Create an object; further fields go to the top level."""
        self._uids += 1
        metadata: Json = {"name": name, "uid": f"uid-{self._uids}"}
        if self.resource.namespaced:
            metadata["namespace"] = namespace
        return self.record("ADDED", {"metadata": metadata, **fields})

    def update(self, name: str, namespace: str = "default", **fields: Any) -> Json:
        """Change fields of an object; ``metadata`` is merged."""
        obj = self.objects[self.key(name, namespace)]
        metadata = {**obj["metadata"], **fields.pop("metadata", {})}
        return self.record("MODIFIED", {**obj, **fields, "metadata": metadata})

    def delete(self, name: str, namespace: str = "default") -> Json:
        """Delete an object."""
        return self.record("DELETED", self.objects[self.key(name, namespace)])

    def key(self, name: str, namespace: str = "default") -> ObjectKey:
        """The key of an object of this resource."""
        return ObjectKey(namespace if self.resource.namespaced else "", name)

    def elsewhere(self, writes: int = 1) -> None:
        """Something happened to other resources: the counter moves, nothing here does."""
        self.version += writes

    def bookmark(self) -> None:
        """Send a bookmark with the current version to every watch."""
        self._happened(Happening(self.version, self.present(), live=True))

    def inject(self, data: bytes) -> None:
        """Send arbitrary bytes to every watch, as if they were an event."""
        self._happened(Happening(self.version, data, live=True))

    def compact(self) -> None:
        """Forget history: only the present can be watched or paged from now on."""
        self.compacted = self.version
        self._snapshots.clear()

    def restore(self, version: int, objects: Mapping[ObjectKey, Json]) -> None:
        """As etcd restored from a backup: an earlier version, other objects, no history."""
        self.version = self.compacted = version
        self.objects = {key: _copy(obj) for key, obj in objects.items()}
        self.history.clear()
        self._snapshots.clear()

    # --- what the API server answers -------------------------------------------------------

    def state(self) -> dict[ObjectKey, Json]:
        """A copy of all objects, with kind."""
        return {key: self.stamped(obj) for key, obj in self.objects.items()}

    def page(
        self,
        resource_version: str | None,
        limit: int | None,
        token: str,
        selection: Selection = EVERYTHING,
    ) -> Page:
        """Answer to a LIST.

        Raises:
            ResourceVersionTooLarge, Gone: as the API server.
        """
        if token:
            version, offset = (int(part) for part in token.split(":"))
            if version not in self._snapshots:
                raise expired()
        else:
            if resource_version is not None and int(resource_version) > self.version:
                raise too_large(int(resource_version), self.version)
            version, offset = self.version, 0
            self._snapshots[version] = [_copy(self.objects[key]) for key in sorted(self.objects)]
        snapshot = [obj for obj in self._snapshots[version] if selection.matches(obj)]
        end = len(snapshot) if limit is None else offset + limit
        following = f"{version}:{end}" if end < len(snapshot) else ""
        items = tuple(selection.shape(_copy(obj)) for obj in snapshot[offset:end])
        return Page(items, str(version), following)

    def initial(
        self, resource_version: str | None, selection: Selection = EVERYTHING
    ) -> Iterator[bytes]:
        """The lines of a streaming list.

        Raises:
            Invalid: streaming lists are not known.
            ResourceVersionTooLarge: as the API server.
        """
        if not self.streaming:
            raise Invalid("sendInitialEvents is forbidden", code=422, reason="Invalid")
        if resource_version is not None and int(resource_version) > self.version:
            raise too_large(int(resource_version), self.version)
        # By uid from the newest: certainly not in the order of versions.
        newest = sorted(self.objects.values(), key=lambda o: o["metadata"]["uid"], reverse=True)
        for obj in newest:
            if selection.matches(obj):
                yield line("ADDED", selection.shape(self.stamped(obj)))
        yield self._bookmark(self.version, {INITIAL_EVENTS_END: "true"})

    def present(self) -> bytes:
        """A bookmark with the current version."""
        return self._bookmark(self.version)

    def check_watch(self, resource_version: str) -> bytes:
        """Whether a watch may begin there: nothing, or the ERROR event that it gets instead.

        Raises:
            Gone: the version was compacted away.
        """
        if int(resource_version) >= self.compacted:
            return b""
        if not self.expired_as_event:
            raise expired()
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
        return line("ERROR", status)

    def position(self, version: int) -> int:
        """The place in the history where a watch from this version begins."""
        return bisect_right(self.history, version, key=lambda happening: happening.version)

    def events_from(
        self, position: int, version: int, selection: Selection = EVERYTHING
    ) -> list[bytes]:
        """What a watch from ``version`` is sent of the history from ``position`` on."""
        return [
            data
            for happening in self.history[position:]
            if happening.version > version or (happening.live and happening.version == version)
            if (data := self._as_seen(happening, selection))
        ]

    def _as_seen(self, happening: Happening, selection: Selection) -> bytes:
        if happening.change is None or selection is EVERYTHING:
            return happening.data
        event = selection.event(*happening.change)
        return line(event[0], selection.shape(self.stamped(event[1]))) if event else b""

    async def something(self) -> None:
        """Until something happens."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        finally:
            self._waiting.remove(future)

    # ---------------------------------------------------------------------------------------

    def record(self, type_: str, obj: Mapping[str, Any]) -> Json:
        """An object was written: it gets a new version, and watches are told.

        Args:
            type_: ADDED, MODIFIED or DELETED.
            obj: after; the last state of a deleted object.
        """
        version = self.versions.next()
        written = _copy(obj)
        written["metadata"]["resourceVersion"] = str(version)
        key = self.key(written["metadata"]["name"], written["metadata"].get("namespace", ""))
        old = self.objects.pop(key, None)
        if type_ != "DELETED":
            self.objects[key] = written
        change = (type_, written, old)
        self._happened(Happening(version, line(type_, self.stamped(written)), change=change))
        return _copy(written)

    def _happened(self, happening: Happening) -> None:
        self.history.append(happening)
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    def stamped(self, obj: Mapping[str, Any]) -> Json:
        """A copy with kind and apiVersion."""
        return {
            "kind": self.resource.kind,
            "apiVersion": self.resource.api_version,
            **_copy(obj),
        }

    def _bookmark(self, version: int, annotations: Json | None = None) -> bytes:
        metadata: Json = {"resourceVersion": str(version)}
        if annotations:
            metadata["annotations"] = annotations
        return line("BOOKMARK", self.stamped({"metadata": metadata}))


def _copy(obj: Mapping[str, Any]) -> Json:
    copied = orjson.loads(orjson.dumps(obj))
    assert isinstance(copied, dict)
    return copied
