# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the audit log says about one client; pure.

A request has a role. Only *work* grows with the number of resources; the others are paid once a
process (start, lists, watches) or by the clock (lease), and are counted apart.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from hack.cluster.audit import AuditedRequest


class Role(Enum):
    """What a request is for."""

    START = "start"  # is the resource served, what may we do, which versions are stored
    LIST = "list"
    WATCH = "watch"
    LEASE = "lease"
    WORK = "work"


class Stage(Enum):
    """What a write is about."""

    CHILD = "child"
    STATUS = "status"
    EVENT = "event"


def role(request: AuditedRequest) -> Role:
    """The role of a request.

    A list in one namespace is work: the operator under test watches all namespaces, so that is a
    look at one resource's capabilities and no cache being filled.
    """
    if request.resource == "leases":
        return Role.LEASE
    if request.verb == "watch":
        return Role.WATCH
    if request.verb == "list" and not request.namespace:
        return Role.LIST
    if not request.resource or request.resource.startswith(("selfsubject", "customresource")):
        return Role.START
    return Role.WORK


def stage(request: AuditedRequest) -> Stage:
    """What a write is about."""
    if request.subresource == "status":
        return Stage.STATUS
    return Stage.EVENT if request.resource == "events" else Stage.CHILD


def seconds(moment: str) -> float:
    """A moment of the audit log in seconds of the epoch."""
    return datetime.fromisoformat(moment).timestamp()


def kind_of(request: AuditedRequest) -> str:
    """E.g. ``patch llamastackdistributions/status``."""
    target = "/".join(part for part in (request.resource, request.subresource) if part)
    return f"{request.verb} {target or request.uri.partition('?')[0]}"


@dataclass(frozen=True, slots=True)
class Tally:
    """The requests of one client in one stage of the benchmark.

    Attributes:
        work: requests that are work, by kind.
        fixed: the others, by role.
        failed: how many of all were answered with which error status.
        writes: how many of the work are writes.
        first_s: when the first request of all came, seconds of the epoch; NaN without any.
        last_s: when the last write of each stage came; without an entry if there was none.
        told_s: when all children were made and each resource had its first status; NaN without any.
        told_writes: how many writes had been made then.
    """

    work: Mapping[str, int] = field(default_factory=dict)
    fixed: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    writes: int = 0
    first_s: float = math.nan
    last_s: Mapping[str, float] = field(default_factory=dict)
    told_s: float = math.nan
    told_writes: int = 0

    @property
    def work_total(self) -> int:
        """All requests that are work."""
        return sum(self.work.values())

    @property
    def last_write_s(self) -> float:
        """When the last write of all came."""
        return max(self.last_s.values(), default=math.nan)


def tally(requests: Iterable[AuditedRequest]) -> Tally:
    """Count the requests of one client."""
    work: collections.Counter[str] = collections.Counter()
    fixed: collections.Counter[str] = collections.Counter()
    failed: collections.Counter[str] = collections.Counter()
    last: dict[str, float] = {}
    first_status: dict[str, float] = {}
    writes: list[float] = []
    first = math.inf
    for request in requests:
        at = seconds(request.received)
        first = min(first, at)
        if request.code >= 400:
            failed[f"{request.code} {kind_of(request)}"] += 1
        part = role(request)
        if part is not Role.WORK:
            fixed[part.value] += 1
            continue
        work[kind_of(request)] += 1
        if request.is_write:
            writes.append(at)
            about = stage(request)
            last[about.value] = max(last.get(about.value, 0.0), at)
            if about is Stage.STATUS:
                first_status[request.name] = min(first_status.get(request.name, at), at)
    told = max(last.get(Stage.CHILD.value, 0.0), *first_status.values(), 0.0)
    return Tally(
        work=dict(work.most_common()),
        fixed=dict(fixed),
        failed=dict(failed),
        writes=len(writes),
        first_s=first if math.isfinite(first) else math.nan,
        last_s=last,
        told_s=told or math.nan,
        told_writes=sum(at <= told for at in writes),
    )


def rank(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed (nearest rank); NaN of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan
