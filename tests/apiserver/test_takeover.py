# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A cluster changes from the Go operator to this one without deleting anything (R-D10, R-D11).

The objects are made through the API as that operator makes them, each in the state in which its
edits left them. Then ours starts, once, with its own rights, and a test for each resource looks at
what came of it: the children are those of a fresh resource with the same spec, pods restart at most
once, the data volume is the same, and what leaves the spec afterwards leaves the objects.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from api.conditions import condition
from configs.distributions import Distributions
from controller.llamastack.objects.kinds import (
    APPLIED_HASH,
    DEPLOYMENT,
    FIELD_MANAGER,
    LLAMA_STACK,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    ROLE_BINDING,
)
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.preview import preview
from controller.llamastack.render.inputs import Options
from hack.cluster.audit import AuditedRequest
from hack.cluster.plane import ControlPlane, PlaneOptions
from hack.root import ROOT
from informers.ports import Resource
from llamastack_operator.cli.adoption import judge
from tests.support.edits.arena import CHILDREN, Arena
from tests.support.edits.full import IN_SYSTEM
from tests.support.edits.normal import differences
from tests.support.go_cases import CASES, STALE, WEDGED, WORKING, Case, new_spec, resource, spec
from tests.support.go_operator import MANAGER, OLD_API_VERSION, GoOperator, operator_config
from tests.support.operator_process import COMMAND, OperatorProcess
from tests.support.world import COLLECTED_S, SYSTEM, USER, eventually, install

pytestmark = [
    pytest.mark.apiserver,
    # The work of all tests is done by the first one.
    pytest.mark.timeout(400),
]

Json = dict[str, Any]
NAMESPACE = "takeover"
FINAL = "fresh-final"
SCALED = 3
OVERRIDE = "registry.example/mirror/starter:1"
LAST = spec(distribution={"image": "registry.example/stack:2"})
"""What everything is edited to after the take-over: nothing of the earlier specs may be left."""


@dataclass
class Outcomes:
    """What came of the take-over.

    Attributes:
        errors: of the Go operator, by resource; empty where it was content.
        reports: what ``diff --adopt`` said before, and when ours was done.
        before: every object that it left, by kind and name.
        after: likewise, when ours was done.
        wanted: children of a fresh resource with the same spec, by the adopted one's name.
        taken: children after the take-over.
        later: likewise after the last edit, and of a fresh resource with that spec.
        trouble: what kept the operator from finishing, by resource.
        trouble_later: likewise after the last edit.
        idle: what it wrote when it was started again, and nothing had changed.
    """

    errors: dict[str, str] = field(default_factory=dict)
    reports: list[CompletedProcess[str]] = field(default_factory=list)
    before: dict[tuple[str, str], Json] = field(default_factory=dict)
    after: dict[tuple[str, str], Json] = field(default_factory=dict)
    wanted: dict[str, dict[str, Json]] = field(default_factory=dict)
    taken: dict[str, dict[str, Json]] = field(default_factory=dict)
    later: dict[str, dict[str, Json]] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)
    trouble_later: dict[str, str] = field(default_factory=dict)
    idle: list[AuditedRequest] = field(default_factory=list)


@pytest.fixture(scope="module")
def plane(binaries: Mapping[str, Path]) -> Iterator[ControlPlane]:
    with ControlPlane(binaries, PlaneOptions()) as made:
        yield made


def name_of(case: Case) -> str:
    return f"adopted-{CASES.index(case):04d}"


