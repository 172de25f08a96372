# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where the server's configuration comes from, and edits of that, on a live resource.

Default, generated, override: each by the real operator on a real control plane, and each way from
one to another leads to what a new resource would have got.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from api.conditions import condition
from hack.cluster.plane import ControlPlane
from tests.support.operator_process import OperatorProcess
from tests.support.world import World, eventually, manifest

pytestmark = pytest.mark.apiserver

BASE = resources.files("configs").joinpath("data/base/starter.yaml").read_text("utf-8")
OVERRIDE = {"configMapName": "mine"}
CONFIG_ENV = {"RUN_CONFIG_PATH", "LLAMA_STACK_CONFIG"}

DEFAULT: dict[str, Any] = {"distribution": {"name": "starter"}}
GENERATED: dict[str, Any] = {
    **DEFAULT,
    "providers": {"inference": {"provider": "ollama", "endpoint": "http://ollama:11434/v1"}},
}
OVERRIDDEN: dict[str, Any] = {**DEFAULT, "overrideConfig": OVERRIDE}
SPECS = {"default": DEFAULT, "generated": GENERATED, "override": OVERRIDDEN}


@pytest.fixture
def world(operator: OperatorProcess, kwok_plane: ControlPlane, kwok_namespace: str) -> World:
    return World(kwok_plane, kwok_namespace)


def config_map(text: str = BASE, name: str = "mine") -> dict[str, Any]:
    data = {"config.yaml": text}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def resource(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {**manifest(name), "spec": spec}


def replace_spec(world: World, spec: dict[str, Any]) -> None:
    """The whole spec, so that what it does not have is removed."""
    live = world.must_get("llsd", "demo")
    status, answer = world.client.raw("PUT", world.path("llsd", "demo"), {**live, "spec": spec})
    assert status == 200, answer


def pod(world: World, name: str = "demo") -> dict[str, Any]:
    template: dict[str, Any] = world.must_get("deployment", name)["spec"]["template"]
    return template


def variables(template: dict[str, Any]) -> dict[str, Any]:
    (container,) = template["spec"]["containers"]
    return {entry["name"]: entry.get("value") for entry in container["env"]}


def mounted(template: dict[str, Any]) -> list[str]:
    volumes = template["spec"]["volumes"]
    return [volume["configMap"]["name"] for volume in volumes if "configMap" in volume]


def replica_sets(world: World) -> set[str]:
    return {found["metadata"]["uid"] for found in world.all("replicaset")}


def comparable(world: World, name: str) -> Any:
    """The Deployment with the name of its resource left out.

    And without what is known of the server's registry: that outlives the configuration, as the
    data does (R-D16c).
    """
    live = world.must_get("deployment", name)
    annotations = {
        key: value
        for key, value in live["metadata"]["annotations"].items()
        if key in ("llamastack.io/config-maps-seen", "llamastack.io/autoscaled")
    }
    text = json.dumps([live["spec"], live["metadata"]["labels"], annotations], sort_keys=True)
    return json.loads(text.replace(name, "NAME"))


# --- override ------------------------------------------------------------------------------------


def test_own_config_is_mounted_and_named_in_the_status(world: World) -> None:
    world.create("configmap", config_map())
    world.create("llsd", resource("demo", OVERRIDDEN))

    status = world.wait_ready()["status"]

    assert mounted(pod(world)) == ["mine"]
    assert variables(pod(world)).keys() >= CONFIG_ENV
    assert status["resolvedDistribution"]["configSource"] == "override"
    assert len(status["resolvedDistribution"]["configHash"]) == 64
    assert "configGeneration" not in status
    answer = condition({"status": status}, "ConfigGenerated")
    assert answer["reason"] == "OverrideConfig"
    assert "for servers of 0.7" in answer["message"]
    assert world.config_maps() == []


def test_changed_content_rolls_once_and_an_equal_rewrite_does_not(world: World) -> None:
    world.create("configmap", config_map())
    world.create("llsd", resource("demo", OVERRIDDEN))
    before = world.wait_ready()
    old = replica_sets(world)

    world.delete("configmap", "mine")
    world.wait_condition("SecretsResolved", "False")
    world.create("configmap", config_map())
    again = world.wait_ready()
    rewritten = replica_sets(world)
    world.patch("configmap", "mine", {"data": {"config.yaml": f"{BASE}# changed\n"}})
    digest = before["status"]["resolvedDistribution"]["configHash"]
    eventually(
        "the new content is in the status",
        lambda: _digest(world) not in ("", digest),
    )
    world.wait_ready()

    assert again["status"]["resolvedDistribution"]["configHash"] == digest
    assert rewritten == old
    assert len(replica_sets(world)) == 2


def _digest(world: World) -> str:
    status = world.must_get("llsd", "demo")["status"]
    return str(status["resolvedDistribution"].get("configHash", ""))


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        ("version: [", "ConfigGenerationFailed", "config.yaml cannot be read: line 1"),
        ("hello", "ConfigGenerationFailed", "config.yaml is not a mapping"),
        (
            "version: 3\nproviders: {}",
            "UnsupportedConfigVersion",
            "Unsupported config.yaml version 3. Supported versions: 2",
        ),
        (
            "version: 2\nproviders: {}\nmetadata_store: {type: sqlite}",
            "UnsupportedConfigVersion",
            "config.yaml is of a server before 0.4",
        ),
    ],
)
def test_unusable_content_leaves_what_runs_and_is_picked_up_when_fixed(
    world: World, text: str, reason: str, message: str
) -> None:
    world.create("configmap", config_map())
    world.create("llsd", resource("demo", OVERRIDDEN))
    world.wait_ready()
    before, old = pod(world), replica_sets(world)

    world.patch("configmap", "mine", {"data": {"config.yaml": text}})
    answer = world.wait_condition("Ready", "False")
    after = pod(world), replica_sets(world)
    world.patch("configmap", "mine", {"data": {"config.yaml": BASE}})
    world.wait_ready()

    assert answer["reason"] == reason
    assert answer["message"].startswith(f"spec.overrideConfig.configMapName: {message}")
    assert after == (before, old)
    assert replica_sets(world) == old


