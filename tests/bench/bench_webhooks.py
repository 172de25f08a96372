# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What admission and conversion add to a write, and conversion to a list.

    python -m tests.bench.bench_webhooks [-n 400] [--writers 20] [--rate 100] [--list 1000] [--json]

A control plane is started, and one operator that its API server asks. Each round creates N
resources in a dry run, with so many writers, and is repeated with each of three kinds of writes in
turns: v1alpha2 while nobody is asked, v1alpha2 with the admission webhook, and v1alpha1, which is
converted, too. A dry run goes through everything but the write to etcd, so the operator has no
children to make beside it. Last, as many stored resources are listed in both versions.

All of it happens twice. First the writers come at a rate, each at moments of its own (a Poisson
process), as clients do: then the times are those of the webhooks, and the bars apply. Then each
writes as fast as it is answered, which keeps every processor busy: of the milliseconds of then,
nearly all are spent waiting for the other writers, with webhooks or without.

The times that webhooks add are the API server's own, out of its metrics. The bars: half of the
calls under 5 ms and 99 of 100 under 25 ms, and a list of 1,000 in v1alpha1 at most 2 s more than in
v1alpha2.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson
from prometheus_client.parser import text_string_to_metric_families

from api import OLD_VERSION, VERSION, webhook
from hack.cluster.binaries import obtain
from hack.cluster.plane import ControlPlane, PlaneOptions
from tests.bench.baseline_client import BareClient, Request, bare_client
from tests.support.apicase import resource
from tests.support.operator_process import OperatorProcess
from tests.support.v1alpha1 import old_resource
from tests.support.webhooked import HOOKS, Webhooked, asked, collection, webhooked
from tests.support.world import eventually

P50_BAR_MS: Final = 5.0
P99_BAR_MS: Final = 25.0
LIST_BAR_S: Final = 2.0
_ROUNDS: Final = 3
_ADMISSION: Final = "apiserver_admission_webhook_admission_duration_seconds"
_CONVERSION: Final = "apiserver_crd_conversion_webhook_duration_seconds"


@dataclass(frozen=True, slots=True)
class Writes:
    """What one way of writing came to.

    Attributes:
        write_ms: kind of write → median and 99th percentile by the clock of a writer.
        webhook_ms: webhook → median and 99th percentile by the clock of the API server,
            interpolated between the ends of the buckets that they are in.
        calls: webhook → how often it was called.
        operator_ms: CPU time of the operator for one call, milliseconds.
    """

    write_ms: dict[str, tuple[float, float]]
    webhook_ms: dict[str, tuple[float, float]]
    calls: dict[str, int]
    operator_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured.

    Attributes:
        paced: writers that come at a rate.
        unpaced: writers that never rest.
        list_s: version → seconds for a list of all.
    """

    paced: Writes
    unpaced: Writes
    list_s: dict[str, float]


def main() -> int:
    """Measure and print; 1 if a bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_webhooks")
    parser.add_argument("-n", type=int, default=400, help="writes of each kind and round")
    parser.add_argument("--writers", type=int, default=20, help="at a time")
    parser.add_argument(
        "--rate", type=float, default=100.0, help="writes a second, of all writers together"
    )
    parser.add_argument("--list", type=int, default=1000, help="resources that are listed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with (
        ControlPlane(obtain(), PlaneOptions()) as plane,
        webhooked(plane) as where,
        asked(where) as process,
    ):
        report = asyncio.run(_measure(where, process, options))
    print(json.dumps(asdict(report)) if options.json else _text(report, options))
    return int(bool(missed(report)))


def missed(report: Report) -> list[str]:
    """The bars that were not reached."""
    found = []
    for name, (median, p99) in report.paced.webhook_ms.items():
        if median > P50_BAR_MS:
            found.append(f"{name}: median {median:.1f} ms")
        if p99 > P99_BAR_MS:
            found.append(f"{name}: p99 {p99:.1f} ms")
    if report.list_s[OLD_VERSION] - report.list_s[VERSION] > LIST_BAR_S:
        found.append("the list of v1alpha1")
    return found


async def _measure(
    where: Webhooked, process: OperatorProcess, options: argparse.Namespace
) -> Report:
    async with bare_client(str(where.plane.kubeconfig), user_agent="bench") as client:
        writers = Writers(client, options.writers)
        for obj in (resource(), old_resource()):  # everybody's first call is a handshake
            await writers.write(obj, options.writers)
        ways = [
            (rate, await _asked_about(where, process, writers, options.n, rate))
            for rate in (options.rate, 0.0)
        ]
        where.plane.client.delete(f"{HOOKS}/{webhook.NAME}")
        eventually("nobody is asked", lambda: not where.is_asked())
        for rate, writes in ways:
            times = list[float]()
            for _ in range(_ROUNDS):
                times += await writers.write(resource(), options.n, rate)
            writes.write_ms["no webhook"] = _ranks(times)
        (_, paced), (_, unpaced) = ways
        return Report(paced, unpaced, await _lists(client, options.list))


