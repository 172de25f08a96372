# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""ConfigMaps that a spec refers to: appear, change, vanish, by the real operator on real nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually, manifest

pytestmark = pytest.mark.apiserver

PATH = "spec.workload.overrides.env[0].valueFrom.configMapKeyRef"
BASE = resources.files("configs").joinpath("data/base/starter.yaml").read_text("utf-8")
HASH = "llamastack.io/config-maps-hash"


@pytest.fixture
def operator(kubeconfig: Path) -> Iterator[OperatorProcess]:
    with OperatorProcess(kubeconfig) as process:
        process.wait_logged("Started workers")
        yield process
        assert process.terminate() == 0


def config_map(name: str = "settings", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def resource_with_variable(world: World) -> None:
    source = {"configMapKeyRef": {"name": "settings", "key": "mode"}}
    world.resource(workload={"overrides": {"env": [{"name": "MODE", "valueFrom": source}]}})


def template_hash(world: World) -> str:
    template = world.must_get("deployment", "demo")["spec"]["template"]
    return str(template["metadata"]["annotations"][HASH])


def replica_sets(world: World) -> set[str]:
    return {found["metadata"]["uid"] for found in world.all("replicaset")}


def test_missing_config_map_is_reported_and_picked_up_when_it_appears(world: World) -> None:
    resource_with_variable(world)
    missing = world.wait_condition("Ready", "False")
    nothing = world.get("deployment", "demo")

    world.create("configmap", config_map(other="x"))
    without_key = eventually(
        "the key is missed",
        lambda: _with_reason(world, "ConfigMapKeyNotFound"),
    )
    world.patch("configmap", "settings", {"data": {"mode": "fast"}})
    world.wait_ready()

    assert nothing is None
    assert missing["reason"] == "ConfigMapNotFound"
    assert missing["message"] == (
        f'ConfigMap "settings" not found in namespace "{world.namespace}". Referenced by: {PATH}'
    )
    assert without_key["message"] == (
        f'Key "mode" not found in ConfigMap "settings/{world.namespace}". Referenced by: {PATH}'
    )


def _with_reason(world: World, reason: str) -> Mapping[str, Any] | None:
    answer = world.wait_condition("SecretsResolved", "False")
    return answer if answer["reason"] == reason else None


def test_content_rolls_the_pods_once_and_an_equal_rewrite_does_not(world: World) -> None:
    world.create("configmap", config_map(mode="fast"))
    resource_with_variable(world)
    world.wait_ready()
    before, old = template_hash(world), replica_sets(world)
    seen = world.must_get("deployment", "demo")["metadata"]["annotations"]

    world.patch("configmap", "settings", {"metadata": {"labels": {"team": "a"}}})
    eventually(
        "the new version is seen",
        lambda: world.must_get("deployment", "demo")["metadata"]["annotations"] != seen,
    )
    relabelled = template_hash(world), replica_sets(world)
    world.patch("configmap", "settings", {"data": {"mode": "slow"}})
    eventually("the pods are rolled", lambda: template_hash(world) != before)
    world.wait_ready()

    assert relabelled == (before, old)
    assert len(replica_sets(world)) == 2


def test_label_of_the_operator_on_a_users_config_map_changes_nothing(world: World) -> None:
    """It moves the object into the cache of our own; that is followed all the same."""
    ours = {"app.kubernetes.io/managed-by": "llama-stack-operator"}
    made = config_map(mode="fast")
    made["metadata"]["labels"] = ours
    world.create("configmap", made)
    resource_with_variable(world)
    world.wait_ready()
    before = template_hash(world)

    world.patch("configmap", "settings", {"data": {"mode": "slow"}})
    eventually("the pods are rolled", lambda: template_hash(world) != before)
    world.delete("configmap", "settings")
    answer = world.wait_condition("SecretsResolved", "False")

    assert answer["reason"] == "ConfigMapNotFound"


def test_config_map_that_vanishes_leaves_what_runs(world: World) -> None:
    world.create("configmap", config_map(mode="fast"))
    resource_with_variable(world)
    world.wait_ready()
    before = world.must_get("deployment", "demo")

    world.delete("configmap", "settings")
    answer = world.wait_condition("SecretsResolved", "False")

    assert answer["reason"] == "ConfigMapNotFound"
    assert world.must_get("deployment", "demo")["spec"] == before["spec"]


def test_restart_over_an_unchanged_world_reads_no_config_map(
    world: World, operator: OperatorProcess, kubeconfig: Path
) -> None:
    world.create("configmap", config_map(mode="fast"))
    world.create("configmap", config_map("own", **{"config.yaml": BASE}))
    resource_with_variable(world)
    own = {"distribution": {"name": "starter"}, "overrideConfig": {"configMapName": "own"}}
    world.create("llsd", {**manifest("demo-own"), "spec": own})
    world.wait_ready()
    world.wait_ready("demo-own")
    operator.terminate()
    mark = world.plane.audit.mark()

    with OperatorProcess(kubeconfig) as again:
        again.wait_logged("Started workers")
        # A resource that comes last is reconciled after all that were there.
        world.resource("last")
        world.wait_ready("last")
        requests = world.requests_since(mark)

    reads = [r for r in requests if r.resource == "configmaps" and r.verb == "get"]
    assert reads == []
    assert [r for r in world.writes_since(mark) if r.name.startswith("demo")] == []
