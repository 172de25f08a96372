# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How many operations a second the queue does: ``python -m tests.bench.bench_workqueue`` (C12).

Each line is one operation on ``n`` distinct keys in the shape of our keys (two strings). The
last line goes through the asyncio shell with a worker waiting: what a controller really pays
for one key. The exponent compares n with 16 n: O(log n) stays close to 1.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Callable

from workqueue import RateLimitingQueue
from workqueue.core import QueueCore

KeyT = tuple[str, str]


def _keys(n: int) -> list[KeyT]:
    return [("namespace", f"name-{number}") for number in range(n)]


def _timed(work: Callable[[], int]) -> float:
    """Operations a second, without the collector's share."""
    gc.collect()
    gc.disable()
    try:
        started = time.perf_counter()
        operations = work()
        return operations / (time.perf_counter() - started)
    finally:
        gc.enable()


def core(n: int) -> dict[str, float]:
    """Operations a second of the core, with ``n`` keys in it."""
    keys = _keys(n)
    queue = QueueCore[KeyT]()

    def add() -> int:
        for key in keys:
            queue.add(key, 0.0)
        return n

    def drain() -> int:
        while (item := queue.take(0.0)) is not None:
            queue.done(item.key, 0.0)
        return 2 * n

    def add_after() -> int:
        for number, key in enumerate(keys):
            queue.add(key, 0.0, delay=1.0 + number * 7919 % n)
        return n

    def advance() -> int:
        queue.advance(2.0 + n)
        return n

    return {
        "add": _timed(add),
        "add again": _timed(add),
        "take, done": _timed(drain),
        "add_after": _timed(add_after),
        "deadlines": _timed(advance),
    }


async def _through_the_shell(n: int) -> int:
    queue = RateLimitingQueue[KeyT](name="bench")

    async def worker() -> None:
        for _ in range(n):
            item = await queue.get()
            queue.done(item.key)

    async with asyncio.TaskGroup() as group:
        group.create_task(worker(), name="worker")
        for key in _keys(n):
            queue.add(key)
            await asyncio.sleep(0)
    return 3 * n


def measure(n: int) -> dict[str, float]:
    """All lines of the table, in operations a second."""
    lines = core(n)
    with asyncio.Runner() as runner:
        lines["shell: add, get, done"] = _timed(lambda: runner.run(_through_the_shell(n)))
    return lines


def main() -> None:
    """Print the table, and the same as JSON for scripts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=20_000, help="keys")
    n = parser.parse_args().n
    small, large = measure(n), measure(16 * n)
    print(f"{'operation':24}{f'{n:,} keys':>16}{f'{16 * n:,} keys':>16}   ops/s")
    for name, rate in small.items():
        print(f"{name:24}{rate:16,.0f}{large[name]:16,.0f}")
    print(json.dumps({"keys": [n, 16 * n], "ops_per_s": [small, large]}))


if __name__ == "__main__":
    main()
