# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How long a new resource waits for its Deployment while many exist, and how long it has to.

In turns with each new resource comes a twin that the operator does not see. A bare client follows
those and sends the same requests in the same order, without a cache or a thought: what it takes is
what the API server takes, on this machine and in this minute.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from controller.llamastack.objects.kinds import DEPLOYMENT, LLAMA_STACK, SECRET
from hack.cluster.audit import AuditedRequest
from hack.quickstart.road import is_ready
from tests.bench.baseline_client import BareClient, bare_client
from tests.bench.environment import CRS, SUBJECTS, Arena
from tests.bench.request_stats import seconds
from tests.bench.workload import TWIN, Load, Mix, Subject, is_available, name_of, number_of

_OPEN_S = 60.0  # for the lists of everything
_SETTLE_S = 0.1
_MADE, _DONE = "made", "done"


@dataclass(frozen=True, slots=True)
class Newcomers:
    """New resources while many exist, one after the other.

    Attributes:
        exists_ms: from the create to the Deployment, by the API server's clock: it received the
            one and has answered the operator's create of the other.
        asked_ms: the part of it until it received the latter.
        seen_ms: from sending the create until a watch shows the Deployment to this process, which
            takes its time itself.
        floor_ms: like the first, of the twins that came in turns; empty without.
    """

    exists_ms: list[float]
    asked_ms: list[float]
    seen_ms: list[float]
    floor_ms: list[float] = field(default_factory=list)


async def newcomers(
    arena: Arena,
    referee: BareClient,
    first: int,
    count: int,
    *,
    subject: Subject,
    deadline_s: float,
    floor: str = "",
) -> Newcomers:
    """Create resources one at a time; the next when the last is Ready and all is quiet again.

    Args:
        arena: where.
        referee: creates and watches.
        first: number of the first.
        count: how many.
        subject: what they look like.
        deadline_s: for each.
        floor: namespace for as many twins, in turns; empty for none.

    Raises:
        TimeoutError: one of them did not become Ready.
    """
    mark = await asyncio.to_thread(arena.plane.audit.mark)
    seen_ms = []
    async with (
        _arrivals(referee, SUBJECTS, CRS, is_ready) as ours,
        _reflexes(arena, referee, floor, subject) as twins,
    ):
        for index in range(first, first + count):
            name = name_of(index)
            began = time.perf_counter()
            await referee.post(CRS, subject.resource(name))
            seen_ms.append((await ours.wait(name, deadline_s) - began) * 1000)
            await asyncio.sleep(_SETTLE_S)  # the rest of the cluster finishes with it
            if twins is not None:
                await referee.post(TWIN.path(namespace=floor), subject.twin(name))
                await twins.wait(name, deadline_s)
                await asyncio.sleep(_SETTLE_S)
    requests = await asyncio.to_thread(arena.plane.audit.since, mark)
    pairs = _pairs(requests, SUBJECTS)
    return Newcomers(
        exists_ms=[_ms(resource.received, deployment.reached) for resource, deployment in pairs],
        asked_ms=[_ms(resource.received, deployment.received) for resource, deployment in pairs],
        seen_ms=seen_ms,
        floor_ms=[_ms(twin.received, made.reached) for twin, made in _pairs(requests, floor)],
    )


def _pairs(
    requests: Iterable[AuditedRequest], namespace: str
) -> list[tuple[AuditedRequest, AuditedRequest]]:
    """The creates of resources, each with that of its Deployment."""
    made: dict[str, dict[str, AuditedRequest]] = {DEPLOYMENT.plural: {}, LLAMA_STACK.plural: {}}
    for request in requests:
        created = request.verb == "create" and request.namespace == namespace
        if created and request.resource in made:
            made[request.resource].setdefault(request.name, request)
    return [
        (request, made[DEPLOYMENT.plural][name])
        for name, request in made[LLAMA_STACK.plural].items()
    ]


def _ms(begin: str, end: str) -> float:
    return (seconds(end) - seconds(begin)) * 1000


class _Arrivals:
    """Remembers when Deployments appeared and what they belong to was done."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], float] = {}
        self._changed = asyncio.Condition()

    async def wait(self, name: str, deadline_s: float) -> float:
        """Until all of it is done; when the Deployment was seen."""
        async with asyncio.timeout(deadline_s), self._changed:
            await self._changed.wait_for(
                lambda: {(_MADE, name), (_DONE, name)} <= self._seen.keys()
            )
        return self._seen[_MADE, name]

    async def follow(
        self,
        client: BareClient,
        what: str,
        path: str,
        holds: Callable[[dict[str, Any]], bool],
        opened: asyncio.Event,
    ) -> None:
        """Note the moment at which something holds of an object."""
        async with aclosing(client.watch(path, opened=opened)) as states:
            async for obj in states:
                key = (what, obj["metadata"]["name"])
                if key not in self._seen and holds(obj):
                    self._seen[key] = time.perf_counter()
                    async with self._changed:
                        self._changed.notify_all()


@asynccontextmanager
async def _arrivals(
    client: BareClient, namespace: str, path: str, done: Callable[[dict[str, Any]], bool]
) -> AsyncIterator[_Arrivals]:
    arrivals = _Arrivals()
    deployments = DEPLOYMENT.path(namespace=namespace)
    made, ended = asyncio.Event(), asyncio.Event()
    async with _beside(
        arrivals.follow(client, _MADE, deployments, lambda _: True, made),
        arrivals.follow(client, _DONE, path, done, ended),
    ):
        await _opened(made, ended)  # listing what exists is none of what is measured
        yield arrivals


@asynccontextmanager
async def _reflexes(
    arena: Arena, referee: BareClient, place: str, subject: Subject
) -> AsyncIterator[_Arrivals | None]:
    """The bare client at work."""
    if not place:
        yield None
        return
    load, opened = Load(place, Mix(), subject), asyncio.Event()
    async with (
        bare_client(str(arena.floor_kubeconfig()), user_agent="bench-floor") as client,
        _arrivals(referee, place, DEPLOYMENT.path(namespace=place), is_available) as arrivals,
        _beside(_react(client, place, load, opened)),
    ):
        await _opened(opened)
        yield arrivals


@asynccontextmanager
async def _beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run until the block ends; what fails before is missed by whoever waits for it."""
    tasks = [asyncio.create_task(part, name="bench-newcomers") for part in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _react(client: BareClient, place: str, load: Load, opened: asyncio.Event) -> None:
    known = set()
    async with aclosing(client.watch(TWIN.path(namespace=place), opened=opened)) as twins:
        async for twin in twins:
            metadata = twin["metadata"]
            if opened.is_set() and metadata["uid"] not in known:
                writes = load.writes(number_of(metadata["name"]), metadata["uid"])
                deployment, *beside = writes.deployment
                await client.get(SECRET.path(namespace=SUBJECTS, name=metadata["name"]))
                await asyncio.gather(*map(client.send, writes.first))
                await client.send(deployment)
                await asyncio.gather(*map(client.send, beside))
            known.add(metadata["uid"])


async def _opened(*events: asyncio.Event) -> None:
    async with asyncio.timeout(_OPEN_S):
        for event in events:
            await event.wait()
