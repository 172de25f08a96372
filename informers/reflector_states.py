# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The states of the reflector, each with exactly the data that is meaningful in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from informers.ports import Object, ObjectKey


class Want(Enum):
    """What to do next."""

    SYNC = auto()  # the whole state, streamed or in pages
    FULL_LIST = auto()  # the whole state in one answer, after a snapshot expired between pages
    WATCH = auto()  # go on from the last position


@dataclass(slots=True)
class Idle:
    """Not started."""


@dataclass(slots=True)
class Waiting:
    """Until the wait is over."""

    then: Want


@dataclass(slots=True)
class Listing:
    """Pages are being collected."""

    bound: str | None
    version: str = ""  # of the first page: all pages are one snapshot
    items: dict[ObjectKey, Object] = field(default_factory=dict)
    on_later_page: bool = False


@dataclass(slots=True)
class Opening:
    """A watch was asked for."""

    initial: bool
    bound: str | None
    timeout_s: int


@dataclass(slots=True)
class Initial:
    """A streaming list is being collected."""

    bound: str | None
    opened_at: float
    ends_at: float
    quiet_until: float
    items: dict[ObjectKey, Object] = field(default_factory=dict)


@dataclass(slots=True)
class Watching:
    """Events arrive."""

    opened_at: float
    ends_at: float
    alive: bool = False  # an event or bookmark arrived
    progressed: bool = False  # the position moved: an immediate retry cannot loop


State: TypeAlias = Idle | Waiting | Listing | Opening | Initial | Watching