async def _asked_about(
    where: Webhooked, process: OperatorProcess, writers: Writers, count: int, rate: float
) -> Writes:
    """The two kinds of writes that the operator is asked about, in turns."""
    times: dict[str, list[float]] = {"admission": [], "admission, v1alpha1": []}
    before, used = _histograms(where), process.cpu_s()
    for _ in range(_ROUNDS):
        times["admission"] += await writers.write(resource(), count, rate)
        times["admission, v1alpha1"] += await writers.write(old_resource(), count, rate)
    used = process.cpu_s() - used
    counted = {
        name: {edge: calls - before[name].get(edge, 0.0) for edge, calls in buckets.items()}
        for name, buckets in _histograms(where).items()
    }
    calls = {name: int(max(buckets.values())) for name, buckets in counted.items()}
    return Writes(
        write_ms={name: _ranks(values) for name, values in times.items()},
        webhook_ms={
            name: (_quantile(buckets, 0.5), _quantile(buckets, 0.99))
            for name, buckets in counted.items()
        },
        calls=calls,
        operator_ms=used / sum(calls.values()) * 1000,
    )


class Writers:
    """Create resources in a dry run.

    Args:
        client: that all of them use.
        count: how many there are.
    """

    def __init__(self, client: BareClient, count: int) -> None:
        self._client = client
        self._count = count

    async def write(self, obj: dict[str, Any], count: int, rate: float = 0.0) -> list[float]:
        """So many creations; how long each took, milliseconds.

        Args:
            obj: to create.
            count: of creations, by all writers together.
            rate: of them in a second; 0 for as fast as each is answered.
        """
        version = obj["apiVersion"].rpartition("/")[2]
        path = f"{collection(version, 'default')}?dryRun=All"
        request = Request("POST", path, orjson.dumps(obj))
        left, times = iter(range(count)), list[float]()
        async with asyncio.TaskGroup() as group:
            for number in range(self._count):
                moments = _moments(number, rate / self._count)
                writing = self._one(request, left, moments, times)
                group.create_task(writing, name=f"writer-{number}")
        return times

    async def _one(
        self, request: Request, left: Iterator[int], moments: Iterator[float], times: list[float]
    ) -> None:
        began = time.perf_counter()
        for moment in moments:
            await asyncio.sleep(began + moment - time.perf_counter())
            if next(left, None) is None:
                return
            start = time.perf_counter()
            await self._client.send(request)
            times.append((time.perf_counter() - start) * 1000)


def _moments(writer: int, rate: float) -> Iterator[float]:
    """When a writer writes, in seconds from its beginning; without a rate at once, always."""
    dice, moment = random.Random(writer), 0.0
    while True:
        moment += dice.expovariate(rate) if rate else 0.0
        yield moment


async def _lists(client: BareClient, count: int) -> dict[str, float]:
    """Seconds for a list in each version, the better of several."""
    path = collection(VERSION, "kube-system")
    await client.post_all(path, (resource(f"listed-{number}") for number in range(count)))
    found = {}
    for version in (VERSION, OLD_VERSION):
        times = []
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            listed = await client.get(collection(version, "kube-system"))
            times.append(time.perf_counter() - start)
            assert len(listed["items"]) == count
        found[version] = min(times)
    return found


def _histograms(where: Webhooked) -> dict[str, dict[float, float]]:
    """Upper ends of buckets in seconds → calls, of each webhook."""
    text = where.plane.client.raw("GET", "/metrics")[1].decode()
    found: dict[str, dict[float, float]] = {"admission": {}, "conversion": {}}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = {f"{_ADMISSION}_bucket": "admission", f"{_CONVERSION}_bucket": "conversion"}.get(
                sample.name
            )
            if name:
                edge = float(sample.labels["le"])
                found[name][edge] = found[name].get(edge, 0.0) + sample.value
    return found


def _quantile(buckets: dict[float, float], share: float) -> float:
    """As Prometheus' ``histogram_quantile``, in milliseconds."""
    edges = sorted(buckets)
    total = buckets[edges[-1]] if edges else 0.0
    low, below = 0.0, 0.0
    for edge in edges:
        if total and buckets[edge] >= share * total:
            inside = buckets[edge] - below
            high = edge if edge != float("inf") else low
            part = (share * total - below) / inside if inside else 1.0
            return (low + (high - low) * part) * 1000
        low, below = edge, buckets[edge]
    return float("nan")


def _ranks(values: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def _text(report: Report, options: argparse.Namespace) -> str:
    lines = [
        f"{options.writers} writers, {_ROUNDS * options.n} writes of each kind, median and p99"
    ]
    for how, writes in (
        (f"{options.rate:.0f} writes a second", report.paced),
        ("as fast as they can", report.unpaced),
    ):
        lines.append(f"{how} (the operator's CPU: {writes.operator_ms:.2f} ms a call)")
        lines += [f"  write, {k:24} {a:7.1f} {b:7.1f} ms" for k, (a, b) in writes.write_ms.items()]
        lines += [
            f"  call of {k:23} {a:7.1f} {b:7.1f} ms  ({writes.calls[k]} calls)"
            for k, (a, b) in writes.webhook_ms.items()
        ]
    lines += [f"list of {options.list} in {k:16} {v:7.2f} s" for k, v in report.list_s.items()]
    lines += [f"MISS {text}" for text in missed(report)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
