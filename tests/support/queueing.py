# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A queue of strings, and what its shell does to the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from workqueue import QueueGauges, RateLimitingQueue


def make_queue() -> RateLimitingQueue[str]:
    return RateLimitingQueue(name="test")


def now() -> float:
    return asyncio.get_running_loop().time()


def live_timers() -> int:
    scheduled = vars(asyncio.get_running_loop())["_scheduled"]
    return sum(not handle.cancelled() for handle in scheduled)


async def settle() -> None:
    """Let everything run that can run without time passing."""
    for _ in range(5):
        await asyncio.sleep(0)


class Recorder:
    """A metrics observer."""

    def __init__(self) -> None:
        self.adds = 0
        self.retries = 0
        self.waits: list[float] = []
        self.works: list[float] = []
        self.gauges: QueueGauges | None = None

    def bind(self, name: str, gauges: QueueGauges) -> None:
        assert name == "test"
        self.gauges = gauges

    def added(self) -> None:
        self.adds += 1

    def retried(self) -> None:
        self.retries += 1

    def waited(self, seconds: float) -> None:
        self.waits.append(seconds)

    def worked(self, seconds: float) -> None:
        self.works.append(seconds)

    def read(self) -> tuple[Mapping[int, int], float, float]:
        assert self.gauges is not None
        gauges = self.gauges
        return dict(gauges.depth()), gauges.unfinished_s(), gauges.longest_running_s()