@pytest.fixture(scope="module")
def outcomes(plane: ControlPlane) -> Outcomes:
    kubeconfig = install(plane)
    config = operator_config(SYSTEM, network_policies=True, starter=OVERRIDE)
    plane.client.create(f"/api/v1/namespaces/{SYSTEM}/configmaps", config)
    arena = Arena(plane, NAMESPACE)
    arena.prepare(new_spec(one) for case in CASES for one in case.steps)
    found = Outcomes()
    leave(plane, arena, found)
    found.before = objects(arena)
    found.reports.append(report(plane))
    with OperatorProcess(kubeconfig, "--workers=16", env=IN_SYSTEM) as operator:
        operator.wait_logged("Started workers")
        adopted = [name_of(case) for case in CASES]
        found.trouble = arena.settle(adopted)
        found.after = objects(arena)
        found.reports.append(report(plane))
        fresh = {name.replace("adopted", "fresh"): name for name in adopted}
        arena.create({f"fresh-{n:04d}": new_spec(case.last) for n, case in enumerate(CASES)})
        found.trouble |= arena.settle(fresh)
        found.taken = arena.children()
        found.wanted = {name: found.taken[one] for one, name in fresh.items()}
    with OperatorProcess(kubeconfig, "--workers=16", env=IN_SYSTEM) as operator:
        mark = plane.audit.mark()
        operator.wait_logged("Started workers")
        eventually("all are reconciled again", lambda: reconciled(operator) >= 2 * len(CASES))
        found.idle = [
            request
            for request in plane.audit.since(mark)
            if request.user == USER and request.is_write and request.namespace == NAMESPACE
        ]
        arena.create({FINAL: new_spec(LAST)})
        arena.edit(dict.fromkeys(adopted, new_spec(LAST)))
        found.trouble_later = arena.settle([*adopted, FINAL])
        found.later = arena.children()
    return found


def leave(plane: ControlPlane, arena: Arena, found: Outcomes) -> None:
    """Everything as the Go operator leaves it."""
    go = GoOperator(plane.client, network_policies=True, anyuid=True)
    arena.create({name_of(case): new_spec(case.steps[0]) for case in CASES})
    uids = {cr["metadata"]["name"]: cr["metadata"]["uid"] for cr in arena.all(LLAMA_STACK)}
    for case in CASES:
        name = name_of(case)
        for step in case.steps:
            go.reconcile(resource(name, NAMESPACE, step, uids[name]))
        last = resource(name, NAMESPACE, case.last, uids[name])
        found.errors[name] = go.reconcile(last)
        arena.edit({name: new_spec(case.last)})
        go.report(last, error=found.errors[name])
        if "autoscaling" in case.last["server"]:
            scale(plane, name)


def scale(plane: ControlPlane, name: str) -> None:
    """As an autoscaler does."""
    path = DEPLOYMENT.path(namespace=NAMESPACE, name=name, subresource="scale")
    patch, kind = {"spec": {"replicas": SCALED}}, "application/merge-patch+json"
    status, answer = plane.client.raw("PATCH", path, patch, content_type=kind)
    assert status == 200, answer


def report(plane: ControlPlane) -> CompletedProcess[str]:
    """What an administrator is told of a take-over."""
    words = ("diff", "--adopt", "-n", NAMESPACE, "--kubeconfig", str(plane.kubeconfig))
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, timeout=60, check=False
    )


def told(outcome: CompletedProcess[str], case: Case) -> str:
    """The line about a resource."""
    label = f"{NAMESPACE}/{name_of(case)}: "
    (line,) = (line for line in outcome.stdout.splitlines() if line.startswith(label))
    return line.removeprefix(label)


def reconciled(operator: OperatorProcess) -> float:
    return sum(
        value
        for name, value in operator.metrics().items()
        if name.startswith("controller_runtime_reconcile_total")
    )


def objects(arena: Arena) -> dict[tuple[str, str], Json]:
    return {
        (kind.kind, obj["metadata"]["name"]): {**named(kind), **obj}
        for kind in (*CHILDREN, ROLE_BINDING, LLAMA_STACK)
        for obj in arena.all(kind)
    }


def named(kind: Resource) -> Json:
    return {"apiVersion": kind.api_version, "kind": kind.kind}


def managers(obj: Json) -> set[tuple[str, str, str]]:
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", ""))
        for entry in obj["metadata"].get("managedFields") or ()
    }


