# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The numbers of one run beside the bars they have to meet, as a table and as JSON; pure."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.bench.baseline import Floor
from tests.bench.latency import Newcomers
from tests.bench.request_stats import Role, rank
from tests.bench.stages import Cold, Restart
from tests.bench.usage import IDLE, OTHERS

MOST_OF_FLOOR = 1.5
MORE_REQUESTS = 5  # than children
MOST_MEDIAN_MS = 30.0
MOST_P99_MS = 100.0
_FAST_MS = MOST_MEDIAN_MS / MOST_OF_FLOOR
MEMORY_MIB = {1_000: 150.0, 10_000: 400.0}
"""Resources, and the memory that suffices for so many."""

CALM = 0.05
"""Share of the processors that strangers may have before times are not to be trusted."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A number and what it may be at most.

    Attributes:
        what: in words.
        value: measured.
        most: the bar.
        unit: of both.
    """

    what: str
    value: float
    most: float
    unit: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is met; a number that could not be measured is not."""
        return self.value <= self.most


@dataclass(frozen=True, slots=True)
class Report:
    """One run.

    Attributes:
        environment: machine and versions.
        options: of the run.
        floors: before and after the operator; empty without.
        cold: see there.
        idle: requests in the idle period, by kind; absent if left out, and so are the next.
        newcomers: see there.
        restart: see there.
    """

    environment: Mapping[str, Any]
    options: Mapping[str, Any]
    cold: Cold
    floors: list[Floor] = field(default_factory=list)
    idle: Mapping[str, int] | None = None
    newcomers: Newcomers | None = None
    restart: Restart | None = None

    @property
    def n(self) -> int:
        """Resources."""
        return int(self.options["n"])

    def floor_s(self, writes: int) -> float:
        """What so many writes take a bare client: by the mean rate of all floors."""
        return writes / statistics.fmean(floor.writes_per_s for floor in self.floors)

    @property
    def rollout_s(self) -> float:
        """What the rollouts take behind a bare client: the mean of all floors."""
        return statistics.fmean(floor.rollout_s for floor in self.floors)

    @property
    def floor_ms(self) -> float:
        """What a new Deployment takes a bare client, at the median; 0 if nobody measured it."""
        measured = self.newcomers.floor_ms if self.newcomers else []
        return rank(measured, 0.5) if measured else 0.0

    @property
    def disturbance(self) -> float:
        """The largest share of the processors that strangers had in a timed stage."""
        stages = [self.cold.cpu_s, *(floor.cpu_s for floor in self.floors)]
        return max(s.get(OTHERS, 0.0) / (sum(s.values()) or 1.0) for s in stages)

    def bars(self) -> list[Bar]:
        """Everything that was measured and has a bar."""
        requests = self.cold.tally.work_total / self.n
        memory = memory_bar(self.n)
        bars = []
        if self.floors:
            # What the operator can do alone; and what also takes Pods that run, so that no status
            # can be Ready before: the one against writes, the other against writes and rollouts.
            told = self.cold.told_s / self.floor_s(self.cold.tally.told_writes)
            bars.append(Bar("children and statuses / floor", told, MOST_OF_FLOOR))
            ready = self.cold.total_s / self.rollout_s
            bars.append(Bar("all Ready / rollouts of the floor", ready, MOST_OF_FLOOR))
        most = int(self.options["children"]) + MORE_REQUESTS
        bars.append(Bar("requests a resource, cold", requests, most))
        bars.append(Bar("memory", self.cold.footprint.rss_mib, memory, "MiB"))
        if self.idle is not None:
            others = {k: v for k, v in self.idle.items() if not _belongs_to_idling(k)}
            bars.append(Bar("idle: other than watch and lease", sum(others.values()), 0))
        if self.newcomers is not None:
            exists = self.newcomers.exists_ms
            median = rank(exists, 0.5)
            bars.append(Bar("new one: median", median, MOST_MEDIAN_MS, "ms"))
            bars.append(Bar("new one: p99", rank(exists, 0.99), MOST_P99_MS, "ms"))
            if self.floor_ms:
                bars.append(Bar("new one / floor", median / self.floor_ms, MOST_OF_FLOOR))
        if self.restart is not None:
            writes = sum(self.restart.writes.values())
            work = self.restart.tally.work_total
            again = self.restart.footprint.rss_mib
            bars.append(Bar("memory after a restart", again, memory, "MiB"))
            bars.append(Bar("restart: writes", writes, 0))
            bars.append(Bar("restart: other than lists", work, 0))
        return bars

    def as_json(self) -> dict[str, Any]:
        """All of it, for machines."""
        document = dataclasses.asdict(self)
        document["bars"] = [{**dataclasses.asdict(b), "ok": b.ok} for b in self.bars()]
        return document


def _belongs_to_idling(kind: str) -> bool:
    verb, _, target = kind.partition(" ")
    return verb == "watch" or target == "leases"


def table(report: Report) -> str:
    """All of it, for people."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterable[str]:
    environment = report.environment
    yield (
        f"{report.n} resources, {report.options['workers']} workers; {environment['cpus']} CPUs, "
        f"load {environment['load']:.1f} before; Python {environment['python']}, "
        f"Kubernetes {environment['kubernetes']}"
    )
    if report.disturbance > CALM:
        yield (
            f"NOT CALM: other programs used {report.disturbance:.0%} of the processors during a "
            "stage; trust counts, not times"
        )
    if report.floor_ms * MOST_OF_FLOOR > MOST_MEDIAN_MS:
        yield (
            f"SLOW: a bare client's new Deployment takes {report.floor_ms:.0f} ms; the bar of "
            f"{MOST_MEDIAN_MS:.0f} ms is for machines where it takes {_FAST_MS:.0f}; trust ratios"
        )
    yield ""
    yield from bar_lines(report.bars())
    yield from _of_floors(report)
    yield from _of_cold(report)
    if report.idle is not None:
        yield from _of_requests(f"idle for {report.options['idle']:g} s", report.idle)
    if report.newcomers is not None:
        yield from _of_newcomers(report.newcomers)
    if report.restart is not None:
        yield from _of_restart(report.restart)


