# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""An API server in memory: objects of any kind, as far as this operator touches them.

What it promises is what a property test finds true of it and of a real API server alike
(``tests/apiserver/test_fakeapi_honest.py``): optimistic concurrency, preconditions, server-side
apply with the ownership of fields, finalizers, immutable content, errors, and watches. It knows
nothing of schemas but how they merge, and refuses no content, except what `rules` has.

Everything is carried out at once. What a network adds, delays and failures, is the client's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from controller.llamastack.objects.kinds import LLAMA_STACK
from informers.ports import ObjectKey, Resource, key_of
from tests.support.fakeapi import failures, rules
from tests.support.fakeapi.field_sets import MalformedObject
from tests.support.fakeapi.managed_fields import (
    FieldsOwned,
    Manager,
    Managers,
    applied,
    entries_of,
    managers_of,
    updated,
    without_entries,
)
from tests.support.fakeapi.merge_schema import BUILT_IN, node_of
from tests.support.fakeapi.objects import (
    Json,
    bare,
    check_name,
    check_version,
    copied,
    keep_system_fields,
    orphans,
    part,
    replace_field,
    resets_managers,
)
from tests.support.fakeapi.patches import CannotPatch, json_patched, merge_patched
from tests.support.fakecluster import FakeCluster, Versions

Admission: TypeAlias = Callable[[Resource, Json | None, Json], Json]
"""Gets kind, old object and new object; returns what is stored, or raises."""

BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When the world begins, unless a clock says otherwise."""

USER: Final = "user"
"""Who writes if nobody says who."""

BEFORE: Final = "before-first-apply"
"""Who owns what was in an object that nobody owned until an apply came."""


def loop_clock() -> datetime:
    """A wall clock that goes as the event loop does, also on virtual time."""
    try:
        return BEGIN + timedelta(seconds=asyncio.get_running_loop().time())
    except RuntimeError:
        return BEGIN


class FakeApi:
    """Objects, and what may be done with them.

    Every method that writes raises members of ``informers.errors.StatusError``, as the API server
    answers, and returns a copy of the stored object.

    Args:
        served: kinds beside the usual ones.
        now: the wall clock.
        collects_garbage: whether objects go with their owners, in the same moment.

    Attributes:
        admission: called with every write before it is stored, in order.
        terminating: namespaces in which nothing can be created.
        everything_is_allowed: what the caller is told of its rights; nothing is refused for them.
        minor: of the version of Kubernetes.
    """

    def __init__(
        self,
        *served: Resource,
        now: Callable[[], datetime] = loop_clock,
        collects_garbage: bool = False,
    ) -> None:
        self.now = now
        self.versions = Versions()
        self._uids = 0
        self._collecting = False
        self.clusters: dict[Resource, FakeCluster] = {}
        self.admission: list[Admission] = []
        self.terminating: set[str] = set()
        self.everything_is_allowed = True
        self.minor = "35"
        self.collects_garbage = collects_garbage
        for resource in (LLAMA_STACK, *BUILT_IN, *served):
            self.serve(resource)

    def serve(self, resource: Resource) -> None:
        """As if its definition had been installed."""
        self.clusters[resource] = FakeCluster(resource, versions=self.versions)

    def cluster(self, resource: Resource) -> FakeCluster:
        """The objects of a kind, and their history.

        Raises:
            NotFound: it is not served.
        """
        try:
            return self.clusters[resource]
        except KeyError:
            raise failures.no_path() from None

    # --- reads -------------------------------------------------------------------------------

    def get(self, resource: Resource, key: ObjectKey) -> Json:
        """One object.

        Raises:
            NotFound: there is none.
        """
        found = self.find(resource, key)
        if found is None:
            raise failures.not_found(resource, key.name)
        return found

    def find(self, resource: Resource, key: ObjectKey) -> Json | None:
        """One object, or ``None``."""
        cluster = self.cluster(resource)
        found = cluster.objects.get(key)
        return None if found is None else cluster.stamped(found)

    def all(self, resource: Resource) -> list[Json]:
        """All objects of a kind, by key."""
        return [obj for _, obj in sorted(self.cluster(resource).state().items())]

    # --- what users do -----------------------------------------------------------------------

    def put(self, resource: Resource, key: ObjectKey, **content: Any) -> Json:
        """Create an object, or replace some of its fields; metadata are merged."""
        live = self.find(resource, key)
        base = live or {"metadata": {"name": key.name, "namespace": key.namespace}}
        metadata = {**base["metadata"], **content.pop("metadata", {})}
        manifest = {**base, **content, "metadata": metadata}
        return self.create(resource, manifest) if live is None else self.replace(resource, manifest)

    def put_status(self, resource: Resource, key: ObjectKey, **status: Any) -> Json:
        """Replace the status, as a controller of Kubernetes would."""
        manifest = {**self.get(resource, key), "status": status}
        return self.replace(resource, manifest, manager="kube", subresource="status")

    # --- writes ------------------------------------------------------------------------------

    def create(
        self, resource: Resource, manifest: Mapping[str, Any], *, manager: str = USER
    ) -> Json:
        """POST."""
        new, key = copied(manifest), key_of(manifest)
        if new["metadata"].get("resourceVersion"):
            raise failures.version_at_creation()
        if self.find(resource, key) is not None:
            raise failures.already_exists(resource, key.name)
        if resource in rules.WITH_STATUS:
            new.pop("status", None)
        new = rules.as_stored(resource, self._born(resource, key, without_entries(new)))
        writer = Manager(manager, "Update", resource.api_version)
        return self._store(resource, None, new, self._updated(resource, {}, new, {}, writer))

    def apply(
        self,
        resource: Resource,
        manifest: Mapping[str, Any],
        *,
        manager: str,
        subresource: str = "",
        force: bool = True,
    ) -> Json:
        """Server-side apply."""
        config, key = copied(manifest), key_of(manifest)
        live = self.find(resource, key)
        if live is None and subresource:
            raise failures.not_found(resource, key.name)
        if live is None and (uid := config["metadata"].get("uid")):
            why = f"the provided object specified uid {uid}, and no existing object was found"
            raise failures.conflict(resource, key.name, f"uid mismatch: {why}")
        writer = Manager(manager, "Apply", resource.api_version, subresource)
        base = without_entries(live) if live else {}
        managers: Managers = managers_of(live or {})
        if live is not None and not managers:
            before = Manager(BEFORE, "Update", resource.api_version, subresource)
            managers = self._updated(resource, {}, base, {}, before)
        try:
            new, managers = applied(
                base,
                part(resource, config, subresource),
                managers,
                writer,
                node=node_of(resource),
                time=self.timestamp(),
                force=force,
            )
        except MalformedObject as error:
            raise failures.malformed(resource, key, str(error)) from error
        except FieldsOwned as error:
            raise failures.fields_owned(error.conflicts) from error
        if live is None:
            new = self._born(resource, key, new)
            return self._store(resource, live, rules.as_stored(resource, new), managers)
        check_version(resource, live, config)
        if subresource:
            new = {**base, subresource: new.get(subresource, {})}
        else:
            keep_system_fields(base, new)
        return self._store(resource, live, rules.as_stored(resource, new), managers)

    def json_patch(
        self,
        resource: Resource,
        key: ObjectKey,
        operations: Iterable[Mapping[str, Any]],
        *,
        manager: str = USER,
        subresource: str = "",
    ) -> Json:
        """A patch of RFC 6902."""
        live = self.get(resource, key)
        try:
            new = json_patched(live, operations)
        except CannotPatch as error:
            raise failures.unprocessable(str(error)) from error
        return self._update(resource, live, new, manager, subresource)

    def merge_patch(
        self,
        resource: Resource,
        key: ObjectKey,
        patch: Mapping[str, Any],
        *,
        manager: str = USER,
        subresource: str = "",
    ) -> Json:
        """A patch of RFC 7386."""
        live = self.get(resource, key)
        return self._update(resource, live, merge_patched(live, patch), manager, subresource)

    def replace(
        self,
        resource: Resource,
        manifest: Mapping[str, Any],
        *,
        manager: str = USER,
        subresource: str = "",
    ) -> Json:
        """PUT."""
        live = self.get(resource, key_of(manifest))
        return self._update(resource, live, copied(manifest), manager, subresource)

    def delete(
        self, resource: Resource, key: ObjectKey, *, uid: str = "", resource_version: str = ""
    ) -> Json:
        """Background deletion; an object with finalizers only gets the mark."""
        live = self.get(resource, key)
        metadata = live["metadata"]
        for name, wanted in (("uid", uid), ("resourceVersion", resource_version)):
            if wanted and wanted != metadata[name]:
                raise failures.precondition(resource, key.name, name, wanted, metadata[name])
        if not metadata.get("finalizers"):
            return self._remove(resource, live)
        if metadata.get("deletionTimestamp"):
            return live
        marked = {
            **metadata,
            "deletionTimestamp": self.timestamp(),
            "deletionGracePeriodSeconds": 0,
        }
        if metadata.get("generation"):
            marked["generation"] = metadata["generation"] + 1
        cluster = self.cluster(resource)
        return cluster.stamped(cluster.record("MODIFIED", bare({**live, "metadata": marked})))

    def remove(self, resource: Resource, key: ObjectKey) -> None:
        """Delete an object, and do what its finalizers wait for."""
        left = self.delete(resource, key)
        if left["metadata"].get("finalizers"):
            self.replace(resource, {**left, "metadata": {**left["metadata"], "finalizers": []}})

    def collect_garbage(self) -> None:
        """Delete what has owners of which none is there any more."""
        if self._collecting:
            return  # whoever deletes here looks again
        self._collecting = True
        try:
            while found := list(orphans(self.clusters)):
                for resource, key in found:
                    self.delete(resource, key)
        finally:
            self._collecting = False

    # --- how a write ends --------------------------------------------------------------------

    def _update(
        self, resource: Resource, live: Json, new: Json, manager: str, subresource: str
    ) -> Json:
        check_version(resource, live, new)
        check_name(live, new)
        managers = {} if resets_managers(new) else managers_of(new) or managers_of(live)
        base, new = without_entries(live), without_entries(new)
        if subresource:
            new = {**base, subresource: new.get(subresource, {})}
        else:
            if resource in rules.WITH_STATUS:
                replace_field(new, "status", live)
            keep_system_fields(base, new)
        new = rules.as_stored(resource, new)
        writer = Manager(manager, "Update", resource.api_version, subresource)
        return self._store(
            resource, live, new, self._updated(resource, base, new, managers, writer)
        )

    def _updated(
        self, resource: Resource, old: Json, new: Json, managers: Managers, writer: Manager
    ) -> Managers:
        if old and not managers:
            return {}  # an object whose fields nobody owns stays like that until an apply
        return updated(
            part(resource, old, writer.subresource),
            part(resource, new, writer.subresource),
            managers,
            writer,
            node=node_of(resource),
            time=self.timestamp(),
        )

    def _store(self, resource: Resource, old: Json | None, new: Json, managers: Managers) -> Json:
        key = key_of(new)
        for admit in self.admission:
            new = admit(resource, old, new)
        if causes := list(rules.broken(resource, old, new)):
            raise failures.invalid(resource, key.name, *causes)
        metadata = new["metadata"]
        metadata["managedFields"] = entries_of(managers)
        if old is None and resource in rules.FINALIZERS:
            metadata["finalizers"] = [*metadata.get("finalizers", ()), rules.FINALIZERS[resource]]
        generation = rules.generation(resource, old, new)
        if generation is not None:
            metadata["generation"] = generation
        new = bare(new)
        if old is not None and new == bare(old):
            return old
        if old is not None and metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self._remove(resource, new)
            return self.cluster(resource).stamped(new)
        written = self.cluster(resource).record("ADDED" if old is None else "MODIFIED", new)
        return self.cluster(resource).stamped(written)

    def _remove(self, resource: Resource, obj: Json) -> Json:
        gone = self.cluster(resource).record("DELETED", bare(obj))
        if self.collects_garbage:
            self.collect_garbage()
        return self.cluster(resource).stamped(gone)

    def _born(self, resource: Resource, key: ObjectKey, obj: Json) -> Json:
        if key.namespace in self.terminating:
            raise failures.terminating(resource, key)
        self._uids += 1
        own = {"uid": f"uid-{self._uids}", "creationTimestamp": self.timestamp()}
        metadata = {n: v for n, v in obj["metadata"].items() if n != "resourceVersion"}
        return {**obj, "metadata": {**metadata, **own}}

    def timestamp(self) -> str:
        """Now, as objects say it."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