@pytest.mark.parametrize("case", CASES, ids=str)
def test_go_operator_left_it_as_the_table_says(case: Case, outcomes: Outcomes) -> None:
    """The other tests prove something only then."""
    live = outcomes.before[DEPLOYMENT.kind, name_of(case)]

    assert bool(outcomes.errors[name_of(case)]) is case.wedged, outcomes.errors[name_of(case)]
    assert ("ownerReferences" not in live["metadata"]) is case.orphaned
    assert (MANAGER, "Update", "") in managers(live)


def test_conditions_were_one_value(outcomes: Outcomes) -> None:
    cr = outcomes.before[LLAMA_STACK.kind, name_of(CASES[0])]
    (entry,) = (e for e in cr["metadata"]["managedFields"] if e.get("subresource") == "status")

    assert entry["fieldsV1"]["f:status"]["f:conditions"] == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_children_become_those_of_a_fresh_resource(case: Case, outcomes: Outcomes) -> None:
    name = name_of(case)

    assert outcomes.trouble.get(name) is None
    assert differences(outcomes.taken[name], outcomes.wanted[name]) == []


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_field_of_ours_belongs_to_the_go_operator(case: Case, outcomes: Outcomes) -> None:
    for (kind, name), obj in outcomes.after.items():
        ours = any(manager == FIELD_MANAGER for manager, _, _ in managers(obj))
        if name.startswith(name_of(case)) and ours:
            others = {m for m, _, part in managers(obj) if not part} - {FIELD_MANAGER}
            assert not others & {MANAGER, name_of(case)}, kind


@pytest.mark.parametrize("case", CASES, ids=str)
def test_pods_restart_once_and_nothing_is_deleted(case: Case, outcomes: Outcomes) -> None:
    name = name_of(case)
    before, after = (found[DEPLOYMENT.kind, name] for found in (outcomes.before, outcomes.after))

    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["generation"] - before["metadata"]["generation"] <= 1
    (owner,) = after["metadata"]["ownerReferences"]
    assert owner["uid"] == outcomes.after[LLAMA_STACK.kind, name]["metadata"]["uid"]
    assert owner["apiVersion"] == LLAMA_STACK.api_version


@pytest.mark.parametrize("case", CASES, ids=str)
def test_later_edits_leave_nothing_of_what_the_go_operator_wrote(
    case: Case, outcomes: Outcomes
) -> None:
    assert outcomes.trouble_later.get(name_of(case)) is None
    assert differences(outcomes.later[name_of(case)], outcomes.later[FINAL]) == []


@pytest.mark.parametrize("case", CASES, ids=str)
def test_report_told_what_happened(case: Case, outcomes: Outcomes) -> None:
    """What the report compared with is what the Deployment became, as far as a report can know."""
    name = name_of(case)
    cr = outcomes.after[LLAMA_STACK.kind, name]
    plan = make_plan(cr, Distributions.load({"starter": OVERRIDE}))
    options = Options(network_policies=True, operator_namespace=SYSTEM)
    wanted = preview(cr, plan, options)
    live = {key: untaken(obj) for key, obj in outcomes.after.items() if key[1].startswith(name)}

    found = judge(cr, live, wanted)

    assert not found.restarts, "\n".join(found.lines)
    assert told(outcomes.reports[0], case).startswith("pods restart once: ")
    assert ("gets its owner back" in told(outcomes.reports[0], case)) is case.orphaned
    assert told(outcomes.reports[1], case) == "was taken over already"


def untaken(obj: Json) -> Json:
    """An object that a report compares, although it is ours already."""
    metadata = obj["metadata"]
    annotations = {k: v for k, v in metadata.get("annotations", {}).items() if k != APPLIED_HASH}
    return {**obj, "metadata": {**metadata, "annotations": annotations}}


