# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The operator's memory with N resources: once it made all their children, and after a restart.

Ten thousand resources with pods are an hour's work for a control plane on two processors, so there
are no controllers here: Deployments stay as they were made, and no resource becomes Ready. All
that the operator would keep of the rollouts is a few conditions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

from informers.ports import Object
from tests.bench.baseline_client import bare_client
from tests.bench.environment import Arena, arena
from tests.bench.report import Bar, bar_lines, memory_bar
from tests.bench.run import Options
from tests.bench.stages import Footprint, Restart, populate, restart, until_all, until_quiet


@dataclass(frozen=True, slots=True)
class Growth:
    """What was measured.

    Attributes:
        n: resources.
        made_s: from the start of the process to the last resource's first status.
        made: what the operator cost by then.
        again: a second start, with everything in place.
    """

    n: int
    made_s: float
    made: Footprint
    again: Restart

    def bars(self) -> list[Bar]:
        """Everything that has a bar."""
        most = memory_bar(self.n)
        return [
            Bar("memory at its peak, all made", self.made.peak_mib, most, "MiB"),
            Bar("memory at its peak, restart", self.again.footprint.peak_mib, most, "MiB"),
            Bar("restart: writes", sum(self.again.writes.values()), 0),
        ]

    def table(self) -> str:
        """For people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.n} resources, no controllers"
        yield ""
        yield from bar_lines(self.bars())
        yield ""
        for what, seconds in (
            ("all children and statuses made after", self.made_s),
            ("of it CPU of the operator", self.made.cpu_s),
            ("restart: caches filled after", self.again.synced_s),
            ("restart: workers idle after", self.again.idle_s),
        ):
            yield f"{what:38}{seconds:10.1f} s"


def measure_growth(options: Options, say: Callable[[str], None]) -> Growth:
    """Run it.

    Args:
        options: how many resources, what they look like, and the operator's workers.
        say: is told what goes on.

    Raises:
        ClusterError: there is no control plane, or something did not come to its end.
    """
    say("starting a control plane")
    with arena(pods=0, everything=options.subject.everything) as place:
        return asyncio.run(_measure(place, options, say))


async def _measure(place: Arena, options: Options, say: Callable[[str], None]) -> Growth:
    n, deadline_s, flags = options.n, options.deadline_s, f"--workers={options.workers}"
    async with bare_client(str(place.referee_kubeconfig()), user_agent="bench-referee") as referee:
        say(f"creating {n} resources")
        await populate(referee, n, 0, options.subject)
        say("cold start of the operator")
        with closing(place.operator(flags)) as operator:
            operator.start()
            await until_all("told", _is_told, referee, operator, n, deadline_s=deadline_s)
            made_s = time.time() - operator.started_at
            await until_quiet(operator)
            made = Footprint.of(operator)
            await asyncio.to_thread(operator.terminate)
        say("restart of the operator")
        with closing(place.operator(flags)) as operator:
            again = await restart(place, operator, n, deadline_s=deadline_s)
            await asyncio.to_thread(operator.terminate)
    return Growth(n, made_s, made, again)


def _is_told(resource: Object) -> bool:
    return bool(resource.get("status"))