def test_missing_own_config_is_reported_and_picked_up(world: World) -> None:
    world.create("llsd", resource("demo", OVERRIDDEN))
    answer = world.wait_condition("Ready", "False")

    world.create("configmap", config_map())
    world.wait_ready()

    assert answer["reason"] == "ConfigMapNotFound"
    assert answer["message"].endswith("Referenced by: spec.overrideConfig.configMapName")


def test_another_namespace_is_refused(world: World) -> None:
    elsewhere = {**OVERRIDE, "configMapNamespace": "kube-public"}
    world.create("llsd", resource("demo", {**DEFAULT, "overrideConfig": elsewhere}))

    answer = world.wait_condition("Ready", "False")

    assert answer["reason"] == "CrossNamespaceReference"
    assert "--allow-cross-namespace-config" in answer["message"]
    assert world.get("deployment", "demo") is None


# --- from one source to another ------------------------------------------------------------------


def test_another_source_leads_to_what_a_new_resource_gets(world: World) -> None:
    """Each way between two of the three, and back."""
    world.create("configmap", config_map())
    for name, spec in SPECS.items():
        world.create("llsd", resource(f"fresh-{name}", spec))
    fresh = {name: world.wait_ready(f"fresh-{name}")["status"] for name in SPECS}
    world.create("llsd", resource("demo", DEFAULT))
    world.wait_ready()

    for after in ("generated", "override", "generated", "default", "override", "default"):
        replace_spec(world, SPECS[after])
        edited = world.wait_ready()["status"]

        assert comparable(world, "demo") == comparable(world, f"fresh-{after}")
        assert edited["resolvedDistribution"] == fresh[after]["resolvedDistribution"]
        assert ("configGeneration" in edited) is (after == "generated")


def test_source_goes_there_and_back_with_a_config_map_to_spare(world: World) -> None:
    world.create("configmap", config_map())
    world.create("llsd", resource("demo", GENERATED))
    world.wait_ready()
    first, template = world.config_maps(), pod(world)

    replace_spec(world, OVERRIDDEN)
    world.wait_ready()
    meanwhile = world.config_maps()
    replace_spec(world, GENERATED)
    world.wait_ready()

    assert len(first) == 1
    assert meanwhile == first
    assert world.config_maps() == first
    assert pod(world) == template
    assert world.get("configmap", "mine") is not None


# --- what cannot be generated --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (
            {"disabled": ["toolRuntime"], "resources": {"tools": ["websearch"]}},
            "MissingProviderForResource",
        ),
        ({"providers": {"inference": {"provider": "nobody-knows"}}}, "ConfigGenerationFailed"),
        ({"distribution": {"image": "127.0.0.1:9/mine:1"}}, "ImageConfigUnavailable"),
    ],
)
def test_failed_generation_leaves_pods_config_and_environment(
    world: World, spec: dict[str, Any], reason: str
) -> None:
    world.create("llsd", resource("demo", GENERATED))
    world.wait_ready()
    before, old = world.must_get("deployment", "demo")["spec"], replica_sets(world)
    config_maps = world.config_maps()

    variable = {"name": "NEW", "value": "1"}
    replace_spec(world, {**GENERATED, **spec, "workload": {"overrides": {"env": [variable]}}})
    answer = world.wait_condition("ConfigGenerated", "False")

    assert answer["reason"] == reason
    assert world.must_get("deployment", "demo")["spec"] == before
    assert replica_sets(world) == old
    assert world.config_maps() == config_maps


def test_own_config_costs_one_read_and_no_more_requests_than_allowed(world: World) -> None:
    """Children and five, status and Events included."""
    world.create("configmap", config_map())
    mark = world.plane.audit.mark()

    world.create("llsd", resource("demo", OVERRIDDEN))
    world.wait_ready()
    eventually("the Event is sent", lambda: ("Normal", "DeploymentUpdated") in world.events())
    requests = [r for r in world.requests_since(mark) if r.namespace == world.namespace]

    children = [r for r in requests if r.verb == "create" and r.resource != "events"]
    assert [r.verb for r in requests if r.resource == "configmaps"] == ["get"]
    assert len(requests) <= len(children) + 5, [(r.verb, r.uri) for r in requests]
