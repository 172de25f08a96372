# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The benchmark itself, and the bars that are counts: they hold on any machine, however slow.

One short run is shared by all tests; times are not judged.
"""

from __future__ import annotations

import collections
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from controller.llamastack.children import table as children
from controller.llamastack.objects.kinds import CONFIG_MAP
from controller.llamastack.watches import WATCHES
from hack.cluster.audit import AuditedRequest
from hack.root import ROOT
from tests.bench.__main__ import main
from tests.bench.baseline import Floor
from tests.bench.latency import Newcomers
from tests.bench.report import Report, table
from tests.bench.request_stats import Role, Tally, rank, role, tally
from tests.bench.run import Options, measure
from tests.bench.sampler import top
from tests.bench.stages import Cold, Footprint
from tests.bench.usage import IDLE, OTHERS, Usage
from tests.bench.workload import EVERYTHING, Mix

N, NEW = 20, 3
OWN_WATCHES = len(WATCHES) + 1  # the table, and the operator's own ConfigMap

pytestmark = pytest.mark.timeout(300)  # the run is part of the first test's time


@pytest.fixture(scope="module")
def report(binaries: Mapping[str, Path]) -> Report:
    """What a short run measured."""
    assert binaries  # obtained outside the time-out
    return measure(Options(n=N, idle=3.0, new=NEW, subject=EVERYTHING), print)


@pytest.mark.apiserver
@pytest.mark.bench
def test_cold_start_creates_each_child_and_event_once(report: Report) -> None:
    work = report.cold.tally.work

    created = {kind: count for kind, count in work.items() if kind.startswith("create ")}

    wanted = EVERYTHING.children()  # in this cluster, which is no OpenShift
    known = {kind.kind: kind.plural for kind in (*children.RESOURCES, CONFIG_MAP)}
    kinds = [known[kind] for kind in wanted]
    assert created == {f"create {kind}": N for kind in kinds} | {"create events": 2 * N}


@pytest.mark.apiserver
@pytest.mark.bench
def test_cold_start_needs_no_more_requests_than_children_and_five(report: Report) -> None:
    counted = report.cold.tally

    assert counted.work_total <= (EVERYTHING.children().total() + 5) * N
    assert counted.fixed["watch"] == OWN_WATCHES  # none of them twice
    assert set(counted.failed) <= {"404 get leases"}  # the lease does not exist yet


@pytest.mark.apiserver
@pytest.mark.bench
def test_idle_operator_sends_lease_renewals_only(report: Report) -> None:
    assert report.idle is not None
    assert set(report.idle) <= {"update leases"}


@pytest.mark.apiserver
@pytest.mark.bench
def test_restart_writes_nothing_and_reads_nothing_but_lists(report: Report) -> None:
    assert report.restart is not None
    assert report.restart.writes == {}
    assert report.restart.tally.work == {}
    assert report.restart.tally.fixed["watch"] == OWN_WATCHES


@pytest.mark.apiserver
@pytest.mark.bench
def test_floor_writes_what_the_operator_wrote(report: Report) -> None:
    operator = {k: v for k, v in report.cold.tally.work.items() if not k.startswith("get ")}

    after = report.floors[-1]

    assert after.requests == operator
    assert after.writes == report.cold.tally.writes


@pytest.mark.apiserver
@pytest.mark.bench
def test_every_new_resource_is_measured_at_both_ends(report: Report) -> None:
    new = report.newcomers

    assert new is not None
    assert len(new.exists_ms) == len(new.asked_ms) == len(new.seen_ms) == NEW
    assert len(new.floor_ms) == NEW
    assert min(new.floor_ms) > 0
    assert all(
        0 < asked < exists for asked, exists in zip(new.asked_ms, new.exists_ms, strict=True)
    )
    assert all(seen > asked for asked, seen in zip(new.asked_ms, new.seen_ms, strict=True))


@pytest.mark.apiserver
@pytest.mark.bench
def test_report_is_a_table_and_json(report: Report) -> None:
    text, document = table(report), json.loads(json.dumps(report.as_json()))

    assert [bar["what"] for bar in document["bars"]] == [bar.what for bar in report.bars()]
    assert all(bar.what in text for bar in report.bars())
    assert document["cold"]["tally"]["work"] == dict(report.cold.tally.work)


@pytest.mark.apiserver
@pytest.mark.bench
def test_memory_is_measured_once_all_is_made_and_after_a_restart(
    binaries: Mapping[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert binaries  # obtained outside the time-out

    status = main(["--memory", "--everything", "-n", str(N), "--strict"])

    said = capsys.readouterr().out
    assert status == 0, said
    assert f"{N} resources" in said
    assert [line.split()[-1] for line in said.splitlines() if "memory" in line] == ["ok", "ok"]


# --- the parts that need no control plane ----------------------------------------------------


def _request(verb: str, resource: str, **more: object) -> AuditedRequest:
    base = AuditedRequest(
        audit_id="a",
        user="u",
        user_agent="a",
        verb=verb,
        group="",
        resource=resource,
        subresource="",
        namespace="ns",
        name="x",
        code=200,
        uri=f"/api/v1/{resource}",
        stage="ResponseComplete",
        received="2026-01-01T00:00:00.000000Z",
        reached="2026-01-01T00:00:00.001000Z",
    )
    return replace(base, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (_request("update", "leases"), Role.LEASE),
        (_request("watch", "pods"), Role.WATCH),
        (_request("list", "pods", namespace=""), Role.LIST),
        (_request("list", "replicasets"), Role.WORK),
        (_request("create", "selfsubjectrulesreviews"), Role.START),
        (_request("get", "", uri="/apis/llamastack.io/v1alpha2"), Role.START),
        (_request("get", "secrets"), Role.WORK),
        (_request("create", "events"), Role.WORK),
    ],
)
def test_requests_are_told_apart_by_what_they_are_for(
    request_: AuditedRequest, expected: Role
) -> None:
    assert role(request_) is expected


def test_tally_knows_the_last_write_of_each_stage() -> None:
    counted = tally(
        [
            _request("create", "deployments", received="2026-01-01T00:00:01.500000Z"),
            _request("patch", "x", subresource="status", received="2026-01-01T00:00:03.250000Z"),
            _request("create", "events", received="2026-01-01T00:00:02.000000Z", code=403),
            _request("get", "secrets", received="2026-01-01T00:00:09.000000Z"),
        ]
    )

    since = {name: at - counted.first_s for name, at in counted.last_s.items()}
    assert since == {"child": 0.0, "status": 1.75, "event": 0.5}
    assert (counted.writes, counted.work_total) == (3, 4)
    assert (counted.told_s - counted.first_s, counted.told_writes) == (1.75, 3)
    assert counted.failed == {"403 create events": 1}


def test_tally_knows_when_each_resource_had_its_first_status() -> None:
    def at(second: int, verb: str, **more: object) -> AuditedRequest:
        return _request(verb, "x", received=f"2026-01-01T00:00:{second:02}.000000Z", **more)

    counted = tally(
        [
            at(1, "create"),
            at(2, "patch", subresource="status", name="a"),
            at(3, "patch", subresource="status", name="b"),
            at(9, "patch", subresource="status", name="a"),
        ]
    )

    assert (counted.told_s - counted.first_s, counted.told_writes) == (2.0, 3)


def _report(**cold: float) -> Report:
    """A thousand resources with 8,000 writes; the floor takes 10 s for as many."""
    counted = Tally(work={"create x": 9000}, fixed={}, failed={}, writes=8000, told_writes=7000)
    measured = Cold(
        first_request_s=1.0,
        told_s=cold.get("told_s", 7.0),
        last_s={"status": cold.get("total_s", 12.0)},
        rollout_s=11.0,
        tally=counted,
        footprint=Footprint(cold.get("rss_mib", 100.0), 110.0, 5.0),
        cpu_s={"operator": 5.0, OTHERS: cold.get("others_s", 0.0)},
    )
    floors = [Floor(8000, seconds, 9.0, {}, {}) for seconds in (8.0, 40 / 3)]  # 1000/s and 600/s
    environment = {"cpus": 2, "load": 0.1, "python": "3", "kubernetes": "v1"}
    return Report(environment, {"n": 1000, "workers": 8, "children": 4}, measured, floors)


def test_bars_compare_with_the_mean_rate_of_both_floors() -> None:
    bars = {bar.what: bar for bar in _report(told_s=7.0, total_s=12.0).bars()}

    # 7,000 of the writes take the floor 8.75 s; its rollouts take 9 s.
    assert bars["children and statuses / floor"].value == pytest.approx(0.8)
    assert bars["all Ready / rollouts of the floor"].value == pytest.approx(12 / 9)
    assert all(bar.ok for bar in bars.values())


@pytest.mark.parametrize(
    ("cold", "missed"),
    [
        ({"told_s": 14.0}, "children and statuses / floor"),
        ({"total_s": 14.0}, "all Ready / rollouts of the floor"),
        ({"rss_mib": 151.0}, "memory"),
    ],
)
def test_missed_bar_is_named_in_the_table(cold: dict[str, float], missed: str) -> None:
    report = _report(**cold)

    (line,) = [line for line in table(report).splitlines() if line.endswith("MISS")]
    assert line.startswith(missed)


@pytest.mark.parametrize(("others_s", "warned"), [(0.2, False), (0.5, True)])
def test_times_of_a_busy_machine_come_with_a_warning(others_s: float, warned: bool) -> None:
    assert ("NOT CALM" in table(_report(others_s=others_s))) is warned


@pytest.mark.parametrize(("floor_ms", "warned"), [(19.0, False), (21.0, True)])
def test_bar_of_a_new_resource_on_a_slow_machine_comes_with_a_warning(
    floor_ms: float, warned: bool
) -> None:
    new = Newcomers([28.0, 29.0, 31.0], [20.0] * 3, [32.0] * 3, floor_ms=[floor_ms] * 3)
    report = replace(_report(), newcomers=new)

    bars = {bar.what: bar for bar in report.bars()}

    assert bars["new one: median"].value == 29.0
    assert bars["new one / floor"].value == pytest.approx(29.0 / floor_ms)
    assert ("SLOW" in table(report)) is warned
    assert "SLOW" not in table(_report())


def test_writes_of_the_floor_add_up_to_a_broken_mean() -> None:
    mix = Mix(statuses=2.3, events=1.5)

    numbers = [mix.numbers(index) for index in range(1000)]

    assert sum(statuses for statuses, _ in numbers) == 2300
    assert sum(events for _, events in numbers) == 1500


@pytest.mark.parametrize(("share", "value"), [(0.5, 3.0), (0.99, 5.0), (0.0, 1.0)])
def test_rank_is_a_value_that_was_measured(share: float, value: float) -> None:
    assert rank([5.0, 1.0, 3.0, 2.0, 4.0], share) == value


def test_rank_of_nothing_meets_no_bar() -> None:
    assert math.isnan(rank([], 0.5))


def test_top_sums_up_by_function_and_names_the_line_that_has_most() -> None:
    folded = ["main (./a.py);work (b.py);:7 30", "main (./a.py);work (b.py);:9 10"]
    folded.append("main (./a.py);:2 60")

    _, _, first, second, _, ours = top(folded, 2).splitlines()

    assert first.split() == ["60.0%", "100.0%", "main", "(./a.py):2"]
    assert second.split() == ["40.0%", "40.0%", "work", "(b.py):7"]
    assert ours.split() == ["60.0%", "100.0%", "main", "(./a.py)"]


_BUSY = """
import time
def spin():
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
def idle():
    time.sleep(0.3)
idle()
spin()
"""


def test_sampler_sees_work_and_not_waiting(tmp_path: Path) -> None:
    (tmp_path / "busy.py").write_text(_BUSY)
    stacks = tmp_path / "stacks"
    path = f"{ROOT}:{tmp_path}"

    subprocess.run(
        [sys.executable, "-m", "tests.bench.sampler", str(stacks), "busy"],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        timeout=30,
    )

    found = collections.Counter[str]()
    for line in stacks.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        found[next((n for n in ("spin", "idle") if f";{n} (" in stack), "")] += int(count)
    assert found["spin"] > 10  # 75 on a machine that has nothing else to do
    assert found["idle"] <= 1


def test_usage_gives_to_others_what_is_left_of_the_machine() -> None:
    before = Usage({"etcd": 1.0, OTHERS: 10.0, IDLE: 100.0})
    after = Usage({"etcd": 3.0, "operator": 4.0, OTHERS: 19.0, IDLE: 105.0})

    assert after.since(before) == {"etcd": 2.0, "operator": 4.0, OTHERS: 3.0, IDLE: 5.0}


def test_wrong_command_line_ends_with_status_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        main(["-n", "0"])

    assert info.value.code == 2
    assert "a number above 0" in capsys.readouterr().err
