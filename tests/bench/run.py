# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One run of the benchmark: floor, cold start, idle, newcomers, restart, floor again.

The floor comes before and after, because a shared machine is not the same a minute later; the bar
is held against the mean. Newcomers come in turns with the floor's for the same reason. Nothing
else is measured at the same time.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from controller.runtime.controller import DEFAULT_WORKERS
from hack.cluster.versions import KUBERNETES
from tests.bench.baseline import Floor, measure_floor
from tests.bench.baseline_client import bare_client
from tests.bench.environment import Arena, arena
from tests.bench.latency import newcomers
from tests.bench.report import Report
from tests.bench.stages import Cold, cold_start, idle, populate, restart
from tests.bench.workload import SIMPLE, Mix, Subject

FLOOR_BEFORE, FLOOR_AFTER = "floor-before", "floor-after"


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure.

    Attributes:
        n: resources.
        workers: of the operator and of the floor.
        idle: seconds of doing nothing.
        new: resources that are added one at a time.
        profile: absolute path for a profile of the cold start; only that stage is run then.
        keep: leave the control plane for a look, until interrupted.
        subject: what the resources look like.
    """

    n: int = 1000
    workers: int = DEFAULT_WORKERS
    idle: float = 60.0
    new: int = 50
    profile: Path | None = None
    keep: bool = False
    subject: Subject = SIMPLE

    @property
    def deadline_s(self) -> float:
        """For each stage: generous, so that a slow machine gives numbers and not an error."""
        return 60.0 + 0.3 * self.n


def measure(options: Options, say: Callable[[str], None]) -> Report:
    """Run the benchmark.

    Args:
        options: what to measure.
        say: is told what goes on.

    Raises:
        ClusterError: there is no control plane, or a stage did not come to its end.
    """
    environment = {
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "kubernetes": KUBERNETES,
    }
    say("starting a control plane")
    with arena(
        pods=3 * options.n + 2 * options.new, everything=options.subject.everything
    ) as place:
        stages = _profiled if options.profile else _all_stages
        report = asyncio.run(stages(place, options, environment, say))
        if options.keep:
            say(f"kept: export KUBECONFIG={place.plane.kubeconfig} (Ctrl-C removes it)")
            asyncio.run(asyncio.Event().wait())
    return report


async def _all_stages(
    place: Arena, options: Options, environment: Mapping[str, object], say: Callable[[str], None]
) -> Report:
    n, deadline_s = options.n, options.deadline_s
    say(f"floor: a bare client writes what {n} resources need")
    before = await _floor(place, FLOOR_BEFORE, Mix(), options)
    async with bare_client(str(place.referee_kubeconfig()), user_agent="bench-referee") as referee:
        say(f"creating {n} resources")
        await populate(referee, n, options.new, options.subject)
        flags = f"--workers={options.workers}"
        say("cold start of the operator")
        with closing(place.operator(flags)) as operator:
            cold = await cold_start(place, referee, operator, n, deadline_s=deadline_s)
            say(f"idle for {options.idle:g} s")
            idling = await idle(place, options.idle)
            say(f"{options.new} new resources, one at a time, in turns with a bare client's")
            new = await newcomers(
                place,
                referee,
                n,
                options.new,
                subject=options.subject,
                deadline_s=60.0,
                floor=FLOOR_BEFORE,
            )
            status = await asyncio.to_thread(operator.terminate)
            if status:
                raise operator.failure(f"SIGTERM ended the operator with exit status {status}")
        say("restart of the operator")
        with closing(place.operator(flags)) as operator:
            again = await restart(place, operator, n + options.new, deadline_s=deadline_s)
            await asyncio.to_thread(operator.terminate)
    say("floor: the same once more, with the operator's own mix of writes")
    after = await _floor(place, FLOOR_AFTER, _mix_of(cold, n), options)
    return Report(environment, _described(options), cold, [before, after], idling, new, again)


async def _profiled(
    place: Arena, options: Options, environment: Mapping[str, object], say: Callable[[str], None]
) -> Report:
    """The cold start alone, under the profiler."""
    async with bare_client(str(place.referee_kubeconfig()), user_agent="bench-referee") as referee:
        say(f"creating {options.n} resources")
        await populate(referee, options.n, 0, options.subject)
        say("cold start of the operator under the profiler")
        command = (sys.executable, "-m", "tests.bench.sampler", str(options.profile))
        flags = f"--workers={options.workers}"
        with closing(place.operator(flags, command=(*command, "llamastack_operator"))) as operator:
            cold = await cold_start(
                place, referee, operator, options.n, deadline_s=options.deadline_s
            )
            await asyncio.to_thread(operator.terminate)
    return Report(environment, _described(options), cold)


async def _floor(place: Arena, namespace: str, mix: Mix, options: Options) -> Floor:
    return await measure_floor(
        place,
        namespace,
        options.n,
        mix,
        subject=options.subject,
        workers=options.workers,
        deadline_s=options.deadline_s,
    )


def _described(options: Options) -> dict[str, Any]:
    return asdict(options) | {"children": options.subject.children().total()}


def _mix_of(cold: Cold, n: int) -> Mix:
    """What the operator really wrote beside children; anything unusual counts as a status."""
    events = sum(count for kind, count in cold.tally.work.items() if kind.endswith(" events"))
    children = sum(
        count
        for kind, count in cold.tally.work.items()
        if kind.startswith("create ") and not kind.endswith(" events")
    )
    return Mix(statuses=(cold.tally.writes - children - events) / n, events=events / n)
