# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The upgrade of a cluster of the Go operator, from its CRD to removed fields that really go.

A hundred servers run, as that operator left them, and some that it could not finish. Then the new
CRD, policy and webhooks are installed, and our operator starts with its own rights. Nothing is
written here in another version than v1alpha1: whoever has a cluster today has manifests of that.
What becomes of every child in detail is the subject of ``test_takeover``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from api import OLD_VERSION, VERSION
from api.conditions import condition
from api.crd import NAME
from controller.llamastack.objects.kinds import (
    DEPLOYMENT,
    LLAMA_STACK,
    PERSISTENT_VOLUME_CLAIM,
)
from hack.cluster.plane import ControlPlane, PlaneOptions
from hack.cluster.ports import free_port
from tests.support.crdplane import CRDS, apply, until
from tests.support.edits.arena import Arena
from tests.support.edits.full import IN_SYSTEM
from tests.support.edits.normal import differences
from tests.support.go_cases import STALE, WEDGED, WORKING, Case, new_spec, resource
from tests.support.go_definition import go_definition
from tests.support.go_operator import GoOperator
from tests.support.volumes import storage_class, volume
from tests.support.webhooked import Webhooked, asked, collection, install_webhooks
from tests.support.world import ACCOUNT, DEPLOY, SYSTEM, USER, eventually

pytestmark = [
    pytest.mark.apiserver,
    pytest.mark.slow,
    # The work of all tests is done by the first one.
    pytest.mark.timeout(900),
]

Json = dict[str, Any]
NAMESPACE = "upgrade"
COUNT = 100
NODES = 8
PATIENCE_S = 300.0
OLD = replace(LLAMA_STACK, version=OLD_VERSION)
REVISION = "deployment.kubernetes.io/revision"
MOST_REQUESTS = 25
"""Of our operator, for the take-over of one resource."""

_GOOD = (*WORKING, *STALE)
LEFT: Mapping[str, Case] = {
    **{f"good-{number:04d}": _GOOD[number % len(_GOOD)] for number in range(COUNT)},
    **{f"wedged-{number:04d}": case for number, case in enumerate(WEDGED)},
}
"""The cases, by the names of their resources."""

GOOD = [name for name in LEFT if name.startswith("good")]
STUCK = [name for name in LEFT if name.startswith("wedged")]


