# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Edits of a running resource after which the Go operator was wrong, or failed for ever.

Each is a test by name; where it is a test of another file, ``ELSEWHERE`` points to it. That each
edit ends where a fresh resource with the final spec begins is proven for all fields by
``test_every_edit``.
"""

from __future__ import annotations

from typing import Any

import pytest

from hack.root import ROOT
from tests.support.elsewhere import is_test
from tests.support.world import World

pytestmark = pytest.mark.apiserver

CONFIGS = ROOT / "configs/data/base"
WORKLOAD = "apiserver/test_edits_workload::"
STORAGE = "apiserver/test_edits_storage::"
ELSEWHERE = {
    "remove a variable": f"{WORKLOAD}test_removed_variable_goes",
    "a value becomes valueFrom": f"{WORKLOAD}test_value_becomes_a_reference",
    "override a variable of the operator": (
        f"{WORKLOAD}test_variable_of_the_operator_is_overridden_and_comes_back"
    ),
    "remove command, arguments, limits, volumes, grace period": (
        f"{WORKLOAD}test_command_arguments_limits_and_volumes_go"
    ),
    "rename the container": f"{WORKLOAD}test_renamed_container_is_one_container",
    "add and remove a volume": (
        f"{STORAGE}test_volume_comes_and_goes_with_the_spec_but_the_claim_stays"
    ),
    "another budget than the default": (
        f"{WORKLOAD}test_budget_switches_from_the_default_to_the_users_and_back"
    ),
    "three replicas to one": (
        f"{WORKLOAD}test_three_replicas_to_one_takes_the_budget_along_and_restarts_no_pod"
    ),
}


@pytest.mark.parametrize("edit", ELSEWHERE)
def test_edit_is_tested(edit: str) -> None:
    assert is_test(ELSEWHERE[edit]), ELSEWHERE[edit]


def ports(world: World) -> tuple[Any, Any, Any]:
    """Of the Service, of the container, and of the address in the status."""
    service = world.must_get("service", "demo-service")["spec"]["ports"]
    pod = world.must_get("deployment", "demo")["spec"]["template"]["spec"]
    address = world.must_get("llsd", "demo")["status"]["serviceURL"].rpartition(":")[2]
    found = [(p["name"], p["port"], p["targetPort"]) for p in service]
    return found, pod["containers"][0]["ports"][0]["containerPort"], int(address)


def test_changed_port_replaces_the_old_one_everywhere_and_its_removal_brings_it_back(
    world: World,
) -> None:
    """A Service with two ports of one name is refused, and so was every later edit."""
    world.resource(networking={"port": 9000})
    world.wait_ready()
    assert ports(world) == ([("http", 9000, 9000)], 9000, 9000)

    world.patch("llsd", "demo", {"spec": {"networking": {"port": 9001}}})
    world.wait_ready()
    assert ports(world) == ([("http", 9001, 9001)], 9001, 9001)

    world.patch("llsd", "demo", {"spec": {"networking": None}})
    world.wait_ready()
    assert ports(world) == ([("http", 8321, 8321)], 8321, 8321)


def test_deployment_whose_config_source_was_removed_is_still_ours(world: World) -> None:
    """It lost its owner: later edits were ignored, and it outlived its resource."""
    config = {"config.yaml": (CONFIGS / "starter.yaml").read_text("utf-8")}
    metadata = {"name": "mine"}
    world.create(
        "configmap", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": config}
    )
    world.resource(providers=None, resources=None, overrideConfig={"configMapName": "mine"})
    world.wait_ready()
    uid = world.must_get("llsd", "demo")["metadata"]["uid"]

    world.patch("llsd", "demo", {"spec": {"overrideConfig": None}})
    world.wait_ready()
    env = [{"name": "LATER", "value": "1"}]
    world.patch("llsd", "demo", {"spec": {"workload": {"overrides": {"env": env}}}})
    world.wait_ready()

    live = world.must_get("deployment", "demo")
    assert [owner["uid"] for owner in live["metadata"]["ownerReferences"]] == [uid]
    pod = live["spec"]["template"]["spec"]
    assert "mine" not in [v.get("configMap", {}).get("name") for v in pod["volumes"]]
    assert env[0] in pod["containers"][0]["env"]
    world.delete("llsd", "demo")
    world.wait_collected("deployment", "demo")
