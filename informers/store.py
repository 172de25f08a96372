# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the cluster looks like, as far as we have seen: objects by key, indices, position.

Sans-I/O: every mutation returns the changes for the handlers, after the store and its indices have
moved (B2). A list replaces everything atomically and is reported as the difference to what was
there: vanished objects first, as deletes whose final state is unknown (client-go's tombstones),
then additions and updates. An object with an unchanged uid and resourceVersion is no change, and
the old copy stays, so that a relist costs no memory.

**Objects of interest.** With a ``keep`` predicate the store holds only what somebody refers to,
so that its size is bounded by the references and not by the cluster. For the others the store
has no memory, hence:

* ADDED and MODIFIED are reported as additions, each time; DELETED as a delete.
* A list reports each of them as an addition, because it cannot know whether it is new; what
  vanished while nobody watched is not reported, because nobody referred to it.
* An object that stops being of interest by its own change is reported as an update, since its
  old state is known, and dropped. :meth:`Store.refilter` drops those that stopped being of
  interest because the predicate changed; nothing happened to them, so nothing is reported.
* An object that *starts* to be of interest is absent until its next event. Whoever refers to it
  reads it live, because absence here never proves absence there, and hands the answer to
  :meth:`Store.offer`, which refuses it if the object may have changed or gone meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from informers import resource_version as rv
from informers.indexers import IndexFunc, Indices
from informers.ports import Object, ObjectKey, key_of

_PASSED_LIMIT = 1024
"""Events remembered for :meth:`Store.offer`; beyond that offers are refused, not believed."""


@dataclass(frozen=True, slots=True)
class Added:
    """An object appeared.

    Attributes:
        obj: its state.
        listed: it was part of a list, but whether it is new is unknown (see ``keep``).
    """

    obj: Object
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Updated:
    """An object changed; with a new uid it was deleted and created again (B1)."""

    old: Object
    new: Object


@dataclass(frozen=True, slots=True)
class Deleted:
    """An object is not visible any more.

    Attributes:
        obj: its final state, or the last one known.
        final_state_unknown: it vanished while nobody watched.
    """

    obj: Object
    final_state_unknown: bool = False


Change: TypeAlias = Added | Updated | Deleted


def _keep_all(obj: Object) -> bool:
    return True


def _raise(what: str, key: ObjectKey, error: Exception) -> None:
    raise error


class Store:
    """Objects by key. Reads are for everybody, mutations for the informer.

    What comes out is read-only (B8): copy to change.

    Args:
        indexers: index functions by name.
        keep: which objects to hold; see the module's docstring. Must not change its answer
            during a call.
        on_error: told when an index function (by name) or ``keep`` raises: who, key, exception.
            An object whose ``keep`` fails is held: more memory is better than a lost object.
    """

    def __init__(
        self,
        *,
        indexers: Mapping[str, IndexFunc] | None = None,
        keep: Callable[[Object], bool] | None = None,
        on_error: Callable[[str, ObjectKey, Exception], None] = _raise,
    ) -> None:
        self._objects: dict[ObjectKey, Object] = {}
        self._indices = Indices(indexers or {}, on_error)
        self._keep = keep or _keep_all
        self._on_error = on_error
        self._seen_up_to = ""
        self._clock = 0  # counts lists and what passed
        self._replaced_at = 0
        # When something happened to an object that is not held, oldest first.
        self._passed: dict[ObjectKey, int] = {}
        self._forgotten_at = 0

    # --- reads -----------------------------------------------------------------------------

    def get(self, key: ObjectKey) -> Object | None:
        """The object, or ``None`` if it is not here, which does not prove that it is nowhere."""
        return self._objects.get(key)

    def by_index(self, index: str, value: str) -> list[Object]:
        """The objects that an index files under a value.

        Raises:
            KeyError: no such index; a programming error (B7).
        """
        return [self._objects[key] for key in self._indices.keys(index, value)]

    def keys(self) -> list[ObjectKey]:
        """The keys of all objects."""
        return list(self._objects)

    def values(self) -> list[Object]:
        """All objects."""
        return list(self._objects.values())

    def items(self) -> list[tuple[ObjectKey, Object]]:
        """All objects with their keys."""
        return list(self._objects.items())

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, key: object) -> bool:
        return key in self._objects

    @property
    def seen_up_to(self) -> str:
        """The resource version up to which everything has been seen; empty before the first list.

        Moved by lists, events and bookmarks (B13).
        """
        return self._seen_up_to

    def reached(self, resource_version: str) -> bool:
        """Whether a write that was answered with this version has been seen (B13, KEP-5647).

        Versions that cannot be compared (KEP-5504) count only if they are equal.
        """
        return rv.reached(self._seen_up_to, resource_version)

    # --- mutations -------------------------------------------------------------------------

    def replace(
        self,
        items: Mapping[ObjectKey, Object],
        resource_version: str,
        *,
        history_lost: bool = False,
    ) -> list[Change]:
        """Take over a complete list.

        Args:
            items: everything that exists.
            resource_version: of the list.
            history_lost: versions began again, so that nothing here can be newer than the list.
        """
        self._clock += 1
        self._replaced_at = self._clock
        self._seen_up_to = resource_version
        deletes: list[Change] = []
        changes: list[Change] = []
        for key, old in list(self._objects.items()):
            if key not in items and (history_lost or not rv.older(resource_version, _version(old))):
                self._remove(key)
                deletes.append(Deleted(old, final_state_unknown=True))
        for key, new in items.items():
            change = self._put(key, new, listed=True, force=history_lost)
            if change is not None:
                changes.append(change)
        return deletes + changes

    def apply(self, key: ObjectKey, obj: Object, resource_version: str) -> Change | None:
        """An object was created or changed; ``None`` if nobody needs to know."""
        self.see(resource_version)
        return self._put(key, obj, listed=False, force=False)

    def delete(self, key: ObjectKey, obj: Object | None, resource_version: str) -> Deleted | None:
        """An object is not visible any more.

        Args:
            key: of the object.
            obj: its final state; ``None`` if there is none to show.
            resource_version: of the deletion.
        """
        self.see(resource_version)
        old = self._objects.get(key)
        if old is None:
            self._pass(key)
            # Without `keep` it would have been here: reported already, or never.
            return None if obj is None or self._keep is _keep_all else Deleted(obj)
        if rv.older(resource_version, _version(old)):
            return None  # an older object of that name; happens only after an offer
        self._remove(key)
        return Deleted(old if obj is None else obj)

    def see(self, resource_version: str) -> None:
        """Everything up to this version has been seen; an empty version says nothing."""
        if resource_version:
            self._seen_up_to = resource_version

    # --- objects of interest ---------------------------------------------------------------

    def refilter(self) -> int:
        """Drop the objects that are not of interest any more; how many."""
        dropped = [key for key, obj in self._objects.items() if not self._keeps(key, obj)]
        for key in dropped:
            self._remove(key)
        return len(dropped)

    def ticket(self) -> int:
        """To be taken before a live read whose answer will be offered."""
        return self._clock

    def offer(self, obj: Object, *, ticket: int) -> bool:
        """Hold an object that was read live, until an event says otherwise.

        Refused if an event of the object passed, or a list was taken over, since the ticket was
        taken: then the answer may be older than what was seen. Handlers are not told, since
        nothing happened to the object.

        Args:
            obj: the answer of the live read, transformed like everything in this store.
            ticket: from :meth:`ticket`, taken before the read.

        Returns:
            Whether the store follows the object from now on.
        """
        key = key_of(obj)
        if key in self._objects:
            return True
        if max(self._replaced_at, self._forgotten_at, self._passed.get(key, 0)) > ticket:
            return False
        if not self._keeps(key, obj):
            return False
        self._insert(key, obj)
        return True

    # ---------------------------------------------------------------------------------------

    def _put(self, key: ObjectKey, obj: Object, *, listed: bool, force: bool) -> Change | None:
        old = self._objects.get(key)
        if old is not None and not force:
            if _same(old, obj):
                return None
            if rv.older(_version(obj), _version(old)):
                return None  # never back in time; happens only after an offer
        if self._keeps(key, obj):
            self._insert(key, obj)
            return Added(obj) if old is None else Updated(old, obj)
        if old is None:
            self._pass(key)
            return Added(obj, listed=listed)
        self._remove(key)
        return Updated(old, obj)

    def _keeps(self, key: ObjectKey, obj: Object) -> bool:
        if self._keep is _keep_all:
            return True
        try:
            return self._keep(obj)
        except Exception as error:  # noqa: BLE001 -- handed on; one bad object must not end the informer
            self._on_error("keep", key, error)
            return True

    def _insert(self, key: ObjectKey, obj: Object) -> None:
        self._objects[key] = obj
        self._indices.put(key, obj)

    def _remove(self, key: ObjectKey) -> None:
        del self._objects[key]
        self._indices.remove(key)
        self._pass(key)

    def _pass(self, key: ObjectKey) -> None:
        if self._keep is _keep_all:
            return  # everything is held: there is nothing to offer
        self._clock += 1
        self._passed.pop(key, None)
        self._passed[key] = self._clock
        if len(self._passed) > _PASSED_LIMIT:
            oldest = next(iter(self._passed))
            self._forgotten_at = self._passed.pop(oldest)


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


def _same(old: Object, new: Object) -> bool:
    before, after = old["metadata"], new["metadata"]
    version = after.get("resourceVersion")
    return (
        bool(version)
        and version == before.get("resourceVersion")
        and before.get("uid") == after.get("uid")
    )
