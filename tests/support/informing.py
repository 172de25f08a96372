# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""An informer that runs during a test, and what it told."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

from informers.informer import Informer
from informers.metrics import Gauges, InformerMetrics
from informers.mutation_check import MutationDetector
from informers.ports import ListerWatcher, Object, ObjectKey, key_of


class Told:
    """A handler that writes down what it is told."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []
        self.deleted: list[tuple[ObjectKey, bool]] = []
        self.initial: list[str] = []
        self.at: list[float] = []

    def on_add(self, obj: Object, *, initial: bool) -> None:
        self._note("add", obj)
        if initial:
            self.initial.append(obj["metadata"]["name"])

    def on_update(self, old: Object, new: Object) -> None:
        self._note("resync" if old is new else "update", new)

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        self._note("delete", obj)
        self.deleted.append((key_of(obj), final_state_unknown))

    def count(self, what: str) -> int:
        """How often it was told that."""
        return sum(each == what for each, _ in self.log)

    def _note(self, what: str, obj: Object) -> None:
        self.log.append((what, obj["metadata"]["name"]))
        self.at.append(asyncio.get_running_loop().time())


class Counts:
    """Metrics that can be looked at; both provider and counters."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.lists: list[int] = []
        self.events: list[str] = []
        self.counted: dict[str, int] = {}
        self.gauges: Gauges | None = None

    def informer(self, name: str, gauges: Gauges) -> InformerMetrics:
        self.names.append(name)
        self.gauges = gauges
        return self

    def listed(self, *, seconds: float, items: int) -> None:
        assert seconds >= 0
        self.lists.append(items)

    def watch_opened(self) -> None:
        self._count("watch_opened")

    def watch_was_short(self) -> None:
        self._count("watch_was_short")

    def event(self, type: str) -> None:
        self.events.append(type)

    def malformed(self) -> None:
        self._count("malformed")

    def handler_failed(self) -> None:
        self._count("handler_failed")

    def _count(self, what: str) -> None:
        self.counted[what] = self.counted.get(what, 0) + 1


def informer_of(source: ListerWatcher, **options: Any) -> Informer:
    """An informer with seeded jitter that watches over its cache."""
    options.setdefault("rng", random.Random(3))
    options.setdefault("mutation_detector", MutationDetector(period_s=30.0))
    return Informer(source, **options)


@contextlib.asynccontextmanager
async def running(informer: Informer, *, synced: bool = True) -> AsyncIterator[Informer]:
    """The informer runs inside the block; by default the block begins when it has synced."""
    task = asyncio.create_task(informer.run(), name="informer under test")
    try:
        if synced:
            waiting = asyncio.ensure_future(informer.wait_synced())
            await asyncio.wait({task, waiting}, timeout=120, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                waiting.cancel()
                raise AssertionError(f"the informer did not sync: {task}")
        yield informer
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(
    condition: Callable[[], object], *, within: float = 60.0, coarse: float = 0.5
) -> None:
    """Wait for something to become true, on the loop's clock.

    Args:
        condition: asked again and again, ever more rarely.
        within: seconds.
        coarse: largest time between two looks, in seconds.

    Raises:
        TimeoutError: it did not.
    """
    interval = 0.005
    async with asyncio.timeout(within):
        while True:
            if condition():
                return
            await asyncio.sleep(interval)
            interval = min(interval * 1.5, coarse)
