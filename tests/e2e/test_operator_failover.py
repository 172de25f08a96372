# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The operator dies in the middle of its work."""

from __future__ import annotations

import pytest

from hack.cluster.node.pods import Namespace, wait_for
from tests.support.incluster import NAME, InCluster
from tests.support.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_SMALL = {"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}}


def test_leader_killed_during_a_roll_is_followed_by_the_standby_which_ends_the_roll(
    operator_in_cluster: InCluster, world: World, restricted: Namespace
) -> None:
    world.secret()
    world.resource("demo", "one", workload=_SMALL)
    world.wait_ready(deadline_s=180)
    old = operator_in_cluster.leading_pod()

    world.patch("llsd", "demo", {"spec": {"resources": {"models": ["one", "two"]}}})
    wait_for("the new pod", lambda: len(world.all("replicaset")) == 2)
    operator_in_cluster.kill(old)
    three = {"spec": {"resources": {"models": ["one", "three"]}}}
    world.patch_patiently("llsd", "demo", three)

    new = wait_for("another leader", lambda: _other(operator_in_cluster, old), seconds=40)
    cr = world.wait_ready(deadline_s=180)
    wait_for("one pod", lambda: len(restricted.pods("app.kubernetes.io/instance=demo")) == 1)
    operator_in_cluster.system.wait_for_deployment(NAME)
    models = restricted.ask_json("demo-service", 8321, "/v1/models")["data"]
    maps = world.config_maps()

    assert new != old
    assert {"vllm/one", "vllm/three"} <= {model["id"] for model in models}
    assert maps[-1] == cr["status"]["configGeneration"]["configMapName"]
    assert len(maps) <= 3, "of those before, what a ReplicaSet may go back to"
    for kind in ("deployment", "service", "serviceaccount", "configmap"):
        ours = [o for o in world.all(kind) if o["metadata"]["name"].startswith("demo")]
        assert {o["metadata"]["ownerReferences"][0]["uid"] for o in ours} == {cr["metadata"]["uid"]}
    ended = operator_in_cluster.records(old, previous=True)
    assert "Released the lease" not in [record["event"] for record in ended], "it was killed"


def _other(running: InCluster, old: str) -> str:
    now = running.leading_pod()
    return now if now != old else ""