@dataclass
class Outcomes:
    """What came of the upgrade.

    Attributes:
        errors: of the Go operator, by resource.
        stored: versions of stored objects, as the CRD lists them: after its change, at the end.
        before: objects by kind and name, as the Go operator left them.
        after: likewise, when ours was done.
        seconds: from the start of our operator until everything was Ready.
        requests: of our operator in that time, about objects in their namespace.
        trouble: what kept ours from finishing, after the removal of fields.
        children: after that, by resource.
        wanted: of a fresh resource with the spec that was left.
    """

    errors: dict[str, str] = field(default_factory=dict)
    stored: list[list[str]] = field(default_factory=list)
    before: dict[tuple[str, str], Json] = field(default_factory=dict)
    after: dict[tuple[str, str], Json] = field(default_factory=dict)
    seconds: float = 0.0
    requests: int = 0
    trouble: dict[str, str] = field(default_factory=dict)
    children: dict[str, dict[str, Json]] = field(default_factory=dict)
    wanted: dict[str, dict[str, Json]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def plane(binaries: Mapping[str, Path]) -> Iterator[ControlPlane]:
    """A cluster in which v1alpha1 is the only version, and servers start."""
    with ControlPlane(binaries, PlaneOptions(scheduler=True, nodes=NODES)) as made:
        apply(made, CRDS, go_definition())
        until(lambda: made.client.exists(collection(OLD_VERSION, "default")))
        storage_class(made.client, "standard", default=True)
        for number in range(sum(has_volume(case) for case in LEFT.values())):
            volume(made.client, f"volume-{number}", "standard", size="20Gi")
        yield made


def has_volume(case: Case) -> bool:
    """Whether a claim is left, though perhaps not asked for any more."""
    return any("storage" in step["server"] for step in case.steps)


@pytest.fixture(scope="module")
def outcomes(plane: ControlPlane) -> Outcomes:
    arena = Arena(plane, NAMESPACE, version=OLD_VERSION)
    found = Outcomes()
    leave(plane, arena, found)
    found.before = objects(arena, OLD_VERSION)

    for base in ("namespace", "rbac"):
        plane.kubectl("apply", "--server-side", "-k", str(DEPLOY / base))
    kubeconfig = plane.kubeconfig_for_service_account(SYSTEM, ACCOUNT)
    where = Webhooked(plane, f"https://127.0.0.1:{free_port()}", kubeconfig)
    install_webhooks(where)
    found.stored.append(stored_versions(plane))
    mark, began = plane.audit.mark(), time.monotonic()
    with asked(where, "--workers=16", env=IN_SYSTEM) as operator:
        wait_ready(arena, LEFT)
        found.seconds = time.monotonic() - began
        found.requests = sum(
            request.user == USER and request.namespace == NAMESPACE
            for request in plane.audit.since(mark)
        )
        operator.wait_logged("Migrated stored objects")
        found.stored.append(stored_versions(plane))
        found.after = objects(arena, VERSION)
        remove(arena, found)
    return found


def leave(plane: ControlPlane, arena: Arena, found: Outcomes) -> None:
    """Everything as the Go operator leaves it, and its servers run."""
    go = GoOperator(plane.client)
    arena.prepare(new_spec(step) for case in LEFT.values() for step in case.steps)
    arena.create({name: case.steps[0] for name, case in LEFT.items()})
    uids = {cr["metadata"]["name"]: cr["metadata"]["uid"] for cr in arena.all(OLD)}

    def work(item: tuple[str, Case]) -> None:
        name, case = item
        for step in case.steps:
            arena.edit({name: step})
            go.reconcile(resource(name, NAMESPACE, step, uids[name]))
        last = resource(name, NAMESPACE, case.last, uids[name])
        found.errors[name] = go.reconcile(last)
        go.report(last, error=found.errors[name], version=OLD_VERSION)

    arena.each(LEFT.items(), work)
    eventually("the servers of the Go operator run", lambda: run(arena, GOOD), PATIENCE_S)


def run(arena: Arena, names: list[str]) -> bool:
    """Whether all pods of Deployments are those that are asked for, and available."""
    live = {obj["metadata"]["name"]: obj for obj in arena.all(DEPLOYMENT)}
    return all(
        live[name]["status"].get("observedGeneration") == live[name]["metadata"]["generation"]
        and live[name]["status"].get("updatedReplicas") == live[name]["spec"]["replicas"]
        and live[name]["status"].get("availableReplicas") == live[name]["spec"]["replicas"]
        for name in names
    )


def wait_ready(arena: Arena, names: Mapping[str, object]) -> None:
    """Until resources are Ready for their generation."""

    def waiting() -> list[str]:
        live = {cr["metadata"]["name"]: cr for cr in arena.all(LLAMA_STACK)}
        return [name for name in names if not is_ready(live[name])]

    try:
        eventually("everything is Ready", lambda: not waiting(), PATIENCE_S)
    except AssertionError:
        cr = next(cr for cr in arena.all(LLAMA_STACK) if cr["metadata"]["name"] in waiting())
        pytest.fail(f"{waiting()}: {cr}")


def is_ready(cr: Json) -> bool:
    ready = condition(cr, "Ready")
    current = ready.get("observedGeneration") == cr["metadata"]["generation"]
    return ready.get("status") == "True" and current


def objects(arena: Arena, version: str) -> dict[tuple[str, str], Json]:
    kinds = (DEPLOYMENT, PERSISTENT_VOLUME_CLAIM, replace(LLAMA_STACK, version=version))
    return {(kind.kind, obj["metadata"]["name"]): obj for kind in kinds for obj in arena.all(kind)}


def stored_versions(plane: ControlPlane) -> list[str]:
    found: list[str] = plane.client.get(f"{CRDS}/{NAME}")["status"]["storedVersions"]
    return found


def left_of(name: str, case: Case) -> tuple[list[Json], Json]:
    """A patch that removes one field, another one of each resource of a case; and what is left."""
    spec = {**case.last, "server": dict(case.last["server"])}
    paths: list[tuple[str, ...]] = [("server", key) for key in spec["server"]]
    paths.remove(("server", "distribution"))
    paths += [("network",)] if "network" in spec else []
    if not paths:
        return [], spec
    path = paths[int(name.rpartition("-")[2]) // len(_GOOD) % len(paths)]
    (spec["server"] if len(path) > 1 else spec).pop(path[-1])
    return [{"op": "remove", "path": "/spec/" + "/".join(path)}], spec


def remove(arena: Arena, found: Outcomes) -> None:
    """Remove a field of each, and compare with fresh resources without it."""
    fresh: dict[str, str] = {}
    specs: dict[str, Json] = {}
    for name, case in LEFT.items():
        patch, spec = left_of(name, case)
        specs.setdefault(repr(spec), spec)
        fresh[name] = f"fresh-{list(specs).index(repr(spec)):04d}"
        arena.patch(name, patch)
    arena.create({f"fresh-{number:04d}": spec for number, spec in enumerate(specs.values())})
    found.trouble = arena.settle([*LEFT, *set(fresh.values())], patience_s=30)
    found.children = arena.children()
    found.wanted = {name: found.children[one] for name, one in fresh.items()}


@pytest.mark.parametrize("name", LEFT)
def test_go_operator_was_content_with_all_but_the_wedged(name: str, outcomes: Outcomes) -> None:
    """The other tests prove something only then."""
    assert bool(outcomes.errors[name]) is (name in STUCK), outcomes.errors[name]


@pytest.mark.parametrize("name", LEFT)
def test_resource_becomes_ready(name: str, outcomes: Outcomes) -> None:
    assert is_ready(outcomes.after[LLAMA_STACK.kind, name])


@pytest.mark.parametrize("name", LEFT)
def test_no_pod_is_replaced_more_than_once(name: str, outcomes: Outcomes) -> None:
    before, after = (found[DEPLOYMENT.kind, name] for found in (outcomes.before, outcomes.after))

    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert revision(after) - revision(before) <= 1


def revision(deployment: Json) -> int:
    """How many pod templates a Deployment has had."""
    return int(deployment["metadata"]["annotations"][REVISION])


def test_volumes_are_not_touched(outcomes: Outcomes) -> None:
    kind = PERSISTENT_VOLUME_CLAIM.kind
    claims = [name for found, name in outcomes.before if found == kind]

    assert len(claims) > COUNT // len(_GOOD)
    for name in claims:
        before, after = outcomes.before[kind, name], outcomes.after[kind, name]
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["spec"] == {**before["spec"], **volume_name(after)}


def volume_name(claim: Json) -> Json:
    """Of a claim that may have been bound only later, because no pod could start with it."""
    return {"volumeName": claim["spec"]["volumeName"]} if "volumeName" in claim["spec"] else {}


def test_stored_objects_are_all_of_the_new_version(outcomes: Outcomes) -> None:
    assert outcomes.stored == [[OLD_VERSION, VERSION], [VERSION]]


def test_take_over_is_cheap(outcomes: Outcomes) -> None:
    each = outcomes.requests / len(LEFT)
    print(f"\n{len(LEFT)} resources in {outcomes.seconds:.1f} s, {each:.1f} requests each")

    assert each < MOST_REQUESTS


@pytest.mark.parametrize("name", LEFT)
def test_field_that_is_removed_afterwards_is_gone(name: str, outcomes: Outcomes) -> None:
    assert outcomes.trouble.get(name) is None
    assert differences(outcomes.children[name], outcomes.wanted[name]) == []
