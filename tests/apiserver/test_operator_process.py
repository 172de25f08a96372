# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Restarts, outages, idleness and leadership of the whole process."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from controller.llamastack.watches import WATCHES
from hack.cluster.audit import AuditedRequest, Mark
from hack.cluster.plane import ControlPlane
from tests.support.operator_process import OperatorProcess
from tests.support.world import SYSTEM, USER, World, eventually, is_review

pytestmark = pytest.mark.apiserver

LEASE_S = 15.0
IDLE_MINUTE = 30  # renewals, one every two seconds
CONTROLLED = ("serviceaccounts", "configmaps", "services", "deployments")


@pytest.fixture
def world(kubeconfig: Path, kwok_plane: ControlPlane, kwok_namespace: str) -> Iterator[World]:
    made = World(kwok_plane, kwok_namespace)
    yield made
    kwok_plane.start_apiserver()
    for cr in made.all("llsd"):
        made.delete("llsd", cr["metadata"]["name"])


@contextmanager
def running(kubeconfig: Path, *flags: str) -> Iterator[OperatorProcess]:
    with OperatorProcess(kubeconfig, *flags) as process:
        process.wait_ready()
        yield process


def summary(requests: list[AuditedRequest]) -> collections.Counter[tuple[str, str]]:
    return collections.Counter((r.verb, r.resource) for r in requests)


def test_restart_over_an_unchanged_world_writes_nothing_and_only_lists(
    world: World, kubeconfig: Path
) -> None:
    world.secret()
    with running(kubeconfig) as first:
        for number in range(5):
            world.resource(f"cr-{number}")
        for number in range(5):
            world.wait_ready(f"cr-{number}")
        eventually("all Events", lambda: len(world.all("event")) >= 10)
        assert first.terminate() == 0
    mark = world.plane.audit.mark()

    with running(kubeconfig) as second:
        second.wait_logged("Started workers")
        done = (
            'controller_runtime_reconcile_total{controller="llamastackdistribution",'
            'result="success"}'
        )
        eventually("a reconcile over each", lambda: second.metrics()[done] >= 5)
        requests = world.requests_since(mark)

    assert world.writes_since(mark) == []
    # A streaming list is a watch; each kind is asked for once. Three questions beside it: is our
    # API served, which others are, and which versions of it are stored.
    verbs = summary([r for r in requests if not is_review(r)])
    assert {verb for verb, _ in verbs} <= {"watch", "list", "get"}
    assert sum(count for (verb, _), count in verbs.items() if verb == "get") <= 3
    assert sum(verbs.values()) <= len(WATCHES) + 3, verbs


def elected(kubeconfig: Path) -> AbstractContextManager[OperatorProcess]:
    return running(kubeconfig, "--leader-elect", f"--leader-elect-namespace={SYSTEM}")


@pytest.mark.slow
def test_operator_that_idles_for_a_minute_asks_for_its_lease_only(
    world: World, kubeconfig: Path
) -> None:
    world.secret()
    with elected(kubeconfig) as process:
        process.wait_logged("Started workers", deadline_s=30)
        world.resource()
        world.wait_ready()
        eventually("both Events", lambda: len(world.events()) == 2)
        # Namespaces of earlier tests are emptied in the background.
        everywhere = "/apis/llamastack.io/v1alpha2/llamastackdistributions"
        eventually("nobody else's", lambda: len(world.client.get(everywhere)["items"]) == 1)
        mark = world.plane.audit.mark()

        def renewed() -> bool:
            return summary(ours(world, mark))["update", "leases"] >= IDLE_MINUTE

        eventually("a minute of renewals", renewed, deadline_s=90)
        assert {r.resource for r in ours(world, mark)} == {"leases"}
        assert process.terminate() == 0


def ours(world: World, mark: Mark) -> list[AuditedRequest]:
    return [r for r in world.plane.audit.since(mark) if r.user == USER]


def test_one_of_two_works_and_the_other_takes_over(world: World, kubeconfig: Path) -> None:
    world.secret()
    with elected(kubeconfig) as first:
        first.wait_logged("Started workers", deadline_s=30)
        with elected(kubeconfig) as second:
            second.wait_logged("Saw a leader")
            world.resource("one")
            world.wait_ready("one")
            assert not logged(second, "Started workers")

            killed = time.monotonic()
            first.kill()
            second.wait_logged("Started workers", deadline_s=LEASE_S + 10)
            assert time.monotonic() - killed <= LEASE_S + 2
            world.resource("two")
            world.wait_ready("two")

            with elected(kubeconfig) as third:
                third.wait_logged("Saw a leader")
                stopped = time.monotonic()
                assert second.terminate() == 0
                third.wait_logged("Started workers", deadline_s=10)
                assert time.monotonic() - stopped < 3
                world.resource("three")
                world.wait_ready("three")
                assert third.terminate() == 0


def logged(process: OperatorProcess, event: str) -> bool:
    return any(record.get("event") == event for record in process.records())


def test_namespaced_operator_works_with_rights_in_its_namespace_only(
    kwok_plane: ControlPlane, world: World, kubeconfig: Path
) -> None:
    """A RoleBinding gives the rights of the shipped ClusterRole in one namespace."""
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "tenant"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "llama-stack-k8s-operator-manager-role",
        },
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "tenant"}],
    }
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{world.namespace}/rolebindings"
    world.client.create(path, binding)
    tenant = kwok_plane.kubeconfig_for("tenant")
    world.secret()

    with running(tenant, "--namespace", world.namespace) as process:
        world.resource()
        world.wait_ready()
        assert process.terminate() == 0

    asked = {r.namespace for r in world.plane.audit.since() if r.user == "tenant" and r.resource}
    assert asked == {world.namespace, ""}
    assert {
        r.resource for r in world.plane.audit.since() if (r.user, r.namespace) == ("tenant", "")
    } <= {
        "selfsubjectrulesreviews",
        "",
    }


@pytest.mark.timeout(400)  # a minute on a calm machine
def test_api_server_killed_in_the_middle_of_200_creations_loses_and_doubles_nothing(
    kwok_plane: ControlPlane, world: World, kubeconfig: Path
) -> None:
    world.secret()
    names = [f"cr-{number}" for number in range(200)]
    mark = world.plane.audit.mark()
    with running(kubeconfig) as process:
        for name in names[:100]:
            world.resource(name, workload={"replicas": 0})
        kwok_plane.restart_apiserver()
        for name in names[100:]:
            world.resource(name, workload={"replicas": 0})

        eventually(
            "200 are Ready",
            lambda: sum(ready(cr) for cr in world.all("llsd")) == len(names),
            deadline_s=300,
        )
        assert process.running

    created = [
        (r.resource, r.name)
        for r in world.requests_since(mark)
        if r.verb == "create" and r.code == 201 and r.resource in CONTROLLED
    ]
    # A killed server may have carried out what it never logged, so: none twice, and all there.
    assert max(collections.Counter(created).values()) == 1
    for kind in ("serviceaccount", "service", "deployment"):
        assert sum(o["metadata"]["name"].startswith("cr-") for o in world.all(kind)) == 200
    assert len([c for c in world.all("configmap") if "-config-" in c["metadata"]["name"]]) == 200
    assert all(d["metadata"]["generation"] == 1 for d in world.all("deployment"))


def ready(cr: dict[str, object]) -> bool:
    status = cr.get("status")
    return isinstance(status, dict) and status.get("phase") == "Ready"
