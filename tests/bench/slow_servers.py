# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Many resources whose servers answer slowly, wrongly or never: what does a new one notice?

The operator runs outside the cluster and asks servers through the API server's proxy. A relay in
front of the API server answers in the place of the servers, because simulated nodes run none.
Everything else goes through. The relay and who measures share a process, so the times are a little
longer than they are, never shorter.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any, TypeVar

from llamastack_operator.probing.schedule import MOST_TRIES
from tests.bench.baseline_client import BareClient, bare_client
from tests.bench.environment import CRS, OPERATOR, SYSTEM, Arena, arena
from tests.bench.latency import Newcomers, newcomers
from tests.bench.request_stats import Role, kind_of, rank, role
from tests.bench.stages import at_rest, cold_start, populate
from tests.bench.workload import SIMPLE, number_of
from tests.support.faultkinds import Fault, Hang, Reply
from tests.support.faultproxy import FaultProxy, Seen, kubeconfig_of
from tests.support.llama_servers import PROVIDERS, VERSION
from tests.support.operator_process import OperatorProcess

T = TypeVar("T")

SLOW_S = 1.2
TIMEOUT_S = 2.0  # of a question, so that the end comes sooner; the default is 5 s
MOST_MEDIAN_MS = 100.0

_SLOW = range(4)
_WRONG: Mapping[int, Reply] = {
    4: Reply(b"<html>Welcome</html>"),
    5: Reply(b"{}", status=500),
    6: Reply(b" " * (1 << 20)),  # not more: it passes through the process that measures
}
_ASKED = r"/services/http:llsd-\d+-service:8321/proxy/v1/"
_QUIET_S = 5.0
_DEADLINE_S = 300.0
_SETTLE_S = 1.0
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Crowd:
    """What was measured.

    Attributes:
        n: resources: four of ten slow, three wrong, three silent.
        alone: new resources that came one by one while nobody was asked.
        among: likewise while the crowd was asked.
        open: questions without an answer, when each of the latter came.
        statuses: of the crowd in the end, by the resource's number.
        questions: how often the providers of each were asked for, by the resource's number.
        writes: of its status since the crowd was asked, by the resource's number.
        quiet_s: seconds in which nothing was asked of anybody in the end.
        asked_idle: questions in that time.
        idle: requests of the operator in that time, by kind.
    """

    n: int
    alone: Newcomers
    among: Newcomers
    open: list[int]
    statuses: Mapping[int, Mapping[str, Any]]
    questions: Mapping[int, int]
    writes: Mapping[int, int]
    quiet_s: float
    asked_idle: int
    idle: Mapping[str, int]

    @property
    def median_ms(self) -> float:
        """From the creation of a resource to its Deployment, among the crowd."""
        return statistics.median(self.among.seen_ms)

    @property
    def alone_ms(self) -> float:
        """Likewise while nobody was asked."""
        return statistics.median(self.alone.seen_ms)

    def table(self) -> str:
        """For people."""
        idle = ", ".join(f"{kind}: {count}" for kind, count in self.idle.items()) or "nothing"
        rows = (
            ("resources with slow, wrong, silent servers", f"{self.n}"),
            ("new resources, one at a time", f"{len(self.among.seen_ms)}"),
            ("  questions open when one came", f"{min(self.open)} to {max(self.open)}"),
            ("  create to Deployment, median", f"{self.median_ms:.0f} ms"),
            ("  the same while nobody is asked", f"{self.alone_ms:.0f} ms"),
            ("  create to Deployment, 99 of 100", f"{rank(self.among.seen_ms, 0.99):.0f} ms"),
            ("  the same while nobody is asked", f"{rank(self.alone.seen_ms, 0.99):.0f} ms"),
            ("questions to a server, at most", f"{max(self.questions.values())}"),
            ("writes of a status, at most", f"{max(self.writes.values())}"),
            (f"sent in {self.quiet_s:.0f} s of idleness", idle),
        )
        return "\n".join(f"{what:44}{value:>12}" for what, value in rows)


def measure_crowd(n: int, new: int, say: Callable[[str], None]) -> Crowd:
    """Run it.

    Args:
        n: resources.
        new: more of them, one at a time, twice.
        say: is told what goes on.

    Raises:
        ClusterError: there is no control plane, or something did not come to its end.
    """
    say("starting a control plane")
    with arena(pods=n + 2 * new) as place:
        return asyncio.run(_measure(place, n, new, say))


def behaviour(number: int) -> str:
    """How the server of a resource behaves, by its last digit."""
    digit = number % 10
    return "slow" if digit in _SLOW else "wrong" if digit in _WRONG else "silent"


