# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How fast events pass from bytes to handlers, and what a store costs.

    python -m tests.bench.bench_informers [--objects 10000] [--json]

Measured: events a second through lines, reflector, store, indices and one handler (the cores,
without waiting); a streaming list of that many objects through a whole informer on a running
loop, with the largest gap in which the loop did nothing else (A20); resident memory a stored
object. The objects are Deployments of 4 KB with managed fields, as an API server sends them.

Rates and gaps are in CPU time of this thread, so that other work on the machine does not count.
The gap is measured without and with Python's cyclic collector: what it does to a growing heap is
a matter of the process (thresholds, ``gc.freeze``), not of this library.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import random
import time
from dataclasses import asdict, dataclass
from typing import Any

import psutil
import structlog

from informers.decoder import INITIAL_EVENTS_END
from informers.informer import Informer
from informers.options import ReflectorOptions
from informers.ports import Object, Resource
from tests.support.fakecluster import FakeCluster, line
from tests.support.fakelist import FakeListerWatcher
from tests.support.following import Follower
from tests.support.selection import EVERYTHING, Selection

DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments")
CHUNK = 1 << 16
MIB = 1 << 20


@dataclass(frozen=True)
class Result:
    """What was measured.

    Attributes:
        objects: how many were used.
        bytes_per_event: length of a line.
        events_per_s: through the cores.
        mib_per_s: the same in bytes.
        sync_s: a streaming list through a whole informer.
        max_lag_ms: the largest gap of the loop during it, cyclic collector off.
        max_lag_gc_ms: the same with the collector as Python configures it.
        kib_per_object: resident memory a stored object.
    """

    objects: int
    bytes_per_event: int
    events_per_s: int
    mib_per_s: float
    sync_s: float
    max_lag_ms: float
    max_lag_gc_ms: float
    kib_per_object: float


def deployment(number: int, version: int) -> dict[str, Any]:
    """A Deployment as it looks on a server: two containers, status, managed fields."""
    name = f"llama-{number:05d}"
    labels = {"app": "llama-stack", "app.kubernetes.io/instance": name, "team": f"t{number % 40}"}
    container = {
        "name": "server",
        "image": "registry.example/distribution-starter:0.7.1",
        "env": [{"name": f"SETTING_{i}", "value": f"value-{i}"} for i in range(12)],
        "ports": [{"containerPort": 8321, "name": "http", "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "4Gi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/llama-stack", "readOnly": True}],
        "terminationMessagePath": "/dev/termination-log",
        "imagePullPolicy": "IfNotPresent",
    }
    fields: dict[str, Any] = {f"f:{key}": {".": {}, "f:a": {}, "f:b": {}} for key in container}
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {
            "name": name,
            "namespace": f"team-{number % 40}",
            "uid": f"00000000-0000-4000-8000-{number:012d}",
            "resourceVersion": str(version),
            "generation": 1,
            "creationTimestamp": "2026-01-31T12:00:00Z",
            "labels": labels,
            "ownerReferences": [{"kind": "LlamaStackDistribution", "name": name, "uid": "u"}],
            "managedFields": [
                {"manager": m, "operation": "Apply", "fieldsV1": {"f:spec": fields}}
                for m in ("llamastack-operator", "kube-controller-manager", "kubectl")
            ],
        },
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container, {**container, "name": "sidecar"}]},
            },
        },
        "status": {
            "readyReplicas": 1,
            "conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicas"}],
        },
    }


class Nothing:
    """A handler that does as little as one can."""

    def __init__(self) -> None:
        self.calls = 0

    def on_add(self, obj: Object, *, initial: bool) -> None:
        self.calls += 1

    def on_update(self, old: Object, new: Object) -> None:
        self.calls += 1

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        self.calls += 1


def by_owner(obj: Object) -> list[str]:
    """The index that every child informer has."""
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences", ())]


def through_the_cores(objects: int, seconds: float) -> tuple[float, int]:
    """Events a second, and bytes an event."""
    cluster = FakeCluster(DEPLOYMENTS)
    follower = Follower(cluster, tuning=ReflectorOptions(), indexers={"owner": by_owner})
    follower.join(Nothing())
    follower.catch_up()
    done, spent, version = 0, 0.0, cluster.version
    size = 0
    while spent < seconds:
        batch = b"".join(
            line("MODIFIED", deployment(n % objects, version + n)) for n in range(1, 501)
        )
        version += 500
        size = len(batch) // 500
        cluster.inject(batch)
        cluster.version = version
        began = time.thread_time()
        for _ in range(0, len(batch), CHUNK):
            follower.advance(CHUNK)
        follower.advance()
        spent += time.thread_time() - began
        done += 500
        cluster.history.clear()
        follower.forget_position()
    return done / spent, size


async def through_an_informer(objects: int) -> tuple[float, float, float]:
    """Seconds to sync, largest gap of the loop in ms, KiB an object."""
    cluster = _Prepared(objects)
    informer = Informer(
        FakeListerWatcher(cluster), indexers={"owner": by_owner}, rng=random.Random(1)
    )
    informer.add_handler(Nothing())
    gc.collect()
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    lags: list[float] = []
    watchdog = asyncio.create_task(_measure_lag(lags))
    task = asyncio.create_task(informer.run())
    await informer.wait_synced()
    took = time.perf_counter() - began
    watchdog.cancel()
    cluster.lines.clear()
    gc.collect()
    memory = psutil.Process().memory_info().rss - before
    task.cancel()
    await asyncio.wait({task, watchdog})
    assert len(informer.store) == objects
    return took, max(lags) * 1000, memory / 1024 / objects


class _Prepared(FakeCluster):
    """Its streaming list is made beforehand, so that making it is not measured."""

    def __init__(self, objects: int) -> None:
        super().__init__(DEPLOYMENTS)
        self.version += objects
        self.lines = [line("ADDED", deployment(n, 100 + n)) for n in range(objects)]
        end = {"resourceVersion": str(self.version), "annotations": {INITIAL_EVENTS_END: "true"}}
        self.lines.append(line("BOOKMARK", {"kind": "Deployment", "metadata": end}))

    def initial(self, resource_version: str | None, selection: Selection = EVERYTHING) -> Any:
        return iter(self.lines)


async def _measure_lag(lags: list[float]) -> None:
    last = time.thread_time()
    while True:
        await asyncio.sleep(0)
        now = time.thread_time()
        lags.append(now - last)
        last = now


def without_collector(objects: int) -> tuple[float, float, float]:
    """As :func:`through_an_informer`, with the cyclic collector off."""
    gc.collect()
    gc.disable()
    try:
        return asyncio.run(through_an_informer(objects))
    finally:
        gc.enable()


def measure(objects: int, seconds: float) -> Result:
    """Everything.

    Args:
        objects: in the store.
        seconds: to spend on events through the cores.
    """
    rate, size = through_the_cores(min(objects, 1000), seconds)
    sync_s, lag, memory = without_collector(objects)
    _, lag_gc, _ = asyncio.run(through_an_informer(objects))
    return Result(
        objects=objects,
        bytes_per_event=size,
        events_per_s=round(rate),
        mib_per_s=round(rate * size / MIB, 1),
        sync_s=round(sync_s, 3),
        max_lag_ms=round(lag, 1),
        max_lag_gc_ms=round(lag_gc, 1),
        kib_per_object=round(memory, 1),
    )


def main() -> None:
    """Print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    result = measure(arguments.objects, arguments.seconds)
    if arguments.json:
        print(json.dumps(asdict(result)))
        return
    for name, value in asdict(result).items():
        print(f"{name:>16}  {value:>12,}")


if __name__ == "__main__":
    main()
