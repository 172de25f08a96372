# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The floor: how long a bare client takes for as many writes on the same machine.

The same kinds of writes in the same order with the same concurrency as the operator's, and nothing
else: no cache, no reading, no thinking, no waiting for Pods. Both clocks stop at the last write;
controllers, scheduler and simulated kubelets work in the background of both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from hack.cluster.audit import Mark
from tests.bench.baseline_client import BareClient, bare_client
from tests.bench.environment import Arena
from tests.bench.request_stats import seconds, tally
from tests.bench.workload import TWIN, Load, Mix, Subject, Writes, is_available, name_of, namespace

SENDERS = 4  # of Events, as in the operator's recorder


@dataclass(frozen=True, slots=True)
class Floor:
    """One measurement.

    Attributes:
        writes: how many.
        seconds: from the first to the last of them, as the API server received them.
        rollout_s: until the last Deployment was reported complete; nobody's status can be
            Ready before, so this is a floor of another kind.
        requests: by kind.
        cpu_s: CPU seconds until the rollouts were complete, by who used them.
    """

    writes: int
    seconds: float
    rollout_s: float
    requests: dict[str, int]
    cpu_s: dict[str, float]

    @property
    def writes_per_s(self) -> float:
        """The rate."""
        return self.writes / self.seconds


async def measure_floor(
    arena: Arena,
    place: str,
    n: int,
    mix: Mix,
    *,
    subject: Subject,
    workers: int,
    deadline_s: float,
) -> Floor:
    """Measure in a new namespace.

    Args:
        arena: where.
        place: the namespace.
        n: resources.
        mix: what is written for each, beside its children.
        subject: what the resources look like.
        workers: resources at a time.
        deadline_s: for the rollouts of all Deployments.
    """
    async with (
        bare_client(str(arena.referee_kubeconfig()), user_agent="bench-referee") as referee,
        bare_client(str(arena.floor_kubeconfig()), user_agent="bench-floor") as client,
    ):
        await referee.post("/api/v1/namespaces", namespace(place))
        twins = await referee.post_all(
            TWIN.path(namespace=place), (subject.twin(name_of(index)) for index in range(n))
        )
        load = Load(place, mix, subject)
        work = [load.writes(index, t["metadata"]["uid"]) for index, t in enumerate(twins)]
        mark = await asyncio.to_thread(arena.plane.audit.mark)
        before = arena.usage()
        await _write_all(client, work, workers)
        async with asyncio.timeout(deadline_s):
            path = f"/apis/apps/v1/namespaces/{place}/deployments"
            await referee.until_all(path, n, is_available)
        used = arena.usage().since(before)
    return await asyncio.to_thread(_result, arena, mark, place, used)


def _result(arena: Arena, mark: Mark, place: str, cpu_s: dict[str, float]) -> Floor:
    requests, rollouts = arena.requests_and_rollouts(mark, arena.floor_user, place)
    counted = tally(requests)
    return Floor(
        writes=counted.writes,
        seconds=counted.last_write_s - counted.first_s,
        rollout_s=max(seconds(r.received) for r in rollouts) - counted.first_s,
        requests=dict(counted.work),
        cpu_s=cpu_s,
    )


async def _write_all(client: BareClient, work: list[Writes], workers: int) -> None:
    resources = iter(work)  # shared: each worker takes the next
    events = iter([event for writes in work for event in writes.events])

    async def send_events() -> None:
        for event in events:
            await client.send(event)

    async with asyncio.TaskGroup() as group:
        for number in range(workers):
            group.create_task(_worker(client, resources), name=f"floor-worker-{number}")
        for number in range(SENDERS):
            group.create_task(send_events(), name=f"floor-events-{number}")


async def _worker(client: BareClient, resources: Iterator[Writes]) -> None:
    for writes in resources:
        for side_by_side in (writes.first, writes.deployment):
            await asyncio.gather(*(client.send(request) for request in side_by_side))
        for request in writes.statuses:
            await client.send(request)
