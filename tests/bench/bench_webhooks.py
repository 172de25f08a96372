# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What admission and conversion add to a write, and conversion to a list.

    python -m tests.bench.bench_webhooks [-n 400] [--writers 20] [--list 1000] [--json]

A control plane is started, and one operator that its API server asks. Each round creates N
resources in a dry run, so many writers at a time, and is repeated with each of three kinds of
writes in turns: v1alpha2 while nobody is asked, v1alpha2 with the admission webhook, and v1alpha1,
which is converted, too. A dry run goes through everything but the write to etcd, so the operator
has no children to make beside it. Last, as many stored resources are listed in both versions.

The times that webhooks add are the API server's own, out of its metrics: by the clock of a writer,
twenty of them on a small machine mostly wait for each other. The bars: half of the calls under 5 ms
and 99 of 100 under 25 ms, and a list of 1,000 in v1alpha1 at most 2 s more than in v1alpha2.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson
from prometheus_client.parser import text_string_to_metric_families

from api import OLD_VERSION, VERSION, webhook
from hack.cluster.binaries import obtain
from hack.cluster.plane import ControlPlane, PlaneOptions
from tests.bench.baseline_client import BareClient, Request, bare_client
from tests.support.apicase import resource
from tests.support.v1alpha1 import old_resource
from tests.support.webhooked import HOOKS, Webhooked, asked, collection, webhooked
from tests.support.world import eventually

P50_BAR_MS: Final = 5.0
P99_BAR_MS: Final = 25.0
LIST_BAR_S: Final = 2.0
_ROUNDS: Final = 3
_ADMISSION: Final = "apiserver_admission_webhook_admission_duration_seconds"
_CONVERSION: Final = "apiserver_crd_conversion_webhook_duration_seconds"


@dataclass(slots=True)
class Report:
    """What was measured.

    Attributes:
        write_ms: kind of write → median and 99th percentile by the clock of a writer.
        webhook_ms: webhook → median and 99th percentile by the clock of the API server, as the
            upper ends of the buckets that they are in, between whose ends it is interpolated.
        calls: webhook → how often it was called.
        list_s: version → seconds for a list of all.
    """

    write_ms: dict[str, tuple[float, float]] = field(default_factory=dict)
    webhook_ms: dict[str, tuple[float, float]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    list_s: dict[str, float] = field(default_factory=dict)


def main() -> int:
    """Measure and print; 1 if a bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_webhooks")
    parser.add_argument("-n", type=int, default=400, help="writes of each kind and round")
    parser.add_argument("--writers", type=int, default=20, help="at a time")
    parser.add_argument("--list", type=int, default=1000, help="resources that are listed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with (
        ControlPlane(obtain(), PlaneOptions()) as plane,
        webhooked(plane) as where,
        asked(where),
    ):
        report = asyncio.run(_measure(where, options))
    print(json.dumps(asdict(report)) if options.json else _text(report, options))
    return int(bool(missed(report)))


def missed(report: Report) -> list[str]:
    """The bars that were not reached."""
    found = []
    for name, (median, p99) in report.webhook_ms.items():
        if median > P50_BAR_MS:
            found.append(f"{name}: median {median:.1f} ms")
        if p99 > P99_BAR_MS:
            found.append(f"{name}: p99 {p99:.1f} ms")
    if report.list_s and report.list_s[OLD_VERSION] - report.list_s[VERSION] > LIST_BAR_S:
        found.append("the list of v1alpha1")
    return found


async def _measure(where: Webhooked, options: argparse.Namespace) -> Report:
    report = Report()
    times: dict[str, list[float]] = {"no webhook": [], "admission": [], "admission, v1alpha1": []}
    async with bare_client(str(where.plane.kubeconfig), user_agent="bench") as client:
        # Everybody's first call is a handshake.
        await _writes(client, resource(), options.writers, options.writers)
        await _writes(client, old_resource(), options.writers, options.writers)
        before = _histograms(where)
        for _ in range(_ROUNDS):
            times["admission"] += await _writes(client, resource(), options.n, options.writers)
            times["admission, v1alpha1"] += await _writes(
                client, old_resource(), options.n, options.writers
            )
        after = _histograms(where)
        where.plane.client.delete(f"{HOOKS}/{webhook.NAME}")
        eventually("nobody is asked", lambda: not where.is_asked())
        for _ in range(_ROUNDS):
            times["no webhook"] += await _writes(client, resource(), options.n, options.writers)
        report.list_s = await _lists(client, options.list)
    for name, values in times.items():
        report.write_ms[name] = (_rank(values, 0.5), _rank(values, 0.99))
    for name, buckets in after.items():
        counted = {edge: count - before[name].get(edge, 0.0) for edge, count in buckets.items()}
        report.calls[name] = int(max(counted.values()))
        report.webhook_ms[name] = (_quantile(counted, 0.5), _quantile(counted, 0.99))
    return report


async def _writes(client: BareClient, obj: dict[str, Any], count: int, writers: int) -> list[float]:
    """Creations in a dry run; how long each took, milliseconds."""
    version = obj["apiVersion"].rpartition("/")[2]
    path = f"{collection(version, 'default')}?dryRun=All"
    request = Request("POST", path, orjson.dumps(obj))
    left, times = iter(range(count)), list[float]()

    async def write() -> None:
        for _ in left:
            start = time.perf_counter()
            await client.send(request)
            times.append((time.perf_counter() - start) * 1000)

    async with asyncio.TaskGroup() as group:
        for number in range(writers):
            group.create_task(write(), name=f"writer-{number}")
    return times


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


def _rank(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]


def _text(report: Report, options: argparse.Namespace) -> str:
    lines = [
        f"{options.writers} writers, {_ROUNDS * options.n} writes of each kind, median and p99"
    ]
    lines += [f"  write, {k:24} {a:7.1f} {b:7.1f} ms" for k, (a, b) in report.write_ms.items()]
    lines += [
        f"  call of {k:23} {a:7.1f} {b:7.1f} ms  ({report.calls[k]} calls)"
        for k, (a, b) in report.webhook_ms.items()
    ]
    lines += [f"  list of {options.list} in {k:14} {v:7.2f} s" for k, v in report.list_s.items()]
    lines += [f"MISS {text}" for text in missed(report)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
