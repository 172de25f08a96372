# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Events as ``events.k8s.io/v1`` wants them: limits, names and bodies; pure.

The API server refuses an Event that breaks a limit (``pkg/apis/core/validation/events.go``), and
a refused Event is lost. So everything is made to fit here (F5): a reason is an identifier, a note
is cut on a character and not on a byte, a cluster-scoped object reports in ``default``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from informers.ports import Resource
from llamastack_operator.events.correlator import COMBINED, Occurrence, Regarding, Series

if TYPE_CHECKING:
    from informers.ports import Object

EVENTS: Final = Resource("events.k8s.io", "v1", "Event", "events")
DEFAULT_NAMESPACE: Final = "default"

MOST_REASON: Final = 128  # characters; also of action and reportingInstance
MOST_NOTE: Final = 1024  # bytes of UTF-8
MOST_NAME: Final = 253
ELLIPSIS: Final = "…"

_SEPARATORS = re.compile(r"[^A-Za-z0-9]+")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def occurrence_of(
    regarding: Object, *, type: str, reason: str, action: str, note: str
) -> Occurrence:
    """An occurrence whose texts fit.

    Raises:
        KeyError: the object lacks apiVersion, kind or metadata.name.
    """
    metadata = regarding["metadata"]
    return Occurrence(
        Regarding(
            api_version=regarding["apiVersion"],
            kind=regarding["kind"],
            namespace=metadata.get("namespace", ""),
            name=metadata["name"],
            uid=metadata.get("uid", ""),
        ),
        type=type,
        reason=identifier(reason),
        action=identifier(action),
        note=fitting(note),
    )


def identifier(text: str) -> str:
    """UpperCamelCase of at most 128 characters, whatever the text; ``Unknown`` for nothing."""
    words = [word[0].upper() + word[1:] for word in _SEPARATORS.split(text) if word]
    return "".join(words)[:MOST_REASON] or "Unknown"


def fitting(note: str) -> str:
    """The note, cut to what the API takes; room is left for the mark of a combined Event."""
    most = MOST_NOTE - len(COMBINED)
    encoded = note.encode("utf-8", "replace")
    if len(encoded) > most:
        encoded = encoded[: most - len(ELLIPSIS.encode())]
        return encoded.decode("utf-8", "ignore") + ELLIPSIS
    return encoded.decode()


def name_of(regarding: Regarding, serial: int) -> str:
    """A name for a new Event: the object's, and a number that is used once."""
    suffix = f".{serial:x}"
    name = regarding.name[: MOST_NAME - len(suffix)].rstrip("-.")
    if not _SUBDOMAIN.fullmatch(name):  # such as ``system:node``
        name = "event"
    return name + suffix


def namespace_of(regarding: Regarding) -> str:
    """Where the Event lives: with its object; ``default`` for a cluster-scoped one."""
    return regarding.namespace or DEFAULT_NAMESPACE


def new_event(series: Series, name: str, *, controller: str, instance: str) -> dict[str, Any]:
    """The body of a POST."""
    occurrence = series.occurrence
    regarding = occurrence.regarding
    reference = {
        "apiVersion": regarding.api_version,
        "kind": regarding.kind,
        "namespace": regarding.namespace,
        "name": regarding.name,
        "uid": regarding.uid,
    }
    event: dict[str, Any] = {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"namespace": namespace_of(regarding), "name": name},
        "eventTime": series.first_seen,
        "reportingController": controller,
        "reportingInstance": instance[:MOST_REASON],
        "type": occurrence.type,
        "reason": occurrence.reason,
        "action": occurrence.action,
        "note": occurrence.note,
        "regarding": {field: value for field, value in reference.items() if value},
    }
    if series.count > 1:
        event |= series_of(series)
    return event


def series_of(series: Series) -> dict[str, Any]:
    """The body of a merge patch: all of a stored Event that may change."""
    return {"series": {"count": series.count, "lastObservedTime": series.last_seen}}
