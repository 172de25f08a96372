# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the API server was asked, from its audit log: the judge of "nothing was written".

The policy is Metadata for every request and leaves out the stage RequestReceived, so the file has
one line for a plain request (ResponseComplete) and up to two for a watch (ResponseStarted, and
ResponseComplete when it ends). A *request* here is one audit id, with what its latest line says.

A mark is a moment of the *server's* clock: a request under a unique user agent is sent, and its
line says when it was received. ``AuditLog.since`` compares with that, so a watch that was open
before and ends later is not mistaken for a new one. The server writes in blocking mode, but a line
is written just after its response has left; a reader therefore sends another such request, waits
until that is in the file, and until the file has been quiet for a moment. These requests are hidden
from the results.
"""

from __future__ import annotations

import collections
import http.client
import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hack.cluster.client import Client
from hack.cluster.errors import ClusterError

POLICY: Mapping[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
"""The audit policy, for ``--audit-policy-file`` (JSON is YAML)."""

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
"""Verbs that may change something."""

_MARKER = "control-plane-audit-mark"
_FLUSH_DEADLINE_S = 10.0
_QUIET_S = 0.05  # a line follows its response within a millisecond or so; this is ample


@dataclass(frozen=True, slots=True)
class AuditedRequest:
    """One request as the API server saw it.

    Attributes:
        audit_id: unique for a request.
        user: who asked; with impersonation, the real user.
        user_agent: the client's own name.
        verb: ``get``, ``list``, ``watch``, ``create``, ``patch`` and so on.
        group: API group, empty for the core group and for paths such as ``/readyz``.
        resource: plural, e.g. ``deployments``; empty for a path without one.
        subresource: e.g. ``status``; empty without.
        namespace: empty for cluster-wide requests.
        name: of the object, as far as the request named it.
        code: HTTP status; 0 if none was sent.
        uri: path and query.
        stage: the latest stage seen: ResponseStarted, ResponseComplete or Panic.
        received: when the request came, RFC 3339 with microseconds.
        reached: when that stage was: for ResponseComplete, when all of it was answered; likewise.
        decision: of the authorizers, ``allow`` or ``forbid``; a code of 403 may be admission's, as
            in a namespace that is being deleted.
    """

    audit_id: str
    user: str
    user_agent: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    uri: str
    stage: str
    received: str
    reached: str
    decision: str = ""

    @property
    def is_write(self) -> bool:
        """Whether the verb is one that may change something."""
        return self.verb in WRITES


class Mark(NamedTuple):
    """A moment of the API server.

    Attributes:
        offset: a place in the file before every line of a later request.
        moment: RFC 3339 in UTC with microseconds, which sorts as text.
    """

    offset: int
    moment: str


BEGINNING = Mark(0, "")


def parse_line(line: bytes) -> AuditedRequest:
    """One line of the log.

    Raises:
        ValueError: it is not a complete JSON object.
    """
    event = json.loads(line)
    target = event.get("objectRef") or {}
    return AuditedRequest(
        audit_id=event["auditID"],
        user=(event.get("user") or {}).get("username", ""),
        user_agent=event.get("userAgent", ""),
        verb=event["verb"],
        group=target.get("apiGroup", ""),
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=(event.get("responseStatus") or {}).get("code", 0),
        uri=event["requestURI"],
        stage=event["stage"],
        received=event["requestReceivedTimestamp"],
        reached=event["stageTimestamp"],
        decision=(event.get("annotations") or {}).get("authorization.k8s.io/decision", ""),
    )


def parse_lines(content: bytes) -> list[AuditedRequest]:
    """Complete lines as requests: one per audit id, the latest stage, in order of arrival.

    An unfinished last line (the server was killed while writing) is left out, and so is a line
    that such a remainder has spoilt.
    """
    requests: dict[str, AuditedRequest] = {}
    for line in content[: content.rfind(b"\n") + 1].splitlines():
        try:
            request = parse_line(line)
        except (ValueError, KeyError):
            continue
        requests[request.audit_id] = request
    return [r for r in requests.values() if not r.user_agent.startswith(_MARKER)]


def counts(
    requests: Iterable[AuditedRequest], by: Sequence[str] = ("verb", "resource")
) -> collections.Counter[tuple[Any, ...]]:
    """How many requests have the same values of the attributes ``by``."""
    return collections.Counter(tuple(getattr(r, name) for name in by) for r in requests)


class AuditLog:
    """The audit log of one API server.

    Args:
        path: the file.
        client: reaches the API server, to see that the log is complete up to now.
    """

    def __init__(self, path: Path, client: Callable[[], Client]) -> None:
        self.path = path
        self._client = client

    def mark(self) -> Mark:
        """This moment.

        Raises:
            ClusterError: the server does not answer, or does not write its log in time.
        """
        agent = f"{_MARKER}/{uuid.uuid4().hex}"
        offset = self._size()
        try:
            self._client().raw("GET", "/version", user_agent=agent)
        except (OSError, http.client.HTTPException) as error:
            msg = f"the audit log cannot be read up to now, the API server is away: {error}"
            raise ClusterError(msg) from error
        deadline = time.monotonic() + _FLUSH_DEADLINE_S
        while (line := self._line_with(agent.encode(), offset)) is None:
            if time.monotonic() > deadline:
                msg = f"the API server has not written {self.path} for {_FLUSH_DEADLINE_S:.0f} s"
                raise ClusterError(msg)
            time.sleep(0.005)
        return Mark(offset, parse_line(line).received)

    def since(self, mark: Mark = BEGINNING) -> list[AuditedRequest]:
        """Every request that the server received after a mark, and has answered or begun to.

        Waits until the log is complete up to now.
        """
        self.mark()
        self._wait_until_quiet()
        requests = parse_lines(self._read(mark.offset))
        return [request for request in requests if request.received > mark.moment]

    def writes_since(self, mark: Mark = BEGINNING, *, user: str = "") -> list[AuditedRequest]:
        """The requests since a mark that may have changed something, of one user or of all."""
        return [r for r in self.since(mark) if r.is_write and user in {"", r.user}]

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _wait_until_quiet(self) -> None:
        """Until the file stood still; on a busy server, at most ten times that long."""
        size = self._size()
        for _ in range(10):
            time.sleep(_QUIET_S)
            if (now := self._size()) == size:
                break
            size = now

    def _line_with(self, text: bytes, offset: int) -> bytes | None:
        lines = self._read(offset).splitlines(keepends=True)
        return next((line for line in lines if text in line and line.endswith(b"\n")), None)

    def _read(self, offset: int) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                return file.read()
        except FileNotFoundError:
            return b""
