# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is measured of the operator, one function a stage; each returns plain numbers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.quickstart.road import is_ready
from informers.ports import Object
from tests.bench import workload
from tests.bench.baseline_client import BareClient
from tests.bench.environment import CRS, SUBJECTS, Arena
from tests.bench.request_stats import Role, Tally, kind_of, role, seconds, tally
from tests.bench.workload import Subject
from tests.support.operator_process import OperatorProcess

_SECRETS = f"/api/v1/namespaces/{SUBJECTS}/secrets"
_QUIET_S = 1.0
_POLL_S = 0.1
_WORK_METHODS = ('method="POST"', 'method="PATCH"', 'method="DELETE"')  # a lease is PUT


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process costs.

    Attributes:
        rss_mib: resident memory at that moment.
        peak_mib: the most it ever had.
        cpu_s: CPU seconds since it started.
    """

    rss_mib: float
    peak_mib: float
    cpu_s: float

    @classmethod
    def of(cls, operator: OperatorProcess) -> Footprint:
        """Of a running operator."""
        return cls(operator.rss_mib(), _peak_mib(operator.pid), operator.cpu_s())


@dataclass(frozen=True, slots=True)
class Cold:
    """From the start of the process to the last write; seconds count from the former.

    Attributes:
        first_request_s: when the API server saw it first.
        told_s: when all children were made and each resource had its first status.
        last_s: when the last write of each stage came: children, status, Events.
        rollout_s: when the Deployment controller reported the last Deployment complete.
        tally: its requests.
        footprint: at the end.
        cpu_s: CPU seconds by who used them.
    """

    first_request_s: float
    told_s: float
    last_s: dict[str, float]
    rollout_s: float
    tally: Tally
    footprint: Footprint
    cpu_s: dict[str, float]

    @property
    def total_s(self) -> float:
        """Until the last write of all."""
        return max(self.last_s.values())


@dataclass(frozen=True, slots=True)
class Restart:
    """A start with everything in place; seconds count from the start of the process.

    Attributes:
        synced_s: until the caches were filled.
        idle_s: until every resource was looked at and no worker was busy.
        writes: by kind; there should be none.
        tally: its requests.
        footprint: at the end.
    """

    synced_s: float
    idle_s: float
    writes: dict[str, int]
    tally: Tally
    footprint: Footprint


async def populate(referee: BareClient, n: int, extra: int, subject: Subject) -> None:
    """Create the resources, and Secrets for them and for those to come."""
    names = [workload.name_of(index) for index in range(n + extra)]
    await referee.post_all(_SECRETS, map(workload.secret, names))
    await referee.post_all(CRS, map(subject.resource, names[:n]))


async def cold_start(
    arena: Arena, referee: BareClient, operator: OperatorProcess, n: int, *, deadline_s: float
) -> Cold:
    """Start the operator on resources that exist, until everything is written.

    Raises:
        ClusterError: not everything is Ready in time.
    """
    mark = await asyncio.to_thread(arena.plane.audit.mark)
    before = arena.usage()
    operator.start()
    await until_all("Ready", is_ready, referee, operator, n, deadline_s=deadline_s)
    used = arena.usage(operator).since(before)
    await until_quiet(operator)
    footprint = Footprint.of(operator)
    requests, rollouts = await asyncio.to_thread(
        arena.requests_and_rollouts, mark, arena.operator_user, SUBJECTS
    )
    counted = tally(requests)
    start = operator.started_at
    return Cold(
        first_request_s=counted.first_s - start,
        told_s=counted.told_s - start,
        last_s={stage: at - start for stage, at in counted.last_s.items()},
        rollout_s=max(seconds(r.received) for r in rollouts) - start,
        tally=counted,
        footprint=footprint,
        cpu_s=used,
    )


async def idle(arena: Arena, period_s: float) -> dict[str, int]:
    """What is asked while nothing happens, by kind."""
    mark = await asyncio.to_thread(arena.plane.audit.mark)
    await asyncio.sleep(period_s)
    requests = await asyncio.to_thread(arena.requests, mark, arena.operator_user)
    found: dict[str, int] = {}
    for request in requests:
        found[kind_of(request)] = found.get(kind_of(request), 0) + 1
    return found


async def restart(arena: Arena, operator: OperatorProcess, n: int, *, deadline_s: float) -> Restart:
    """Start the operator on a world that is as it should be.

    Raises:
        ClusterError: it does not come to rest in time.
    """
    mark = await asyncio.to_thread(arena.plane.audit.mark)
    operator.start()
    start = time.monotonic()
    await asyncio.to_thread(operator.wait_ready, deadline_s)
    synced = time.monotonic() - start
    while not at_rest(operator, n):
        if time.monotonic() - start > deadline_s:
            raise operator.failure(f"the workers are not idle after {deadline_s:.0f} s")
        await asyncio.sleep(_POLL_S)
    rest = time.monotonic() - start
    await until_quiet(operator)
    footprint = Footprint.of(operator)
    requests = await asyncio.to_thread(arena.requests, mark, arena.operator_user)
    writes: dict[str, int] = {}
    for request in requests:
        if request.is_write and role(request) is Role.WORK:
            writes[kind_of(request)] = writes.get(kind_of(request), 0) + 1
    return Restart(synced, rest, writes, tally(requests), footprint)


async def until_all(
    what: str,
    condition: Callable[[Object], bool],
    referee: BareClient,
    operator: OperatorProcess,
    n: int,
    *,
    deadline_s: float,
) -> None:
    """Until a condition, in a word, holds for all resources.

    Raises:
        ClusterError: it does not in time, or the operator ended.
    """
    watching = asyncio.create_task(referee.until_all(CRS, n, condition), name="bench-until-all")
    try:
        await _while_running(operator, watching, deadline_s)
    except TimeoutError:
        late = [cr for cr in (await referee.get(CRS))["items"] if not condition(cr)]
        raise operator.failure(
            f"{len(late)} of {n} resources are not {what} after {deadline_s:.0f} s{_example(late)}"
        ) from None


async def _while_running(
    operator: OperatorProcess, task: asyncio.Task[Any], deadline_s: float
) -> None:
    """Wait for a task as long as the operator runs.

    Raises:
        TimeoutError: it took too long.
        ClusterError: the operator ended.
    """
    try:
        async with asyncio.timeout(deadline_s):
            while not task.done():
                await asyncio.wait([task], timeout=_POLL_S)
                if not operator.running:
                    raise operator.failure("the operator ended")
        task.result()
    finally:
        task.cancel()


def _example(late: list[dict[str, Any]]) -> str:
    if not late:
        return ""
    conditions = [
        f"{c['type']}={c['status']} {c.get('message', '')}"
        for c in (late[0].get("status") or {}).get("conditions", [])
    ]
    return f"; {late[0]['metadata']['name']}: {', '.join(conditions) or 'no status'}"


async def until_quiet(operator: OperatorProcess) -> None:
    """Until it has sent nothing but lease renewals for a while."""
    last, since = -1.0, time.monotonic()
    while time.monotonic() - since < _QUIET_S:
        sent = sum(
            value
            for name, value in operator.metrics().items()
            if name.startswith("rest_client_requests_total")
            and any(method in name for method in _WORK_METHODS)
        )
        if sent != last:
            last, since = sent, time.monotonic()
        await asyncio.sleep(2 * _POLL_S)


def at_rest(operator: OperatorProcess, n: int) -> bool:
    """Whether so many reconciles were made and nobody works."""
    metrics = operator.metrics()

    def total(name: str) -> float:
        return sum(value for key, value in metrics.items() if key.partition("{")[0] == name)

    return (
        total("controller_runtime_reconcile_total") >= n
        and total("controller_runtime_active_workers") == 0
        and total("workqueue_depth") == 0
    )


def _peak_mib(pid: int) -> float:
    """The most resident memory that a process ever had (Linux); NaN elsewhere."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return float("nan")
    line = next((x for x in status.splitlines() if x.startswith("VmHWM:")), "VmHWM: nan kB")
    return float(line.split()[1]) / 1024