def memory_bar(n: int) -> float:
    """MiB that suffice for so many resources."""
    return next((mib for most, mib in MEMORY_MIB.items() if n <= most), max(MEMORY_MIB.values()))


def bar_lines(bars: Iterable[Bar]) -> Iterable[str]:
    """Each number beside its bar."""
    yield f"{'':38}{'measured':>12}{'bar':>12}"
    for bar in bars:
        unit = f" {bar.unit}" if bar.unit else ""
        yield (
            f"{bar.what:38}{_number(bar.value) + unit:>12}{_number(bar.most) + unit:>12}"
            f"   {'ok' if bar.ok else 'MISS'}"
        )


def _of_floors(report: Report) -> Iterable[str]:
    for number, floor in enumerate(report.floors):
        yield ""
        yield f"floor {'after' if number else 'before'}: a bare client, same writes"
        yield _line("writes", f"{floor.writes}")
        yield _line("seconds", f"{floor.seconds:.2f}")
        yield _line("writes a second", f"{floor.writes_per_s:.0f}")
        yield _line("Deployments complete after", f"{floor.rollout_s:.2f} s")
        yield _line("CPU seconds", _shares(floor.cpu_s))


def _of_cold(report: Report) -> Iterable[str]:
    cold = report.cold
    writes, seconds = cold.tally.writes, cold.total_s - cold.first_request_s
    yield ""
    yield "cold start: seconds from the start of the process"
    yield _line("first request", f"{cold.first_request_s:.2f} s")
    yield _line("all children and first statuses", f"{cold.told_s:.2f} s")
    for stage, at in cold.last_s.items():
        yield _line(f"last {stage} written", f"{at:.2f} s")
    yield _line("Deployments complete after", f"{cold.rollout_s:.2f} s")
    yield _line("writes", f"{writes}")
    yield _line("writes a second, from first request", f"{writes / seconds:.0f}")
    if report.floors:
        floor_s = report.floor_s(writes)
        yield _line("floor for as many writes", f"{floor_s:.2f} s")
        yield _line("last write of all / floor", f"{cold.total_s / floor_s:.2f}")
    foot = cold.footprint
    yield _line("CPU seconds", _shares(cold.cpu_s))
    yield _line("memory, and at its peak", f"{foot.rss_mib:.0f}, {foot.peak_mib:.0f} MiB")
    yield from _of_requests("requests of the cold start", cold.tally.work, a_resource=report.n)
    yield _line("once a process", _counts(cold.tally.fixed))
    if cold.tally.failed:
        yield _line("answered with an error", _counts(cold.tally.failed))


def _of_newcomers(newcomers: Newcomers) -> Iterable[str]:
    yield ""
    yield f"one new resource at a time, {len(newcomers.seen_ms)} times: create → Deployment exists"
    for what, values in (
        ("by the API server's clock", newcomers.exists_ms),
        ("of it: until the operator asks", newcomers.asked_ms),
        ("until a watch shows it to a client", newcomers.seen_ms),
        ("floor: a bare client, same requests", newcomers.floor_ms),
    ):
        if not values:
            continue
        numbers = "  ".join(f"{name} {rank(values, s):.1f}" for name, s in _RANKS)
        yield _line(what, f"{numbers} ms")


_RANKS = (("median", 0.5), ("p90", 0.9), ("p99", 0.99))


def _of_restart(restart: Restart) -> Iterable[str]:
    yield ""
    yield "restart with everything in place: seconds from the start of the process"
    yield _line("caches filled", f"{restart.synced_s:.2f} s")
    yield _line("workers idle", f"{restart.idle_s:.2f} s")
    yield _line("requests", _counts(restart.tally.fixed))
    if restart.tally.work:
        yield _line("unexpected", _counts(restart.tally.work))
    foot = restart.footprint
    yield _line("CPU of the operator", f"{foot.cpu_s:.2f} s")
    yield _line("memory, and at its peak", f"{foot.rss_mib:.0f}, {foot.peak_mib:.0f} MiB")


def _of_requests(title: str, counted: Mapping[str, int], *, a_resource: int = 0) -> Iterable[str]:
    yield ""
    yield title
    for kind, count in counted.items():
        share = f"{count / a_resource:12.2f} a resource" if a_resource else ""
        yield f"  {kind:42}{count:8}{share}"
    if a_resource:
        total = sum(counted.values())
        yield f"  {'all':42}{total:8}{total / a_resource:12.2f} a resource"
    if not counted:
        yield "  none"


def _counts(counted: Mapping[str, int]) -> str:
    order = [part.value for part in Role]
    names = sorted(counted, key=lambda name: order.index(name) if name in order else len(order))
    return ", ".join(f"{counted[name]} {name}" for name in names) or "none"


def _shares(cpu_s: Mapping[str, float]) -> str:
    """Who used how much, most first; what is left of the machine at the end."""
    users = sorted((s, name) for name, s in cpu_s.items() if name != IDLE)
    told = [f"{name} {seconds:.1f}" for seconds, name in reversed(users)]
    return ", ".join([*told, f"idle {cpu_s.get(IDLE, 0.0):.1f}"])


def _line(what: str, value: str) -> str:
    return f"  {what:42}{value}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}"