@pytest.mark.parametrize("case", WORKING, ids=str)
def test_every_reason_for_a_restart_is_explained(case: Case, outcomes: Outcomes) -> None:
    page = (ROOT / "docs/migration-from-go-operator.md").read_text("utf-8")
    section = page.partition("## What restarts and why")[2].partition("And whatever")[0]
    cells = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
    explained = {word.strip("`") for cell in cells for word in cell.split(", ")}
    reasons = re.sub(r" \(.*?\)", "", told(outcomes.reports[0], case).split(";")[0])
    names = set(reasons.removeprefix("pods restart once: ").split(", "))

    assert names <= explained


def test_report_ends_with_a_sum_and_the_status_of_diff(outcomes: Outcomes) -> None:
    before, after = outcomes.reports
    count = len(CASES)

    assert (before.returncode, after.returncode) == (1, 0)
    assert before.stdout.splitlines()[-1] == f"{count} resources: {count} restart their pods once"
    assert after.stdout.splitlines()[-1] == f"{count} resources: {count} stay as they are"
    assert before.stderr == after.stderr == ""


def test_volumes_are_not_touched(outcomes: Outcomes) -> None:
    kind = PERSISTENT_VOLUME_CLAIM.kind
    claims = [name for found, name in outcomes.before if found == kind]

    assert len(claims) == 3
    for name in claims:
        before, after = outcomes.before[kind, name], outcomes.after[kind, name]
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["spec"] == before["spec"]
        assert (
            after["metadata"]["ownerReferences"][0]["uid"]
            == (before["metadata"]["ownerReferences"][0]["uid"])
        )


def test_configuration_of_the_go_operator_is_in_force(outcomes: Outcomes) -> None:
    name = name_of(CASES[0])
    pod = outcomes.after[DEPLOYMENT.kind, name]["spec"]["template"]["spec"]

    assert pod["containers"][0]["image"] == OVERRIDE
    assert (NETWORK_POLICY.kind, f"{name}-network-policy") in outcomes.after


def test_number_of_pods_stays_with_the_autoscaler(outcomes: Outcomes) -> None:
    (case,) = (case for case in CASES if "autoscaling" in case.last["server"])

    for found in (outcomes.before, outcomes.after):
        assert found[DEPLOYMENT.kind, name_of(case)]["spec"]["replicas"] == SCALED


def test_second_start_writes_nothing(outcomes: Outcomes) -> None:
    assert [(r.verb, r.resource, r.name) for r in outcomes.idle] == []


@pytest.mark.parametrize("case", CASES, ids=str)
def test_status_is_ours_alone(case: Case, outcomes: Outcomes) -> None:
    cr = outcomes.after[LLAMA_STACK.kind, name_of(case)]
    status, stored = cr["status"], "storage" in case.last["server"]

    assert status["observedGeneration"] == cr["metadata"]["generation"]
    assert all(
        c["observedGeneration"] == cr["metadata"]["generation"] for c in status["conditions"]
    )
    assert bool(condition(cr, "StorageReady")) is stored
    assert "routeURL" not in status
    assert status["distributionConfig"].get("providers") is None


def test_every_row_of_the_defect_is_here() -> None:
    """Twelve edits show it (P-C1). That a Service stays is no case: ours is always there."""
    assert len(STALE) + len(WEDGED) == 11


def test_all_of_it_goes_with_its_resource(plane: ControlPlane, outcomes: Outcomes) -> None:
    """Also what we never wrote, and which names its owner in the old version."""
    name = name_of(next(case for case in CASES if case.name == "everything"))
    role_binding = outcomes.after[ROLE_BINDING.kind, f"{name}-rb"]
    assert role_binding["metadata"]["ownerReferences"][0]["apiVersion"] == OLD_API_VERSION
    arena = Arena(plane, NAMESPACE)

    arena.delete(name)

    def is_gone() -> bool:
        return not any(child == name or child.startswith(f"{name}-") for _, child in objects(arena))

    eventually("all of it is collected", is_gone, COLLECTED_S)
