# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the fault-injecting proxy can do to one request."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TypeAlias

import orjson

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    504: "Timeout",
}


@dataclass(frozen=True)
class Delay:
    """It reaches the server later, after seconds or when a test opens the gate."""

    seconds: float = 0.0
    gate: asyncio.Event | None = None


@dataclass(frozen=True)
class Answer:
    """The proxy answers in the server's place.

    Attributes:
        status: HTTP status.
        reason: of the Status object; what the API server says with that status by default.
        causes: reasons of the Status' causes, e.g. ``ResourceVersionTooLarge``.
        retry_after: seconds, as a header.
        html: a page of a load balancer instead of a Status object.
    """

    status: int
    reason: str = ""
    causes: tuple[str, ...] = ()
    retry_after: int | None = None
    html: bool = False

    def headers(self) -> dict[str, str]:
        """Of the answer."""
        kind = "text/html" if self.html else "application/json"
        return {"Content-Type": kind} | (
            {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        )

    def body(self) -> bytes:
        """Of the answer."""
        if self.html:
            return b"<html>\n<body>\n<h1>%d</h1>\n</body>\n</html>\n" % self.status
        return orjson.dumps(
            {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "code": self.status,
                "reason": self.reason or _REASONS.get(self.status, ""),
                "message": f"the proxy answered {self.status}",
                "details": {"causes": [{"reason": cause} for cause in self.causes]},
            }
        )


@dataclass(frozen=True)
class Reply:
    """The proxy answers in the server's place, with anything.

    Attributes:
        body: of the answer.
        status: HTTP status.
        after_s: seconds until it answers.
    """

    body: bytes
    status: int = 200
    after_s: float = 0.0


@dataclass(frozen=True)
class Hang:
    """It is accepted and never answered, not even with headers."""


@dataclass(frozen=True)
class Reset:
    """The connection breaks.

    Attributes:
        after_bytes: of the answer's body. With 0 the server has done its work and nobody hears
            of it: the case in which a write must not be done twice.
        before_server: the server never hears of the request.
    """

    after_bytes: int = 0
    before_server: bool = False


@dataclass(frozen=True)
class Cut:
    """The answer ends in order after so many bytes, as if that were all."""

    after_bytes: int = 0


@dataclass(frozen=True)
class CutLine:
    """The answer ends in order in the middle of a line, after so many complete ones."""

    lines: int = 0


@dataclass(frozen=True)
class Silence:
    """A half-open socket: after so many bytes nothing arrives any more, and nothing ends."""

    after_bytes: int = 0


@dataclass(frozen=True)
class DropEvents:
    """Events of these types get lost; bookmarks by default."""

    types: frozenset[str] = frozenset({"BOOKMARK"})


@dataclass(frozen=True)
class RepeatEvents:
    """Every event arrives twice."""


@dataclass(frozen=True)
class HoldEvents:
    """Events are held back until a test opens the gate.

    Attributes:
        gate: opened by the test.
        about: only a line that has this is held, and what follows it.
    """

    gate: asyncio.Event
    about: bytes = b""


@dataclass(frozen=True)
class StaleList:
    """The first hit passes and is remembered; every later one gets the remembered answer."""

    remembered: dict[str, bytes] = field(default_factory=dict)


Fault: TypeAlias = (
    Delay
    | Answer
    | Reply
    | Hang
    | Reset
    | Cut
    | CutLine
    | Silence
    | DropEvents
    | RepeatEvents
    | HoldEvents
    | StaleList
)


@dataclass
class Rule:
    """Which requests a fault hits."""

    fault: Fault
    verb: str = ""
    path: str = ""
    times: int | None = 1
    skip: int = 0
    hits: int = 0

    def matches(self, verb: str, path: str) -> bool:
        """Whether this request is hit; counts it."""
        if self.verb and verb not in self.verb.split("|"):
            return False
        if not re.search(self.path, path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        return True
