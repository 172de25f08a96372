# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the API server sent becomes objects that the store may hold.

Nothing that arrives is trusted to be what the API promises: a malformed line, an unknown event
type, a ``Table``, an object of another kind or without a name is counted and skipped, and the
stream lives on (A17; argo-rollouts' tolerant informer has the same reason: one bad object must
not blind the operator). List items of built-in kinds carry neither kind nor apiVersion, and
metadata-only objects call themselves ``PartialObjectMetadata``: all get the kind that the
informer is for (A19).

JSON is decoded with orjson: it caches the keys of objects, so that ten thousand objects share
one copy of ``"metadata"``, ``"labels"`` and so on, which keeps stores small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

from informers.errors import StatusError
from informers.metrics import InformerMetrics
from informers.ports import Object, ObjectKey, Resource, key_of
from informers.status import error_of
from informers.transforms import Transform

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
"""Annotation of the bookmark that ends a streaming list (A2)."""

_PARTIAL = "PartialObjectMetadata"


class EventType(Enum):
    """Types of watch events, ``metav1.WatchEvent.Type``."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    ERROR = "ERROR"


_TYPES = {member.value: member for member in EventType}


@dataclass(frozen=True, slots=True)
class Event:
    """One decoded line.

    Attributes:
        type: what happened.
        raw: the object, or the Status of an error.
        resource_version: of the object; empty if it has none.
    """

    type: EventType
    raw: dict[str, Any]
    resource_version: str

    @property
    def error(self) -> StatusError:
        """What an ERROR event reports."""
        return error_of(self.raw)

    @property
    def ends_initial_events(self) -> bool:
        """Whether this is the bookmark that ends a streaming list."""
        annotations = self.raw["metadata"].get("annotations")
        return isinstance(annotations, dict) and annotations.get(INITIAL_EVENTS_END) == "true"


@dataclass(frozen=True, slots=True)
class Admitted:
    """An object that may be stored.

    Attributes:
        key: where.
        obj: what, transformed; ``None`` if a transform hides it.
    """

    key: ObjectKey
    obj: Object | None


class Decoder:
    """Decodes, checks, stamps and transforms.

    Args:
        resource: the kind that is expected and stamped.
        transform: applied to every object before anybody sees it.
        metrics: counts events and what was skipped.
        on_error: told when the transform raises: key, exception. The object is skipped.
    """

    def __init__(
        self,
        resource: Resource,
        *,
        transform: Transform,
        metrics: InformerMetrics,
        on_error: Callable[[ObjectKey, Exception], None],
    ) -> None:
        self._kind = resource.kind
        self._api_version = resource.api_version
        self._transform = transform
        self._metrics = metrics
        self._on_error = on_error

    def event(self, line: bytes) -> Event | None:
        """The event on a line; ``None`` if there is nothing usable on it."""
        try:
            data = orjson.loads(line)
            type_, raw = _TYPES[data["type"]], data["object"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            self._metrics.malformed()
            return None
        self._metrics.event(type_.value)
        if type_ is EventType.ERROR:
            return Event(type_, raw if isinstance(raw, dict) else {}, "")
        if not self._is_ours(raw):
            self._metrics.malformed()
            return None
        version = raw["metadata"].get("resourceVersion")
        return Event(type_, raw, version if isinstance(version, str) else "")

    def admit(self, raw: Any) -> Admitted | None:
        """The object, ready for the store; ``None`` if it has to be skipped.

        Args:
            raw: decoded JSON that nobody else holds; it is changed in place.
        """
        if not (isinstance(raw, dict) and self._is_ours(raw)):
            self._metrics.malformed()
            return None
        metadata = raw["metadata"]
        name, namespace = metadata.get("name"), metadata.get("namespace", "")
        if not (isinstance(name, str) and name and isinstance(namespace, str)):
            self._metrics.malformed()
            return None
        key = ObjectKey(namespace, name)
        raw["kind"] = self._kind
        raw["apiVersion"] = self._api_version
        try:
            obj = self._transform(raw)
        except Exception as error:  # noqa: BLE001 -- handed on; one bad object must not end the informer
            self._metrics.malformed()
            self._on_error(key, error)
            return None
        # A transform may have stored the strings once: a key made of copies would undo it.
        return Admitted(key if obj is None else key_of(obj), obj)

    def _is_ours(self, raw: Any) -> bool:
        if not (isinstance(raw, dict) and isinstance(raw.get("metadata"), dict)):
            return False
        kind = raw.get("kind")
        if kind == self._kind:
            return bool(raw.get("apiVersion", self._api_version) == self._api_version)
        return kind is None or bool(kind == _PARTIAL)
