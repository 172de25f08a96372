# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Edits of ``spec.workload`` on a live resource, by the real operator on a real control plane.

Each of them once left the Go operator with what was there before, or with a resource that failed
for ever.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.world import World, eventually

pytestmark = pytest.mark.apiserver

BUDGET = "/apis/policy/v1/namespaces/{}/poddisruptionbudgets/demo-pdb"
AUTOSCALER = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers/demo-hpa"


def look(world: World, path: str) -> dict[str, Any] | None:
    status, answer = world.client.raw("GET", path.format(world.namespace))
    if status == 404:
        return None
    found: dict[str, Any] = json.loads(answer)["spec"]
    return found


def start(world: World, **workload: Any) -> None:
    world.resource(workload=workload)
    world.wait_ready()


def edit(world: World, **workload: Any) -> dict[str, Any]:
    """The Deployment's spec after an edit."""
    world.patch("llsd", "demo", {"spec": {"workload": workload}})
    world.wait_ready()
    return deployment(world)


def deployment(world: World) -> dict[str, Any]:
    spec: dict[str, Any] = world.must_get("deployment", "demo")["spec"]
    return spec


def container(spec: dict[str, Any]) -> dict[str, Any]:
    (only,) = spec["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def variables(spec: dict[str, Any]) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container(spec)["env"]}


def test_budget_switches_from_the_default_to_the_users_and_back(world: World) -> None:
    start(world, replicas=2)
    before = look(world, BUDGET)

    edit(world, podDisruptionBudget={"minAvailable": 1})
    given = look(world, BUDGET)
    edit(world, podDisruptionBudget=None)
    after = look(world, BUDGET)

    assert before is not None
    assert (before.get("minAvailable"), before["maxUnavailable"]) == (None, 1)
    assert given is not None
    assert (given["minAvailable"], given.get("maxUnavailable")) == (1, None)
    assert after == before


def test_three_replicas_to_one_takes_the_budget_along_and_restarts_no_pod(world: World) -> None:
    start(world, replicas=3)
    several = deployment(world)["template"]

    one = edit(world, replicas=1)

    assert one["replicas"] == 1
    assert one["template"] == several
    assert len(world.all("replicaset")) == 1
    eventually("the budget is gone", lambda: look(world, BUDGET) is None)


def test_autoscaler_takes_over_and_gives_back_without_dropping_a_pod(world: World) -> None:
    start(world, replicas=3)
    uid = world.must_get("deployment", "demo")["metadata"]["uid"]

    scaled = edit(world, autoscaling={"maxReplicas": 5})

    assert scaled["replicas"] == 3
    assert look(world, AUTOSCALER) is not None
    world.patch("deployment", "demo", {"spec": {"replicas": 4}})
    assert edit(world, overrides={"args": ["x"]})["replicas"] == 4, "the autoscaler's number stays"
    assert edit(world, autoscaling=None)["replicas"] == 3
    eventually("the autoscaler is gone", lambda: look(world, AUTOSCALER) is None)
    assert world.must_get("deployment", "demo")["metadata"]["uid"] == uid
    sets = world.all("replicaset")
    assert all(s["metadata"]["ownerReferences"][0]["uid"] == uid for s in sets)


def test_removed_variable_goes(world: World) -> None:
    start(world, overrides={"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]})

    found = variables(edit(world, overrides={"env": [{"name": "B", "value": "2"}]}))

    assert found["B"] == "2"
    assert "A" not in found


def test_value_becomes_a_reference(world: World) -> None:
    start(world, overrides={"env": [{"name": "A", "value": "1"}]})
    reference = {"fieldRef": {"fieldPath": "metadata.name"}}

    found = variables(edit(world, overrides={"env": [{"name": "A", "valueFrom": reference}]}))

    assert found["A"]["fieldRef"]["fieldPath"] == "metadata.name"


def test_variable_of_the_operator_is_overridden_and_comes_back(world: World) -> None:
    start(world, overrides={"env": [{"name": "HF_HOME", "value": "/mine"}]})
    before = variables(deployment(world))["HF_HOME"]

    after = edit(world, overrides={"env": None})

    assert before == "/mine"
    assert variables(after)["HF_HOME"] == "/.llama"
    names = [entry["name"] for entry in container(after)["env"]]
    assert len(names) == len(set(names))


def test_command_arguments_limits_and_volumes_go(world: World) -> None:
    overrides = {
        "command": ["a"],
        "args": ["b"],
        "volumes": [{"name": "extra", "emptyDir": {}}],
        "volumeMounts": [{"name": "extra", "mountPath": "/extra"}],
        "terminationGracePeriodSeconds": 7,
    }
    start(world, overrides=overrides, resources={"limits": {"cpu": "2", "memory": "2Gi"}})

    spec = edit(world, overrides=None, resources=None)

    only = container(spec)
    assert not {"command", "args"} & only.keys()
    assert only["resources"] == {"requests": {"cpu": "1", "memory": "1Gi"}}
    assert "extra" not in {v["name"] for v in spec["template"]["spec"]["volumes"]}
    assert "extra" not in {m["name"] for m in only["volumeMounts"]}
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 30


def test_renamed_container_is_one_container(world: World) -> None:
    start(world)

    assert container(edit(world, overrides={"containerName": "server"}))["name"] == "server"
