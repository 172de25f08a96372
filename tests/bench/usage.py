# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Who used the machine's processors during a stage: where the time went, and whether it was calm.

A cold start that is slower than its floor either burns CPU (then it shows here whose), or leaves
the machine idle (then it waits for something). ``others`` is what ran beside the benchmark: with
much of it, times say little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psutil

OTHERS = "others"
IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds by user up to a moment; see :meth:`since`."""

    seconds: Mapping[str, float]

    @classmethod
    def now(cls, processes: Mapping[str, int]) -> Usage:
        """What each of the processes, given by name and PID, has used, and the machine as a whole.

        A process that has ended counts as nothing, so take the second look while it runs.
        """
        seconds = {name: _used(pid) for name, pid in processes.items()}
        machine = psutil.cpu_times()
        waiting = machine.idle + getattr(machine, "iowait", 0.0)
        # On Linux the time of guests is part of user's.
        named = ("user", "nice", "system", "irq", "softirq", "steal")
        busy = sum(getattr(machine, name, 0.0) for name in named)
        return cls({**seconds, OTHERS: busy, IDLE: waiting})

    def since(self, before: Usage) -> dict[str, float]:
        """What was used in between; a process that was not there before began at 0."""
        used = {n: s - before.seconds.get(n, 0.0) for n, s in self.seconds.items()}
        ours = sum(s for n, s in used.items() if n not in {OTHERS, IDLE})
        return {**used, OTHERS: max(0.0, used[OTHERS] - ours)}


def _used(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)
