# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What goes into the reflector and what comes out of it.

In: what the runner saw (one input per completed await). Out: deltas for the store, then at most
one action for the runner. No action means: read on from the open stream. An action while a
stream is open means: close it first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from informers.errors import ApiError
from informers.ports import Object, ObjectKey, Page

# --- in ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The runner begins, or begins again after it was cancelled."""


@dataclass(frozen=True, slots=True)
class PageArrived:
    """Answer to :class:`ListPage`."""

    page: Page


@dataclass(frozen=True, slots=True)
class WatchOpened:
    """Answer to :class:`OpenWatch`: the server accepted it; lines will follow."""


@dataclass(frozen=True, slots=True)
class Line:
    """One complete line of the open stream, without its newline."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The server ended the stream in order.

    Attributes:
        dropped: bytes of an unfinished last line, which is not an event (A15).
    """

    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """The list failed, the watch could not be opened, or the open stream broke."""

    error: ApiError


@dataclass(frozen=True, slots=True)
class Silent:
    """Nothing arrived on the open stream until the reflector's read deadline (A9)."""


@dataclass(frozen=True, slots=True)
class WaitOver:
    """Answer to :class:`Wait`."""


Input: TypeAlias = (
    Started | PageArrived | WatchOpened | Line | StreamEnded | Failed | Silent | WaitOver
)

# --- out: actions --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListPage:
    """Fetch one page; arguments as in :meth:`informers.ports.ListerWatcher.list_page`."""

    resource_version: str | None
    limit: int | None
    continue_token: str = ""


@dataclass(frozen=True, slots=True)
class OpenWatch:
    """Open a watch; arguments as in :meth:`informers.ports.ListerWatcher.watch`."""

    resource_version: str | None
    timeout_seconds: int
    initial_events: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for a while.

    Attributes:
        seconds: how long.
        reason: what went wrong, in words, for the log.
        routine: whether that belongs to normal operation, and nobody has to look at it.
    """

    seconds: float
    reason: str
    routine: bool = False


Action: TypeAlias = ListPage | OpenWatch | Wait

# --- out: deltas ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Replace:
    """A complete list: what is not in it does not exist (any more).

    Attributes:
        items: all objects by key.
        resource_version: of the list.
        history_lost: the list is older than what was seen before, on purpose: the cluster was
            restored from a backup and its history begins again (A6).
    """

    items: Mapping[ObjectKey, Object]
    resource_version: str
    history_lost: bool = False


@dataclass(frozen=True, slots=True)
class Apply:
    """An object was created or changed."""

    key: ObjectKey
    obj: Object
    resource_version: str


@dataclass(frozen=True, slots=True)
class Delete:
    """An object is not visible any more: deleted, or it left the selector (B10).

    Attributes:
        key: of the object.
        obj: its final state; ``None`` if a transform hides it.
        resource_version: of the deletion.
    """

    key: ObjectKey
    obj: Object | None
    resource_version: str


@dataclass(frozen=True, slots=True)
class SeenUpTo:
    """Nothing changed, but everything up to this version has been seen (A8, B13)."""

    resource_version: str


Delta: TypeAlias = Replace | Apply | Delete | SeenUpTo

Output: TypeAlias = Delta | Action