async def _measure(place: Arena, n: int, new: int, say: Callable[[str], None]) -> Crowd:
    async with (
        _relay(place) as relay,
        bare_client(str(place.referee_kubeconfig()), user_agent="bench-referee") as referee,
    ):
        kubeconfig = kubeconfig_of(relay.url, place.plane.directory / "relay.kubeconfig")
        say(f"creating {n} resources")
        await populate(referee, n, 2 * new, SIMPLE)
        with closing(OperatorProcess(kubeconfig, "--probe-servers=off")) as operator:
            say("cold start of the operator")
            await cold_start(place, referee, operator, n, deadline_s=_DEADLINE_S)
            say(f"{new} new resources, one at a time, while nobody is asked")
            alone = await newcomers(place, referee, n, new, subject=SIMPLE, deadline_s=60.0)
            await asyncio.to_thread(operator.terminate)
        assert relay.count("get", _ASKED) == 0, "somebody was asked although it is switched off"
        relay.seen.clear()
        flag = f"--probe-timeout={TIMEOUT_S:g}s"
        with closing(OperatorProcess(kubeconfig, flag)) as operator:
            say("restart of the operator, which asks everybody")
            await asyncio.to_thread(operator.start)
            await asyncio.to_thread(operator.wait_logged, "Started workers", _DEADLINE_S)
            await _until_at_rest(operator, n + new)
            say(f"{new} new resources, one at a time, meanwhile")
            counts: list[int] = []
            counting = asyncio.create_task(_count_open(relay, counts), name="bench-count")
            among = await newcomers(place, referee, n + new, new, subject=SIMPLE, deadline_s=60.0)
            counting.cancel()
            say("until nobody is asked any more")
            await _until_silent(relay, n + 2 * new)
            mark = await asyncio.to_thread(place.plane.audit.mark)
            before = relay.count("get", _ASKED)
            await asyncio.sleep(_QUIET_S)
            asked_idle = relay.count("get", _ASKED) - before
            requests = await asyncio.to_thread(place.requests, mark, place.operator_user)
            statuses = await _statuses(referee)
            await asyncio.to_thread(operator.terminate)
    return Crowd(
        n=n,
        alone=alone,
        among=among,
        open=counts,
        statuses=_first(n, statuses),
        questions=_first(n, _by_number(relay, "get", _ASKED + "providers$")),
        writes=_first(n, _by_number(relay, "patch", "/llamastackdistributions/llsd-.*/status$")),
        quiet_s=_QUIET_S,
        asked_idle=asked_idle,
        idle=Counter(kind_of(r) for r in requests if role(r) is not Role.WATCH),
    )


def _first(n: int, found: Mapping[int, T]) -> dict[int, T]:
    return {number: value for number, value in found.items() if number < n}


@asynccontextmanager
async def _relay(place: Arena) -> AsyncIterator[FaultProxy]:
    """The way to the API server, and the servers."""
    role_name = "bench-services-proxy"
    for words in (
        ("clusterrole", role_name, "--verb=get", "--resource=services/proxy"),
        (
            *("clusterrolebinding", role_name, f"--clusterrole={role_name}"),
            f"--serviceaccount={SYSTEM}:{OPERATOR}",
        ),
    ):
        await asyncio.to_thread(place.plane.kubectl, "create", *words)
    kubeconfig = await asyncio.to_thread(
        place.plane.kubeconfig_for_service_account, SYSTEM, OPERATOR
    )
    async with FaultProxy.to_kubeconfig(kubeconfig) as relay:
        for digit in range(10):
            fault: Fault = _WRONG.get(digit) or Hang()
            if digit in _SLOW:
                relay.add(_to(VERSION), path=_asked(digit, "version"), times=None)
                fault = _to(PROVIDERS)
            relay.add(fault, path=_asked(digit, ".*"), times=None)
        yield relay


def _to(body: bytes) -> Reply:
    return Reply(body, after_s=SLOW_S)


def _asked(digit: int, path: str) -> str:
    return rf"/services/http:llsd-\d+{digit}-service:8321/proxy/v1/{path}$"


async def _count_open(relay: FaultProxy, counts: list[int]) -> None:
    """Note how many questions are open whenever one of the new resources gets its Deployment."""
    asked, position = re.compile(_ASKED), 0
    questions: list[Seen] = []
    while True:
        for seen in relay.seen[position:]:
            if asked.search(seen.path):
                questions.append(seen)
            elif seen.verb == "create" and seen.path.endswith("/deployments"):
                questions = [q for q in questions if q.open]
                counts.append(len(questions))
        position = len(relay.seen)
        await asyncio.sleep(0.01)


async def _until_at_rest(operator: OperatorProcess, n: int) -> None:
    """The reconciles of the restart itself are not what is measured."""
    deadline = time.monotonic() + _DEADLINE_S
    while not await asyncio.to_thread(at_rest, operator, n):
        assert time.monotonic() < deadline, "the restart does not end"
        await asyncio.sleep(_POLL_S)


async def _until_silent(relay: FaultProxy, n: int) -> None:
    """Until everybody was asked as often as ever, and no answer is waited for."""
    deadline = time.monotonic() + _DEADLINE_S
    wanted = {number: 1 if behaviour(number) == "slow" else MOST_TRIES for number in range(n)}

    def done() -> bool:
        asked = _by_number(relay, "get", _ASKED + "providers$")
        return all(asked.get(number, 0) >= most for number, most in wanted.items()) and not any(
            seen.open for seen in relay.requests("get", _ASKED)
        )

    while not done():
        assert time.monotonic() < deadline, "servers are asked without end"
        await asyncio.sleep(_POLL_S)
    await asyncio.sleep(_SETTLE_S)  # what came of it is written


async def _statuses(referee: BareClient) -> dict[int, dict[str, Any]]:
    items = (await referee.get(CRS))["items"]
    return {number_of(item["metadata"]["name"]): item["status"] for item in items}


def _by_number(relay: FaultProxy, verb: str, path: str) -> dict[int, int]:
    return dict(Counter(number_of(seen.path) for seen in relay.requests(verb, path)))
