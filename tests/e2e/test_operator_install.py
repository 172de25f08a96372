# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The operator in the cluster, as ``deploy/default`` installs it."""

from __future__ import annotations

import pytest

from hack.cluster.errors import ApiFailure
from hack.cluster.node.pods import wait_for
from tests.support.incluster import NAME, InCluster, pod_of
from tests.support.world import ACCOUNT, SYSTEM, USER

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_both_replicas_run_the_image_of_the_containerfile_and_one_leads(
    operator_in_cluster: InCluster, operator_image: str
) -> None:
    pods = operator_in_cluster.pods()
    statuses = [pod["status"]["containerStatuses"][0] for pod in pods]

    assert [s["ready"] for s in statuses] == [True, True]
    assert {s["image"] for s in statuses} == {operator_image}
    assert pod_of(operator_in_cluster.leader()) in {pod["metadata"]["name"] for pod in pods}


def test_standby_waits_with_filled_caches(operator_in_cluster: InCluster) -> None:
    leading = operator_in_cluster.leading_pod()
    names = {pod["metadata"]["name"] for pod in operator_in_cluster.pods()}
    (standby,) = names - {leading}

    events = [record["event"] for record in operator_in_cluster.records(standby)]

    assert "Became leader" not in events
    assert "Became leader" in [r["event"] for r in operator_in_cluster.records(leading)]


def test_a_start_logs_no_error(operator_in_cluster: InCluster) -> None:
    for pod in operator_in_cluster.pods():
        records = operator_in_cluster.records(pod["metadata"]["name"])

        # A warning there may be: the API server asks for patience while a definition is new.
        assert [r for r in records if r["level"] not in {"debug", "info", "warning"}] == []
        assert records


def test_it_works_as_its_own_account_and_nothing_it_asks_for_is_forbidden(
    operator_in_cluster: InCluster,
) -> None:
    accounts = {pod["spec"]["serviceAccountName"] for pod in operator_in_cluster.pods()}

    asked = [r for r in operator_in_cluster.plane.audit.since() if r.user == USER]

    assert accounts == {ACCOUNT}
    assert {"watch", "update"} <= {r.verb for r in asked}
    assert {r.decision for r in asked} == {"allow"}


def test_its_namespace_refuses_what_pod_security_restricted_forbids(
    operator_in_cluster: InCluster,
) -> None:
    container = {"name": "main", "image": "localhost/probe:test"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bad"},
        "spec": {"containers": [container]},
    }

    with pytest.raises(ApiFailure, match='violates PodSecurity "restricted'):
        operator_in_cluster.system.client.create(f"/api/v1/namespaces/{SYSTEM}/pods", pod)


def test_a_second_install_changes_no_pod(operator_in_cluster: InCluster) -> None:
    before = operator_in_cluster.deployment()

    operator_in_cluster.install()

    after = operator_in_cluster.deployment()
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert after["metadata"]["name"] == NAME


def test_metrics_are_what_prometheus_reads(operator_in_cluster: InCluster) -> None:
    families = wait_for("metrics", operator_in_cluster.metric_families)

    assert families["workqueue_depth"] == "gauge"
    assert families["workqueue_adds"] == "counter"
    assert families["controller_runtime_reconcile_time_seconds"] == "histogram"
    assert families["leader_election_master_status"] == "gauge"
